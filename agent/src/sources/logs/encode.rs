//! Encodes records as OTLP: writes one `ExportLogsServiceRequest` directly into one buffer.
//!
//! The generated types would need some thirty allocations per record, so the wire format is written
//! by hand. Field numbers are those of opentelemetry-proto 1.x
//! (<https://github.com/open-telemetry/opentelemetry-proto>); tests decode the result with the
//! generated types.
//!
//! ```text
//! ExportLogsServiceRequest { 1: ResourceLogs { 1: Resource, 3: schema_url, 2: ScopeLogs {
//!     1: InstrumentationScope { 1: name, 2: version }, 3: schema_url,
//!     2: LogRecord, 2: LogRecord, ... } } }
//! ```
//!
//! The records are written after a gap. The headers before them contain the length of all records,
//! so they are written when the batch is finished, into the end of the gap: no bytes have to be
//! moved. Protobuf allows fields in any order.

use super::enrich::{Exception, TraceContext};
use super::framing::Record;
use crate::signals::logs as names;

#[cfg(test)]
mod tests;

use crate::otlp::wire::write::{self as wire, LossyText};

/// The attributes that all records of a file share, encoded once.
#[derive(Debug, Clone)]
pub struct FileOrigin {
    /// Encoded attributes. They end with the digits of the offset, which differ for each record.
    attributes: Vec<u8>,
}

impl FileOrigin {
    /// One digit for every four bits of an offset. Always the full number, so that `log.record.uid`
    /// sorts in file order.
    const OFFSET_DIGITS: usize = 16;

    /// Encodes the attributes of a file. `id` is its identity across renames, `name` is relative to
    /// the log folder, `env_region` is the folder of the environment and region, and `app` is the
    /// app that writes the log.
    #[must_use]
    pub fn new(id: &str, name: &str, env_region: Option<&str>, app: Option<&str>) -> Self {
        let mut attributes = Vec::new();
        let known = [(names::LOG_FILE_NAME, Some(name)), (names::ENV_REGION, env_region), (names::APP_NAME, app)];
        for (key, value) in known {
            put_text_attribute(&mut attributes, key, value.map(str::as_bytes));
        }
        let uid = format!("{id}-{:0width$x}", 0, width = Self::OFFSET_DIGITS);
        put_text_attribute(&mut attributes, names::LOG_RECORD_UID, Some(uid.as_bytes()));
        Self { attributes }
    }

    fn put_attributes(&self, buffer: &mut Vec<u8>, offset: u64) {
        let (attributes, _) = self.attributes.split_at(self.attributes.len() - Self::OFFSET_DIGITS);
        buffer.extend_from_slice(attributes);
        let digits: [u8; Self::OFFSET_DIGITS] = std::array::from_fn(|at| {
            b"0123456789abcdef"[usize::from((offset >> (60 - 4 * at)).to_le_bytes()[0] & 0xF)]
        });
        buffer.extend_from_slice(&digits);
    }
}

/// A batch of log records for the queue: one export request, encoded as it grows.
#[derive(Debug, Clone)]
pub struct LogBatch {
    /// The gap, then the records.
    buffer: Vec<u8>,
    gap: usize,
    /// Fields `resource` and `schema_url` of `ResourceLogs`.
    resource: Vec<u8>,
    /// Fields `scope` and `schema_url` of `ScopeLogs`.
    scope: Vec<u8>,
    items: u32,
    oldest_unix_nano: u64,
    newest_unix_nano: u64,
}

/// A record as it is exported.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRecord<'a> {
    /// The record in the file: its header and flags are exported.
    pub record: &'a Record<'a>,
    /// The redacted message.
    pub message: &'a str,
    /// The redacted category of its header.
    pub category: Option<&'a str>,
    /// The trace in the record.
    pub trace: Option<TraceContext>,
    /// The exception in `message`.
    pub exception: Option<Exception<'a>>,
    /// Its start in the file, in bytes.
    pub offset: u64,
    /// When it was written, according to the record. Nanoseconds since 1970.
    pub time: Option<u64>,
    /// When it was read. Nanoseconds since 1970.
    pub observed: u64,
}

/// A finished export request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedBatch<'a> {
    /// An encoded `ExportLogsServiceRequest`.
    pub payload: &'a [u8],
    /// Number of records.
    pub items: u32,
    /// Time of the oldest record, nanoseconds since 1970.
    pub oldest_unix_nano: u64,
    /// Time of the newest record, nanoseconds since 1970.
    pub newest_unix_nano: u64,
}

impl LogBatch {
    /// Creates an empty batch. `resource` is an encoded `opentelemetry.proto.resource.v1.Resource`.
    #[must_use]
    pub fn new(resource: &[u8]) -> Self {
        let schema_url = names::SCHEMA_URL.as_bytes();
        let mut resource_fields = Vec::new();
        wire::put_delimited(&mut resource_fields, 1, resource);
        wire::put_delimited(&mut resource_fields, 3, schema_url);
        let mut scope = Vec::new();
        wire::put_delimited(&mut scope, 1, names::SCOPE_NAME.as_bytes());
        wire::put_delimited(&mut scope, 2, env!("CARGO_PKG_VERSION").as_bytes());
        let mut scope_fields = Vec::new();
        wire::put_delimited(&mut scope_fields, 1, &scope);
        wire::put_delimited(&mut scope_fields, 3, schema_url);
        let longest_key_and_length = 1 + wire::varint_length(u64::MAX);
        let gap = 2 * longest_key_and_length + resource_fields.len() + scope_fields.len();
        Self {
            buffer: vec![0; gap],
            gap,
            resource: resource_fields,
            scope: scope_fields,
            items: 0,
            oldest_unix_nano: u64::MAX,
            newest_unix_nano: 0,
        }
    }

    /// Adds a record of the file `origin`.
    pub fn push(&mut self, origin: &FileOrigin, outgoing: &OutgoingRecord<'_>) {
        let OutgoingRecord { record, message, category, trace, exception, offset, time, observed } = *outgoing;
        let buffer = &mut self.buffer;
        buffer.push(wire::delimited_key(2));
        let start = buffer.len();
        // The part that all records of a file share comes first, in one piece: this compresses
        // best.
        wire::put_fixed64(buffer, 11, observed);
        origin.put_attributes(buffer, offset);
        if let Some(time) = time {
            wire::put_fixed64(buffer, 1, time);
        }
        let header = record.header.as_ref();
        if let Some(level) = header.and_then(|header| header.level) {
            wire::put_unsigned(buffer, 2, level.severity as u64);
            LossyText::new(level.text).put(buffer, 3);
        }
        put_text_attribute(buffer, names::LOG_CATEGORY, category.map(str::as_bytes));
        if let Some(header) = header {
            put_text_attribute(buffer, names::INSTANCE_ID, header.instance);
            put_thread_attribute(buffer, header.thread);
        }
        put_text_value(buffer, 5, LossyText::new(message.as_bytes()));
        if let Some(trace) = trace {
            wire::put_fixed32(buffer, 8, trace.flags.into());
            wire::put_delimited(buffer, 9, &trace.trace_id);
            wire::put_delimited(buffer, 10, &trace.span_id);
        }
        if let Some(exception) = exception {
            put_text_attribute(buffer, names::EXCEPTION_TYPE, Some(exception.kind.as_bytes()));
            let message = Some(exception.message.as_bytes()).filter(|message| !message.is_empty());
            put_text_attribute(buffer, names::EXCEPTION_MESSAGE, message);
            put_text_attribute(buffer, names::EXCEPTION_STACKTRACE, Some(exception.stacktrace.as_bytes()));
        }
        put_flag_attribute(buffer, names::LOG_CONTINUATION, record.continuation);
        put_flag_attribute(buffer, names::LOG_CUT, record.cut);
        put_flag_attribute(buffer, names::LOG_UNFINISHED, record.unfinished);
        wire::put_length_before(buffer, start);
        self.items += 1;
        let time = time.unwrap_or(observed);
        self.oldest_unix_nano = self.oldest_unix_nano.min(time);
        self.newest_unix_nano = self.newest_unix_nano.max(time);
    }

    /// Returns whether the batch has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Returns the encoded size of the records so far, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len() - self.gap
    }

    /// Returns the request with all records, or nothing if there are none.
    pub fn finish(&mut self) -> Option<EncodedBatch<'_>> {
        if self.is_empty() {
            return None;
        }
        let scope_logs = self.scope.len() + self.len();
        let mut head = Vec::with_capacity(self.gap);
        let resource_logs = self.resource.len() + 1 + wire::varint_length(scope_logs as u64) + scope_logs;
        head.push(wire::delimited_key(1));
        wire::put_varint(&mut head, resource_logs as u64);
        head.extend_from_slice(&self.resource);
        head.push(wire::delimited_key(2));
        wire::put_varint(&mut head, scope_logs as u64);
        head.extend_from_slice(&self.scope);
        let start = self.gap - head.len();
        self.buffer[start..self.gap].copy_from_slice(&head);
        Some(EncodedBatch {
            payload: &self.buffer[start..],
            items: self.items,
            oldest_unix_nano: self.oldest_unix_nano,
            newest_unix_nano: self.newest_unix_nano,
        })
    }
}

/// Writes text as an `AnyValue` in the field `number`.
fn put_text_value(buffer: &mut Vec<u8>, number: u8, text: LossyText<'_>) {
    buffer.push(wire::delimited_key(number));
    wire::put_varint(buffer, text.field_length() as u64);
    text.put(buffer, 1);
}

/// Writes a text attribute, if it has a value.
fn put_text_attribute(buffer: &mut Vec<u8>, key: &str, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    let text = LossyText::new(value);
    put_attribute_key(buffer, key, text.field_length());
    put_text_value(buffer, 2, text);
}

/// Writes an attribute that is present only if it is true.
fn put_flag_attribute(buffer: &mut Vec<u8>, key: &str, set: bool) {
    if set {
        put_attribute_key(buffer, key, 2);
        wire::put_delimited(buffer, 2, &[2 << 3, 1]);
    }
}

/// Writes the thread as `thread.id` if it is a number, otherwise as `thread.name`.
fn put_thread_attribute(buffer: &mut Vec<u8>, thread: Option<&[u8]>) {
    let Some(thread) = thread else { return };
    match std::str::from_utf8(thread).ok().and_then(|thread| thread.parse::<u32>().ok()) {
        Some(id) => {
            let length = 1 + wire::varint_length(id.into());
            put_attribute_key(buffer, names::THREAD_ID, length);
            buffer.push(wire::delimited_key(2));
            wire::put_varint(buffer, length as u64);
            wire::put_unsigned(buffer, 3, id.into());
        }
        None => put_text_attribute(buffer, names::THREAD_NAME, Some(thread)),
    }
}

/// Writes the start of an attribute (`KeyValue { 1: key, 2: AnyValue }` in the field 6 of the
/// record), up to the field 2. `value_length` is the length of the `AnyValue`.
fn put_attribute_key(buffer: &mut Vec<u8>, key: &str, value_length: usize) {
    let field_length = |length: usize| 1 + wire::varint_length(length as u64) + length;
    buffer.push(wire::delimited_key(6));
    wire::put_varint(buffer, (field_length(key.len()) + field_length(value_length)) as u64);
    wire::put_delimited(buffer, 1, key.as_bytes());
}
