use std::fmt;
use std::str::FromStr;

/// A place in a hub's order: the hub's life, and a sequence across all its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Position {
    /// Which life of the hub. Sequences of two epochs don't compare.
    pub epoch: u64,
    /// The number of the event in this epoch, from 1; 0 is before the first. One topic's are sparse.
    pub sequence: u64,
}

impl Position {
    /// The position `sequence` of `epoch`.
    #[must_use]
    pub fn new(epoch: u64, sequence: u64) -> Self {
        Self { epoch, sequence }
    }
}

/// A position as a client holds it: `epoch.sequence` or `epoch.sequence.tag`.
///
/// The epoch and the tag are in base 36 (`0-9a-z`), the sequence is decimal, all without leading zeros: at most
/// [`Cursor::MAX_LEN`] bytes of `[0-9a-z.]`. A client may compare the sequences of two cursors with the same epoch, and
/// do no other arithmetic.
///
/// ```
/// use tidings::Cursor;
///
/// let cursor: Cursor = "k3x9.17".parse()?;
/// assert_eq!(cursor.position().sequence, 17);
/// assert_eq!(cursor.to_string(), "k3x9.17");
/// # Ok::<(), tidings::CursorError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    position: Position,
    tag: Option<u64>,
}

impl Cursor {
    /// The longest wire form that is read, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The cursor of a position in a hub that has no tags.
    #[must_use]
    pub fn new(position: Position) -> Self {
        Self { position, tag: None }
    }

    /// The same position with a fingerprint of the entry there.
    #[must_use]
    pub fn with_tag(self, tag: u64) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// The position.
    #[must_use]
    pub fn position(self) -> Position {
        self.position
    }

    /// The fingerprint of the entry at the position, where the hub has them.
    #[must_use]
    pub fn tag(self) -> Option<u64> {
        self.tag
    }

    /// Reads the wire form from the bytes of a header or a query.
    pub fn parse(bytes: &[u8]) -> Result<Self, CursorError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(CursorError);
        }
        let mut parts = bytes.split(|&byte| byte == b'.');
        let mut part = |radix| parts.next().map(|digits| number(digits, radix));
        let (epoch, sequence, tag) = (part(36), part(10), part(36).transpose()?);
        let (Some(epoch), Some(sequence), None) = (epoch.transpose()?, sequence.transpose()?, parts.next()) else {
            return Err(CursorError);
        };
        Ok(Self { position: Position { epoch, sequence }, tag })
    }
}

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is 'epoch.sequence' or 'epoch.sequence.tag' in at most 64 bytes of [0-9a-z.]")]
#[non_exhaustive]
pub struct CursorError;

/// Reads an unsigned number without sign, leading zero or upper case.
fn number(digits: &[u8], radix: u32) -> Result<u64, CursorError> {
    if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
        return Err(CursorError);
    }
    digits
        .iter()
        .try_fold(0_u64, |number, &byte| {
            let digit = char::from(byte).to_digit(radix).filter(|_| !byte.is_ascii_uppercase())?;
            number.checked_mul(radix.into())?.checked_add(digit.into())
        })
        .ok_or(CursorError)
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        Self::parse(text.as_bytes())
    }
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Self {
        Self::new(position)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", Base36(self.position.epoch), self.position.sequence)?;
        match self.tag {
            Some(tag) => write!(f, ".{}", Base36(tag)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

struct Base36(u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 13 digits hold the largest u64.
        let (mut digits, mut start, mut rest) = ([b'0'; 13], 13, self.0);
        loop {
            start -= 1;
            digits[start] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        digits[start..].iter().try_for_each(|&digit| fmt::Write::write_char(f, digit.into()))
    }
}
