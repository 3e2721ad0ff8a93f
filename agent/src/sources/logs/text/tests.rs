//! Scenario: text in every encoding, decoded and mapped back to its bytes in the file.
//!
//! Guarantees: decoding accepts any bytes, and lengths match the file.

use super::*;
use proptest::prelude::*;

fn utf16(text: &str, encoding: Encoding) -> Vec<u8> {
    let pair = |unit: u16| if encoding == Encoding::Utf16Le { unit.to_le_bytes() } else { unit.to_be_bytes() };
    text.encode_utf16().flat_map(pair).collect()
}

#[test]
fn bom_determines_encoding() {
    assert_eq!(Encoding::of(b"\xFF\xFE["), Encoding::Utf16Le);
    assert_eq!(Encoding::of(b"\xFE\xFF\0["), Encoding::Utf16Be);
    assert_eq!((Encoding::of(b"\xEF\xBB\xBF["), Encoding::Utf8.bom_length(b"\xEF\xBB\xBF[")), (Encoding::Utf8, 3));
    assert_eq!((Encoding::of(b""), Encoding::Utf8.bom_length(b"")), (Encoding::Utf8, 0));
}

#[test]
fn line_end_is_detected_in_every_encoding() {
    for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
        assert!(!encoding.is_in_line(&utf16("a\n", encoding)));
        assert!(encoding.is_in_line(&utf16("a\u{a0a}", encoding)));
    }
    assert!(!Encoding::Utf16Le.is_in_line(b"\xFF\xFE") && !Encoding::Utf8.is_in_line(b"\xEF\xBB\xBF"));
    assert!(Encoding::Utf8.is_in_line(b"a") && !Encoding::Utf8.is_in_line(b"a\n") && !Encoding::Utf8.is_in_line(b""));
}

proptest! {
    /// Any text is decoded as it was written, and the computed length of each part equals its
    /// bytes.
    #[test]
    fn decoded_text_length_matches_file_bytes(text in "\\PC{0,30}", big in any::<bool>(), cut in any::<prop::sample::Index>()) {
        let encoding = if big { Encoding::Utf16Be } else { Encoding::Utf16Le };
        let file = utf16(&text, encoding);
        let decoded = encoding.text(&file);
        prop_assert_eq!(&*decoded, text.as_bytes());
        let part = &text[..text.floor_char_boundary(cut.index(text.len() + 1))];
        prop_assert_eq!(encoding.length(part.as_bytes()), utf16(part, encoding).len());
    }

    /// For any bytes: decoding consumes all of them except an incomplete character at the end.
    #[test]
    fn decoder_accepts_any_bytes(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0xD8..0xE0_u8], 0..60)) {
        for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
            let text = encoding.text(&bytes);
            prop_assert!(std::str::from_utf8(&text).is_ok());
            let length = encoding.length(&text);
            prop_assert!(length <= bytes.len() && length + 3 >= bytes.len());
        }
    }
}
