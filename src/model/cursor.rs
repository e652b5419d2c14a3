use std::fmt;
use std::str::FromStr;

use bytes::BytesMut;

/// Position in a hub's sequence of events: `epoch.sequence` or `epoch.sequence.tag` on the wire.
///
/// - The epoch identifies one run of the hub. Sequences of different epochs cannot be compared.
/// - The sequence is the number of an event in its epoch, from 1, across all topics of the hub. Sequence 0 is the position
///   before the first event.
/// - The tag is an optional number of the hub, such as a fingerprint of the event. A [`LocalHub`](crate::LocalHub) sets
///   one only in the middle of the state of a [keyed](crate::Retention::latest_per_key) topic: a client that resumes
///   there does not need the removals up to this sequence.
///
/// On the wire the epoch and the tag are in base 36 (`0-9a-z`), without leading zeros. The sequence is decimal, after one
/// letter for the number of its digits: `a` for 1 to `t` for 20. Sequence 17 is `b17`, and sequence 0 is the single
/// character `0`. A cursor has at most [`Cursor::MAX_LEN`] bytes of `[0-9a-z.]`.
///
/// Two cursors of one epoch compare as ASCII text in the order of their sequences, so a client may compare them as strings.
/// The epochs of a [`LocalHub`](crate::LocalHub) contain the time at which it was built and have 13 digits each, so cursors of
/// a later run compare greater, unless the system's clock was set back or two runs began in the same millisecond. Other
/// arithmetic on cursors has no meaning.
///
/// ```
/// use tidings::Cursor;
///
/// let cursor: Cursor = "k3x9.b17".parse()?;
/// assert_eq!(cursor.sequence(), 17);
/// assert_eq!(cursor.to_string(), "k3x9.b17");
/// assert!("k3x9.a9" < "k3x9.b17", "cursors of one epoch sort as text");
/// # Ok::<(), tidings::CursorError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    epoch: u64,
    sequence: u64,
    tag: Option<u64>,
}

impl Cursor {
    /// Maximum length of the wire form, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Creates the cursor of `sequence` in `epoch`, without a tag.
    #[must_use]
    pub const fn new(epoch: u64, sequence: u64) -> Self {
        Self { epoch, sequence, tag: None }
    }

    /// Sets the tag.
    #[must_use]
    pub fn with_tag(self, tag: u64) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// Returns the epoch, which identifies one run of the hub.
    #[must_use]
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// Returns the number of the event in its epoch, from 1. 0 is the position before the first event.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        self.sequence
    }

    /// Returns whether a client at this cursor has everything up to another one. `false` if that is of another epoch.
    pub(crate) fn reaches(self, other: Self) -> bool {
        self.epoch == other.epoch && self.sequence >= other.sequence
    }

    /// Returns the tag, if the hub has set one.
    #[must_use]
    pub fn tag(self) -> Option<u64> {
        self.tag
    }

    /// Parses the wire form.
    ///
    /// # Errors
    ///
    /// Returns [`CursorError`] if the bytes are not a cursor or are more than [`Cursor::MAX_LEN`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CursorError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(CursorError);
        }
        Self::read(bytes).ok_or(CursorError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (epoch, rest) = number::<36>(bytes)?;
        let (sequence, rest) = sequence(rest.strip_prefix(b".")?)?;
        let cursor = Self::new(epoch, sequence);
        if rest.is_empty() {
            return Some(cursor);
        }
        let (tag, rest) = number::<36>(rest.strip_prefix(b".")?)?;
        rest.is_empty().then_some(cursor.with_tag(tag))
    }

    /// Appends the wire form to `out`.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use tidings::Cursor;
    ///
    /// let mut out = BytesMut::from("id: ");
    /// Cursor::new(36, 17).encode(&mut out);
    /// assert_eq!(&out[..], b"id: 10.b17");
    /// ```
    pub fn encode(self, out: &mut BytesMut) {
        out.extend_from_slice(Written::of(self).as_bytes());
    }
}

/// Error of a text that is not a [`Cursor`].
///
/// ```
/// use tidings::Cursor;
///
/// let error = "7".parse::<Cursor>().unwrap_err();
/// assert!(error.to_string().starts_with("invalid cursor; expected 'epoch.sequence'"));
/// assert!("7.b09".parse::<Cursor>().is_err(), "a leading zero");
/// assert!("7.a17".parse::<Cursor>().is_err(), "`a` is the letter of one digit");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid cursor; expected 'epoch.sequence' or 'epoch.sequence.tag', such as 'k3x9.b17', in at most 64 bytes of [0-9a-z.]"
)]
#[non_exhaustive]
pub struct CursorError;

/// Parses the letter for the number of digits and the decimal number, or the single `0`. Returns the number with the bytes
/// after it.
fn sequence(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [b'0', rest @ ..] => Some((0, rest)),
        [letter @ b'a'..=b't', digits @ ..] => {
            let (sequence, rest) = number::<10>(digits)?;
            let len = usize::from(letter - b'a') + 1;
            (sequence != 0 && digits.len() - rest.len() == len).then_some((sequence, rest))
        }
        _ => None,
    }
}

/// Value of each byte as a digit, or `u8::MAX`. Each poll parses a cursor, and a table costs less than comparisons.
const DIGITS: [u8; 256] = {
    let (mut digits, mut value) = ([u8::MAX; 256], 0);
    while value < 36 {
        let byte = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        digits[byte as usize] = value;
        value += 1;
    }
    digits
};

/// Parses an unsigned number without sign, leading zeros or upper case. Returns it with the bytes after its digits.
fn number<const RADIX: u64>(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut len) = (0_u64, 0);
    for &byte in bytes {
        let digit = DIGITS.get(usize::from(byte)).map_or(RADIX, |digit| u64::from(*digit));
        if digit >= RADIX {
            break;
        }
        number = number.checked_mul(RADIX)?.checked_add(digit)?;
        len += 1;
    }
    let (digits, rest) = bytes.split_at_checked(len)?;
    (!matches!(digits, [] | [b'0', _, ..])).then_some((number, rest))
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = Written::of(*self);
        f.write_str(std::str::from_utf8(written.as_bytes()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// Buffer of the wire form, filled from its end backwards.
struct Written {
    /// A `u64` has at most 13 digits in base 36 and 20 decimal digits: 13 + 1 + 1 + 20 + 1 + 13 bytes.
    bytes: [u8; 49],
    start: usize,
}

impl Written {
    fn of(cursor: Cursor) -> Self {
        let mut this = Self { bytes: [b'.'; 49], start: 49 };
        if let Some(tag) = cursor.tag {
            this.number::<36>(tag);
            this.start -= 1;
        }
        let end = this.start;
        this.number::<10>(cursor.sequence);
        if cursor.sequence != 0 {
            let last = end - this.start - 1;
            this.start -= 1;
            this.bytes[this.start] = b"abcdefghijklmnopqrst"[last];
        }
        this.start -= 1;
        this.number::<36>(cursor.epoch);
        this
    }

    fn number<const RADIX: u64>(&mut self, mut rest: u64) {
        loop {
            self.start -= 1;
            self.bytes[self.start] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % RADIX) as usize];
            rest /= RADIX;
            if rest == 0 {
                break;
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}
