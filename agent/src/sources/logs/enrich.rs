//! Extracts what a log line unambiguously contains besides its header: its trace, and the exception
//! that it reports.

#[cfg(test)]
mod tests;

/// The trace and span in a line, from a W3C `traceparent`
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace id.
    pub trace_id: [u8; 16],
    /// The span id.
    pub span_id: [u8; 8],
    /// W3C trace flags; bit 0: sampled.
    pub flags: u8,
}

/// An exception with a stack trace, as V8 (JavaScript), .NET and Java print it:
///
/// ```text
/// any text TypeError: what happened
///     at function (file:line:column)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception<'a> {
    /// Its type, as in `TypeError` or `System.IO.IOException`.
    pub kind: &'a str,
    /// Its message; may have several lines, or be empty.
    pub message: &'a str,
    /// The text from its type to the end of the record.
    pub stacktrace: &'a str,
}

/// Returns the first `traceparent` in a text.
#[must_use]
pub fn trace_context(text: &[u8]) -> Option<TraceContext> {
    let mut from = 0;
    // A dash follows the version, as it does the other fields. Dashes are rarer than the characters
    // between them, so they are what is searched for.
    while let Some(dash) = memchr::memchr(b'-', &text[from..]).map(|at| from + at) {
        from = dash + 1;
        let Some(start) = dash.checked_sub(2) else { continue };
        let starts_word = start.checked_sub(1).is_none_or(|before| !is_id_byte(text[before]));
        if starts_word && let Some(context) = traceparent(&text[start..]) {
            return Some(context);
        }
    }
    None
}

/// Parses `00-<32 hexadecimal digits>-<16>-<2>` at the start of a text.
fn traceparent(text: &[u8]) -> Option<TraceContext> {
    const LENGTH: usize = 55;
    let field = text.get(..LENGTH)?;
    let ends_word = text.get(LENGTH).is_none_or(|&after| !is_id_byte(after));
    // Version 0 has exactly these fields; no other version is defined. Upper case is not allowed
    // (W3C Trace Context).
    let is_lower_case = !field.iter().any(u8::is_ascii_uppercase);
    if !ends_word || !is_lower_case || !field.starts_with(b"00-") || field[35] != b'-' || field[52] != b'-' {
        return None;
    }
    let context = TraceContext {
        trace_id: const_hex::decode_to_array(&field[3..35]).ok()?,
        span_id: const_hex::decode_to_array(&field[36..52]).ok()?,
        flags: const_hex::decode_to_array::<_, 1>(&field[53..]).ok()?[0],
    };
    (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Returns the exception that a record reports. Its type is in the line before the first stack
/// frame, or in the first line of the record if the exception's message has several lines.
#[must_use]
pub fn exception(text: &str) -> Option<Exception<'_>> {
    let frames = first_frame(text)?;
    let head = &text[..frames];
    let last_line = head.rfind('\n').map_or(0, |at| at + 1);
    let first_line = head.split('\n').next().unwrap_or(head);
    let (start, kind) = exception_type(&head[last_line..])
        .map(|(at, kind)| (last_line + at, kind))
        .or_else(|| exception_type(first_line))?;
    let message = head[start + kind.len()..].strip_prefix(':').unwrap_or_default().trim();
    Some(Exception { kind, message, stacktrace: text[start..].trim_end() })
}

/// Returns the offset of the line end before the first stack frame.
fn first_frame(text: &str) -> Option<usize> {
    let is_frame = |line: &str| {
        let frame = line.trim_start_matches([' ', '\t']);
        frame.len() < line.len() && frame.starts_with("at ")
    };
    memchr::memchr_iter(b'\n', text.as_bytes()).find(|&at| is_frame(&text[at + 1..]))
}

/// Returns the first exception type in a line: an identifier, possibly qualified, that ends in
/// `Error` or `Exception` and is followed by a colon or the end of the line.
fn exception_type(line: &str) -> Option<(usize, &str)> {
    let line = line.trim_end();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    let mut from = 0;
    while let Some(length) =
        line[from..].find(|c| !is_name(c)).or(Some(line.len() - from)).filter(|_| from < line.len())
    {
        let word = &line[from..from + length];
        let after = &line[from + length..];
        let named = word.ends_with("Error") || word.ends_with("Exception");
        let begins = word.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'));
        if named && begins && (after.is_empty() || after.starts_with(": ")) {
            return Some((from, word));
        }
        from += length + after.chars().next().map_or(0, char::len_utf8);
    }
    None
}
