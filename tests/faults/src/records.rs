//! What the log writers write: numbered records, and the bytes of every file.
//!
//! A *generation* is the content of a file from its start on. A file keeps its generation when it
//! is renamed, and gets a new one when it is truncated or created again. A copy has the generation
//! of its original.

use std::fmt::Write as _;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 without a byte order mark.
    Utf8,
    /// UTF-16, little-endian, with a byte order mark.
    Utf16,
}

/// How long a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// One line, sometimes several.
    Usual,
    /// Some kilobytes that hardly compress, so that a queue fills up.
    Bulky,
    /// One line that is longer than the 256 KiB at which the agent cuts a record.
    Huge,
}

/// The place of a record in its generation.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// The generation.
    pub generation: usize,
    /// Offset of its start, in bytes.
    pub start: usize,
    /// Offset of its message.
    pub message: usize,
    /// Offset of its end, after its line end.
    pub end: usize,
}

/// The content of a file from its start on.
#[derive(Debug)]
pub struct Generation {
    /// The encoding.
    pub encoding: Encoding,
    /// Whether records have headers.
    pub headed: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The numbers of its records, in order.
    pub records: Vec<usize>,
}

/// Everything that was ever written. The number of a record is its index in `records`.
#[derive(Debug, Default)]
pub struct Archive {
    /// All generations.
    pub generations: Vec<Generation>,
    /// All records.
    pub records: Vec<Written>,
    seed: u64,
}

impl Archive {
    /// Returns an empty archive. The seed and the number of a record determine its text.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Starts a file; returns its generation.
    pub fn start(&mut self, encoding: Encoding, headed: bool) -> usize {
        let mark: &[u8] = if encoding == Encoding::Utf16 { &[0xFF, 0xFE] } else { &[] };
        self.generations.push(Generation { encoding, headed, bytes: mark.to_vec(), records: Vec::new() });
        self.generations.len() - 1
    }

    /// Adds a record to a generation.
    pub fn push(&mut self, generation: usize, size: Size) {
        let number = self.records.len();
        let into = &mut self.generations[generation];
        let (header, message) = texts(self.seed, number, size, into.headed);
        let start = into.bytes.len();
        encode(&header, into.encoding, &mut into.bytes);
        let after_header = into.bytes.len();
        encode(&message, into.encoding, &mut into.bytes);
        into.records.push(number);
        self.records.push(Written { generation, start, message: after_header, end: into.bytes.len() });
    }

    /// Returns the record that contains the byte at an offset.
    #[must_use]
    pub fn record_at(&self, generation: usize, offset: usize) -> Option<usize> {
        let records = &self.generations[generation].records;
        let after = records.partition_point(|number| self.records[*number].start <= offset);
        let number = *records.get(after.checked_sub(1)?)?;
        (offset < self.records[number].end).then_some(number)
    }

    /// Returns a part of a generation as text, without trailing line ends.
    #[must_use]
    pub fn text(&self, generation: usize, from: usize, to: usize) -> String {
        let from_generation = &self.generations[generation];
        let bytes = &from_generation.bytes[from..to];
        let text = match from_generation.encoding {
            Encoding::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Encoding::Utf16 => {
                let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
                String::from_utf16_lossy(&units)
            }
        };
        text.trim_end_matches(['\r', '\n']).to_owned()
    }
}

/// Returns the number of the record that starts with a message, if it does.
#[must_use]
pub fn number_of(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("number ")?;
    rest.split_once(':')?.0.parse().ok()
}

/// Returns header and message of a record, with its line end. A record has at least 64 bytes,
/// because the agent needs that many to recognise a copy of the file.
fn texts(seed: u64, number: usize, size: Size, has_headers: bool) -> (String, String) {
    let mut random = fastrand::Rng::with_seed(seed ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let end = if random.u8(..8) == 0 { "\r\n" } else { "\n" };
    let level = random.choice(["INFO", "WARN", "ERROR", "DEBUG"]).unwrap_or("INFO");
    let millisecond = number % 1000;
    let header = format!("[2026-11-23T08:18:10.{millisecond:03}] [{level}] [9816_10] clientlist.main - ");
    let mut message = format!("number {number}: ");
    match size {
        Size::Usual => {
            words(&mut random, &mut message, 60);
            let more = if has_headers && random.u8(..6) == 0 { random.usize(1..5) } else { 0 };
            for line in 0..more {
                let _ = write!(message, "{end}    at line {line} of ");
                words(&mut random, &mut message, 30);
            }
        }
        Size::Bulky => noise(&mut random, &mut message, 4_000),
        Size::Huge => {
            let length = random.usize(270_000..330_000);
            noise(&mut random, &mut message, length);
        }
    }
    message.push_str(end);
    (if has_headers { header } else { String::new() }, message)
}

fn words(random: &mut fastrand::Rng, text: &mut String, least: usize) {
    const WORDS: [&str; 8] = ["layout", "Grüße", "restored", "東京", "🚀", "window", "of", "client-list"];
    let length = text.len() + least + random.usize(..100);
    while text.len() < length {
        text.push_str(random.choice(WORDS).unwrap_or_default());
        text.push(' ');
    }
    text.push('.');
}

fn noise(random: &mut fastrand::Rng, text: &mut String, length: usize) {
    text.extend(std::iter::repeat_with(|| random.alphanumeric()).take(length));
}

fn encode(text: &str, encoding: Encoding, into: &mut Vec<u8>) {
    match encoding {
        Encoding::Utf8 => into.extend_from_slice(text.as_bytes()),
        Encoding::Utf16 => into.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
    }
}
