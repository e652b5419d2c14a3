//! The grammar and the order of cursors.

use proptest::prelude::*;
use tidings::{Cursor, LocalHub};

use super::abnf::Grammar;
use super::page::{PAGE, blocks, names};

fn grammar() -> Grammar {
    Grammar::parse(&blocks(PAGE)["abnf"])
}

/// The grammar does not limit the numbers to 64 bits.
fn has_large_number(text: &str) -> bool {
    let radix = |at| if at == 1 { 10 } else { 36 };
    let digits =
        |(at, part): (usize, &str)| u128::from_str_radix(&part[usize::from(at == 1 && part != "0")..], radix(at));
    text.split('.').enumerate().any(|part| digits(part).is_ok_and(|number| number > u64::MAX.into()))
}

/// Every text of up to five bytes of an alphabet that has each class of bytes.
#[test]
fn short_text_is_a_cursor_exactly_if_the_grammar_of_the_page_has_it() {
    let (grammar, mut texts, mut cursors) = (grammar(), vec![String::new()], 0);
    for _ in 0..5 {
        texts = texts.iter().flat_map(|text| "01abuA.".chars().map(move |next| format!("{text}{next}"))).collect();
        for text in &texts {
            let is_cursor = text.parse::<Cursor>().is_ok();
            assert_eq!(grammar.matches("cursor", text), is_cursor, "{text}");
            cursors += usize::from(is_cursor);
        }
    }
    assert!(cursors > 100, "{cursors}");
}

proptest! {
    #[test]
    fn any_text_is_a_cursor_exactly_if_the_grammar_of_the_page_has_it(
        epoch: u64, bits in 0..64_u32, sequence: u64, tag: Option<u64>, at: usize, put: Option<char>,
    ) {
        let cursor = tag.into_iter().fold(Cursor::new(epoch, sequence >> bits), Cursor::with_tag);
        let mut text = cursor.to_string();
        let grammar = grammar();
        prop_assert!(grammar.matches("cursor", &text), "{}", text);
        let at = at % text.len();
        match put.map(|put| b"019abtuz.A-"[put as usize % 11] as char) {
            Some(put) => text.insert(at, put),
            None => drop(text.remove(at)),
        }
        let expected = grammar.matches("cursor", &text) && !has_large_number(&text);
        prop_assert_eq!(text.parse::<Cursor>().is_ok(), expected, "{}", text);
    }
}

#[test]
fn cursors_of_the_page_parse_and_the_others_do_not() {
    for text in names(PAGE, "cursor") {
        assert_eq!(text.parse::<Cursor>().map(|cursor| cursor.to_string()).as_deref(), Ok(&*text));
    }
    for text in names(PAGE, "no cursor") {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn longest_cursor_and_digits_of_an_epoch_are_those_of_the_page() {
    let longest = Cursor::new(u64::MAX, u64::MAX).with_tag(u64::MAX).to_string().len();
    let reported = format!("A cursor has at most {longest} bytes now; a client reserves {}.", Cursor::MAX_LEN);
    assert!(PAGE.contains(&reported), "{reported}");
    assert!(PAGE.contains("13 digits from 2006 to 2108"));
    assert_eq!(LocalHub::new().cursor().to_string().find('.'), Some(13));
}
