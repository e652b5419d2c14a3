/// Length of client text above which a log or an error text cuts it, in bytes.
const SHOWN: usize = 128;

/// Returns the first 128 bytes of a text at most, up to the end of a character.
pub(crate) fn shorten(text: &str) -> &str {
    let end = (0..=SHOWN.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
