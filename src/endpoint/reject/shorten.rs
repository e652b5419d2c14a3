#[cfg(feature = "tracing")]
use std::fmt;

/// Length of client text above which a log or an error text cuts it, in bytes.
const SHOWN: usize = 128;

/// Returns the first 128 bytes of a text at most, up to the end of a character.
pub(crate) fn shorten(text: &str) -> &str {
    let end = (0..=SHOWN.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Text of a client for a log: escaped and cut, without quotes.
#[cfg(feature = "tracing")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unquoted<'a>(pub(crate) &'a str);

#[cfg(feature = "tracing")]
impl fmt::Display for Unquoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = shorten(self.0);
        write!(f, "{}{}", short.escape_debug(), if short.len() < self.0.len() { "…" } else { "" })
    }
}
