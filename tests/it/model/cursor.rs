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

/// Parses a sequence by the rules of the wire: `0`, or the letter for the number of digits and the digits.
fn sequence(text: &str) -> Option<u64> {
    let digits = text.get(1..).filter(|digits| !digits.is_empty() && !digits.starts_with('0'));
    match digits {
        None => (text == "0").then_some(0),
        Some(digits) => (text[..1] == *letter(digits.len())).then(|| number(digits, 10)).flatten(),
    }
}

/// Returns the letter for a number of digits: `a` for 1.
fn letter(digits: usize) -> String {
    char::from_u32('a' as u32 + digits as u32 - 1).unwrap().to_string()
}

/// Parses a cursor by the grammar of the wire.
fn parse_by_grammar(text: &str) -> Option<Cursor> {
    let parts: Vec<_> = text.split('.').collect();
    let at = |epoch, digits| Some(Cursor::new(number(epoch, 36)?, sequence(digits)?));
    match parts[..] {
        [epoch, digits] => at(epoch, digits),
        [epoch, digits, tag] => Some(at(epoch, digits)?.with_tag(number(tag, 36)?)),
        _ => None,
    }
}

proptest! {
    #[test]
    fn cursor_parse_accepts_exactly_the_grammar(
        text in prop_oneof![
            "[0-9a-z]{0,14}\\.[a-v]?[0-9]{0,21}(\\.[0-9a-z]{0,14})?",
            "[0-9a-z]{1,13}\\.(a[1-9]|b[1-9][0-9]|c[1-9][0-9]{2}|s[1-9][0-9]{18}|t1[0-7][0-9]{18})",
            "[01]\\.[abcA]{0,2}[01]{0,4}(\\.[01a]{0,2})?",
            "[012abyz.]{0,8}",
            "0{0,2}3w5e11264sg[rst][efg]\\.[stu]0{0,2}1844674407370955161[3-7](\\.3w5e11264sg[rst][efg])?",
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
    assert_eq!(longest.to_string(), "3w5e11264sgsf.t18446744073709551615.3w5e11264sgsf");
    assert_eq!(longest.to_string().len(), 49);
    assert_eq!(Cursor::new(0, 0).to_string(), "0.0");
}

/// Returns numbers of any number of digits in equal shares, and both sides of each power of ten.
fn sequences() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..64_u32, any::<u64>()).prop_map(|(bits, any)| any >> bits),
        (0..20_u32, 0..2_u64).prop_map(|(digits, below)| 10_u64.pow(digits) - below),
    ]
}

proptest! {
    #[test]
    fn cursors_of_one_epoch_compare_as_text_as_their_sequences_do(
        epoch: u64, one in sequences(), other in sequences(), tags: [Option<u64>; 2],
    ) {
        let text = |sequence, tag: Option<u64>| {
            tag.into_iter().fold(Cursor::new(epoch, sequence), Cursor::with_tag).to_string()
        };
        let texts = text(one, None).cmp(&text(other, None));
        prop_assert_eq!(texts, one.cmp(&other));
        if one != other {
            prop_assert_eq!(text(one, tags[0]).cmp(&text(other, tags[1])), one.cmp(&other), "with tags");
        }
    }

    #[test]
    fn sequence_in_another_form_is_refused(epoch: u64, sequence in sequences(), other in 1..=20_usize, zeros in 1..3_usize) {
        let digits = sequence.to_string();
        let right = Cursor::new(epoch, sequence).to_string();
        let wrong = [
            digits.clone(),
            format!("{}{digits}", letter(other)),
            format!("{}{}{digits}", letter((digits.len() + zeros).min(20)), "0".repeat(zeros)),
            format!("{}{digits}", letter(digits.len()).to_uppercase()),
            letter(digits.len()),
            format!("{}0", letter(1)),
            format!("{digits}{}", letter(digits.len())),
        ];
        let epoch = right.split('.').next().unwrap();
        for text in wrong.map(|wrong| format!("{epoch}.{wrong}")) {
            prop_assert_eq!(text.parse::<Cursor>().is_ok(), text == right, "{}", text);
        }
    }
}

#[test]
fn sequence_of_each_number_of_digits_begins_with_its_letter() {
    for (digits, letter) in (1..=20).zip('a'..='t') {
        let sequence = 10_u64.pow(digits - 1);
        assert_eq!(Cursor::new(7, sequence).to_string(), format!("7.{letter}{sequence}"));
    }
    let refused =
        ["7.00", "7.a", "7.a0", "7.a01", "7.b0", "7.b09", "7.u184467440737095516150", "7.A1", "7.1", "7.0.", "7.b+1"];
    for text in refused {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}
