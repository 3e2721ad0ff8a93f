//! What the log writers write: numbered records that can be told apart, and the bytes of every file that there was.
//!
//! A *generation* is one series of bytes from a file's begin on. Rotation by renaming keeps it, whatever the file is
//! called; a file that is cut short or made anew begins another one. A copy belongs to the generation of its original.

use std::fmt::Write as _;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Without a mark.
    Utf8,
    /// Lower byte first, with a byte order mark.
    Utf16,
}

/// How much there is in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A line, now and then several.
    Usual,
    /// Some kilobytes that hardly can be compressed, so that a queue gets full.
    Bulky,
    /// One line above the 256 KiB at which a record is cut.
    Huge,
}

/// One record, as it lies in its generation.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Which generation.
    pub generation: usize,
    /// Where it begins there, in bytes.
    pub start: usize,
    /// Where its message begins.
    pub message: usize,
    /// Where it ends, its line end included.
    pub end: usize,
}

/// The bytes of a file, from its begin on.
#[derive(Debug)]
pub struct Generation {
    /// How they are to be read.
    pub encoding: Encoding,
    /// Whether records have headers.
    pub headed: bool,
    /// All that was written.
    pub bytes: Vec<u8>,
    /// Its records, in their order.
    pub records: Vec<usize>,
}

/// All that was ever written. The number of a record is its place in `records`.
#[derive(Debug, Default)]
pub struct Archive {
    /// Every series of bytes.
    pub generations: Vec<Generation>,
    /// Every record.
    pub records: Vec<Written>,
    seed: u64,
}

impl Archive {
    /// Nothing written yet. Texts follow from the seed and the record's number.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Begins a file; returns its generation.
    pub fn begin(&mut self, encoding: Encoding, headed: bool) -> usize {
        let mark: &[u8] = if encoding == Encoding::Utf16 { &[0xFF, 0xFE] } else { &[] };
        self.generations.push(Generation { encoding, headed, bytes: mark.to_vec(), records: Vec::new() });
        self.generations.len() - 1
    }

    /// Writes one more record to a generation.
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

    /// The record of a generation that a byte of it belongs to.
    #[must_use]
    pub fn record_at(&self, generation: usize, offset: usize) -> Option<usize> {
        let records = &self.generations[generation].records;
        let after = records.partition_point(|number| self.records[*number].start <= offset);
        let number = *records.get(after.checked_sub(1)?)?;
        (offset < self.records[number].end).then_some(number)
    }

    /// A part of a generation as text, without line ends behind it.
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

/// The number of the record that a message begins, if it begins one.
#[must_use]
pub fn number_of(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("number ")?;
    rest.split_once(':')?.0.parse().ok()
}

/// Header and message of a record, with its line end. At least 64 bytes: so many have to be taken of a file before the
/// agent can tell its copy.
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
