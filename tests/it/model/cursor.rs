use bytes::BytesMut;
use proptest::prelude::*;
use tidings::Cursor;

proptest! {
    #[test]
    fn encoded_cursor_parses_back(epoch: u64, sequence: u64, tag: Option<u64>) {
        let cursor = Cursor::new(epoch, sequence);
        let cursor = tag.into_iter().fold(cursor, Cursor::with_tag);
        let mut wire = BytesMut::new();
        cursor.encode(&mut wire);
        prop_assert!(wire.len() <= Cursor::MAX_LEN);
        prop_assert!(wire.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.')));
        prop_assert_eq!(Cursor::parse(&wire), Ok(cursor));
        prop_assert_eq!(cursor.to_string().into_bytes(), wire);
    }
}

/// Parses a number by the rules of the wire: no leading zeros, no sign, no upper case.
fn number(digits: &str, radix: u32) -> Option<u64> {
    let is_plain = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'));
    let is_short = digits == "0" || !digits.starts_with('0');
    u64::from_str_radix(digits, radix).ok().filter(|_| is_plain && is_short)
}

/// Parses a cursor by the grammar of the wire.
fn parse_by_grammar(text: &str) -> Option<Cursor> {
    let parts: Vec<_> = text.split('.').collect();
    let at = |epoch, sequence| Some(Cursor::new(number(epoch, 36)?, number(sequence, 10)?));
    match parts[..] {
        [epoch, sequence] => at(epoch, sequence),
        [epoch, sequence, tag] => Some(at(epoch, sequence)?.with_tag(number(tag, 36)?)),
        _ => None,
    }
}

proptest! {
    #[test]
    fn cursor_parse_accepts_exactly_the_grammar(
        text in prop_oneof![
            "[0-9a-z]{0,14}\\.[0-9]{0,21}(\\.[0-9a-z]{0,14})?",
            "[012yz.]{0,8}",
            "0{0,2}3w5e11264sg[rst][efg]\\.0{0,2}1844674407370955161[3-7](\\.3w5e11264sg[rst][efg])?",
            "[0-9a-z.A-Z+ -]{0,70}",
        ],
    ) {
        prop_assert_eq!(Cursor::parse(text.as_bytes()).ok(), parse_by_grammar(&text), "{}", text);
    }

    #[test]
    fn cursor_with_one_byte_changed_parses_by_the_grammar(epoch: u64, sequence: u64, tag: Option<u64>, at: usize, byte: u8, put: bool) {
        let cursor = tag.into_iter().fold(Cursor::new(epoch, sequence), Cursor::with_tag);
        let mut bytes = cursor.to_string().into_bytes();
        let at = at % bytes.len();
        if put { bytes.insert(at, byte) } else { bytes[at] = byte }
        let expected = std::str::from_utf8(&bytes).ok().and_then(parse_by_grammar);
        prop_assert_eq!(Cursor::parse(&bytes).ok(), expected);
    }
}

#[test]
fn longest_cursor_fits_the_maximum_length() {
    let longest = Cursor::new(u64::MAX, u64::MAX).with_tag(u64::MAX);
    assert_eq!(longest.to_string(), "3w5e11264sgsf.18446744073709551615.3w5e11264sgsf");
    assert_eq!(Cursor::new(0, 0).to_string(), "0.0");
}
