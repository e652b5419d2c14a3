use crate::model::Cursor;

/// Cursor in `If-None-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum HeldCursor {
    /// There is no tag, or only empty ones and `*`, which matches every reply (RFC 9110 §13.1.2).
    #[default]
    Nothing,
    Cursor(Cursor),
    /// There are tags, and none is a cursor.
    Unreadable,
}

impl HeldCursor {
    /// Reads one line of the header, which is a list and may repeat. The first cursor counts.
    pub(crate) fn add(&mut self, line: &[u8]) {
        for tag in tags(line).filter(|&tag| !matches!(tag, b"" | b"*")) {
            if let Self::Cursor(_) = self {
                return;
            }
            *self = cursor(tag).map_or(Self::Unreadable, Self::Cursor);
        }
    }

    pub(crate) fn cursor(self) -> Option<Cursor> {
        match self {
            Self::Cursor(cursor) => Some(cursor),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

/// Returns the contents of the entity tags in a list, strong or weak (RFC 9110 §8.8.3). A tag without quotes is
/// returned as it is. A tag without a closing quote keeps its opening quote, so it is no cursor.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let begin = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        rest = &rest[begin..];
        let quoted = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"");
        let (tag, after) = match quoted {
            Some(quoted) => match quoted.iter().position(|&byte| byte == b'"') {
                Some(end) => (&quoted[..end], &quoted[end + 1..]),
                None => (rest, &[][..]),
            },
            None => {
                let (tag, after) = rest.split_at(rest.iter().position(|&byte| byte == b',').unwrap_or(rest.len()));
                (tag.trim_ascii_end(), after)
            }
        };
        rest = after;
        Some(tag)
    })
}

/// Parses the cursor at the beginning of a tag. A proxy that compresses a reply adds `-gzip`, `--gzip` or `;br` to its
/// tag.
fn cursor(tag: &[u8]) -> Option<Cursor> {
    let end = tag.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.')).unwrap_or(tag.len());
    let (cursor, added) = tag.split_at(end);
    let is_added = added.first().is_none_or(u8::is_ascii_punctuation);
    Cursor::parse(cursor).ok().filter(|_| is_added)
}
