use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Error of a name or a value of a query that is not UTF-8 after percent-decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUtf8;

/// Name and value of one parameter of a query, not decoded. Without `=` the value is empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    name: &'a str,
    value: &'a str,
    /// Set if the name or the value has a `%` or a `+`. Most have none, and are borrowed.
    is_escaped: bool,
}

impl<'a> Pair<'a> {
    pub(crate) fn name(self) -> Result<Cow<'a, str>, NotUtf8> {
        if self.is_escaped { decode(self.name) } else { Ok(Cow::Borrowed(self.name)) }
    }

    pub(crate) fn value(self) -> Result<Cow<'a, str>, NotUtf8> {
        if self.is_escaped { decode(self.value) } else { Ok(Cow::Borrowed(self.value)) }
    }
}

/// Splits a query into its parameters, in one pass. Empty ones are skipped.
///
/// `form_urlencoded` splits in the same way, but replaces invalid UTF-8 in place of reporting it.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    let mut rest = query;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (mut equals, mut is_escaped) = (None, false);
            let end = rest.bytes().enumerate().position(|(at, byte)| {
                match byte {
                    b'&' => return true,
                    b'=' if equals.is_none() => equals = Some(at),
                    b'%' | b'+' => is_escaped = true,
                    _ => {}
                }
                false
            });
            let (pair, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after.strip_prefix('&').unwrap_or_default();
            match equals {
                _ if pair.is_empty() => {}
                Some(at) => return Some(Pair { name: &pair[..at], value: &pair[at + 1..], is_escaped }),
                None => return Some(Pair { name: pair, value: "", is_escaped }),
            }
        }
        None
    })
}

/// Decodes a name or a value: `+` is a space, and `%XX` is a byte.
///
/// It is not lossy: a lossy decoder would make `caf%E9` and `caf%E8` the same topic or the same user.
#[cold]
fn decode(text: &str) -> Result<Cow<'_, str>, NotUtf8> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| NotUtf8)?;
    Ok(Cow::Owned(decoded.into_owned()))
}
