//! Finds numbers that identify a person, their money or their machine: payment cards, bank
//! accounts, phone numbers, IP addresses. If a number has check digits, they decide.

use std::net::IpAddr;
use std::ops::Range;

/// Number of digits of a payment card number (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Number of digits of a phone number with its country code (ITU-T E.164, at most 15). Shorter ones
/// are too similar to other numbers.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Countries of the IBAN registry (SWIFT, release 99), each with its IBAN length.
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// Finds payment card numbers: the length and first digits of a known network, and a valid Luhn
/// check digit.
pub(super) fn find_cards(text: &str, mut found: impl FnMut(Range<usize>)) {
    each_number(text, |start| {
        let number = Number::scan(text, start, b" -");
        // Another number may follow, such as a year.
        let place = number.prefixes().find(|(_, digits)| is_card(digits)).map(|(end, _)| start..end)?;
        let end = place.end;
        found(place);
        Some(end)
    });
}

/// Finds phone numbers: with `+` and the country code, or in the groups used in North America.
pub(super) fn find_phones(text: &str, mut found: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    for plus in memchr::memchr_iter(b'+', bytes) {
        let number = Number::scan(text, plus + 1, b" -./()");
        let known_country = number.digits.first().is_some_and(|&digit| digit != 0);
        if starts_word(bytes, plus)
            && known_country
            && PHONE_DIGITS.contains(&number.digits.len())
            && number.is_whole_word
        {
            found(plus..number.end);
        }
    }
    each_number(text, |start| {
        // 212-555-0123, (212) 555-0123, 212.555.0123
        let group = |at: usize, length: usize| {
            let digits = bytes.get(at..at + length)?;
            digits.iter().all(u8::is_ascii_digit).then_some(at + length)
        };
        let bracket = start > 0 && bytes[start - 1] == b'(';
        let mut at = group(start, 3)?;
        let separator = *bytes.get(at)?;
        at = match separator {
            b')' if bracket => at + 1 + usize::from(bytes.get(at + 1) == Some(&b' ')),
            b'-' | b'.' if !bracket => at + 1,
            _ => return None,
        };
        at = group(at, 3)?;
        let expected = if bracket { b'-' } else { separator };
        at = if *bytes.get(at)? == expected { group(at + 1, 4)? } else { return None };
        let begin = start - usize::from(bracket);
        if ends_word(bytes, at) && starts_word(bytes, begin) {
            found(begin..at);
            return Some(at);
        }
        None
    });
}

/// Finds IBANs in upper case, written together or in groups of four, with the length of their
/// country and valid check digits (ISO 13616, ISO 7064 MOD 97-10).
pub(super) fn find_ibans(text: &str, mut found: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(start) = bytes[from..].windows(4).position(is_iban_start).map(|at| from + at) {
        from = start + 1;
        if !starts_word(bytes, start) {
            continue;
        }
        let Some(length) = iban_length(&bytes[start..start + 2]) else { continue };
        let mut characters = Vec::with_capacity(length);
        let mut at = start;
        while characters.len() < length {
            match bytes.get(at) {
                Some(byte) if byte.is_ascii_digit() || byte.is_ascii_uppercase() => characters.push(*byte),
                Some(b' ') if characters.len().is_multiple_of(4) && bytes.get(at - 1) != Some(&b' ') => {}
                _ => break,
            }
            at += 1;
        }
        if characters.len() == length && ends_word(bytes, at) && has_valid_check_digits(&characters) {
            found(start..at);
            from = at;
        }
    }
}

/// Finds IP addresses of both versions, with or without a port after them.
pub(super) fn find_ip_addresses(text: &str, mut found: impl FnMut(Range<usize>)) {
    let part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(part).map(|length| at + length) {
        let end = bytes[start..].iter().position(|byte| !part(byte)).map_or(bytes.len(), |length| start + length);
        at = end;
        let word = text[start..end].trim_end_matches('.');
        let before_port = word.split_once(':').map_or(word, |(address, _)| address);
        let in_word =
            start.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric() || bytes[before] == b'_');
        let goes_on = bytes.get(end).is_some_and(|after| after.is_ascii_alphanumeric() || *after == b'_');
        if in_word || goes_on {
            continue;
        }
        // `::` is also written between names.
        let is_address = |word: &&str| word.len() > 2 && word.parse::<IpAddr>().is_ok();
        if let Some(address) = [word, word.trim_end_matches(':'), before_port].into_iter().find(is_address) {
            found(start..start + address.len());
        }
    }
}

/// Calls `at_number` with the offset of every digit that starts a word. It returns where to
/// continue.
fn each_number(text: &str, mut at_number: impl FnMut(usize) -> Option<usize>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let next = if starts_word(bytes, at) { at_number(at) } else { None };
        at = next.unwrap_or_else(|| {
            let rest = bytes[at..].iter().position(|byte| !byte.is_ascii_digit());
            rest.map_or(bytes.len(), |length| at + length)
        });
    }
}

/// Digits with single separators between them.
struct Number {
    digits: Vec<u8>,
    /// The end of each digit.
    ends: Vec<usize>,
    end: usize,
    /// Whether it is a whole word.
    is_whole_word: bool,
    /// For each digit, whether a word ends after it: a number may end there.
    ends_at_word: Vec<bool>,
}

impl Number {
    /// Maximum number of digits that are read: no number that is searched for is longer.
    const MAX_DIGITS: usize = 20;

    fn scan(text: &str, start: usize, separators: &[u8]) -> Self {
        let bytes = text.as_bytes();
        let mut number =
            Self { digits: Vec::new(), ends: Vec::new(), end: start, is_whole_word: false, ends_at_word: Vec::new() };
        let mut at = start;
        let mut gap = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte.is_ascii_digit() && number.digits.len() < Self::MAX_DIGITS {
                number.digits.push(byte - b'0');
                number.ends.push(at + 1);
                number.ends_at_word.push(ends_word(bytes, at + 1));
                gap = 0;
            } else if separators.contains(&byte) && gap < 2 {
                gap += 1;
            } else {
                break;
            }
            at += 1;
        }
        number.end = number.ends.last().copied().unwrap_or(start);
        number.is_whole_word = ends_word(bytes, number.end);
        number
    }

    /// Returns the number and its shorter prefixes that end at the end of a word, longest first.
    fn prefixes(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let whole = (1..=self.digits.len()).rev().filter(|length| self.ends_at_word[length - 1]);
        whole.map(|length| (self.ends[length - 1], &self.digits[..length]))
    }
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_none_or(|before| {
        let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+');
        !part(bytes[before]) || (bytes[before] == b'+' && before > 0 && !bytes[before - 1].is_ascii_alphanumeric())
    })
}

fn ends_word(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        None => true,
        Some(b'.' | b'-') => bytes.get(at + 1).is_none_or(|next| !next.is_ascii_alphanumeric()),
        Some(byte) => !byte.is_ascii_alphanumeric() && *byte != b'_',
    }
}

/// Returns whether the digits are a number of a known network: Visa, Mastercard, American Express,
/// Diners, Discover, JCB, China `UnionPay`, Maestro.
fn is_card(digits: &[u8]) -> bool {
    if !CARD_DIGITS.contains(&digits.len()) || !has_valid_luhn_digit(digits) {
        return false;
    }
    let prefix = |length: usize| digits[..length].iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    matches!(
        (digits.len(), prefix(4)),
        (13 | 16 | 19, 4000..=4999)
            | (16, 5100..=5599 | 2221..=2720)
            | (15, 3400..=3499 | 3700..=3799)
            | (14, 3000..=3059 | 3600..=3699 | 3800..=3999)
            | (16..=19, 6011 | 6200..=6299 | 6440..=6599 | 3528..=3589)
            | (13..=19, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763)
    )
}

/// Checks the Luhn digit (ISO/IEC 7812-1, annex B).
fn has_valid_luhn_digit(digits: &[u8]) -> bool {
    let weighted = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => u32::from(*digit),
        _ => u32::from(*digit) * 2 % 10 + u32::from(*digit) * 2 / 10,
    });
    weighted.sum::<u32>() % 10 == 0
}

fn is_iban_start(window: &[u8]) -> bool {
    matches!(window, [a, b, c, d] if a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit())
}

fn iban_length(country: &[u8]) -> Option<usize> {
    let entry = IBAN_LENGTHS.as_bytes().as_chunks::<4>().0.iter().find(|entry| entry.starts_with(country))?;
    Some(usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0'))
}

fn has_valid_check_digits(iban: &[u8]) -> bool {
    let (first, rest) = iban.split_at(4);
    let rest = rest.iter().chain(first).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}
