use bytes::Bytes;

use super::violation::Violation;
use crate::contract::Message;

/// Unfinished message: its fragments so far, which are checked as they come.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    partial: Option<Partial>,
    /// Number of fragments after the first.
    fragments: u32,
}

#[derive(Debug)]
enum Partial {
    Text(Text),
    Binary(Vec<u8>),
}

/// Type of a data frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Text,
    Binary,
    Continue,
}

/// Limits of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) fragments: u32,
}

impl Assembly {
    /// Takes the header of a data frame with `length` bytes of payload. Memory is allocated only for bytes that have come.
    pub(super) fn begin(&mut self, begin: Begin, length: u64, limits: Limits) -> Result<(), Violation> {
        let partial = match (begin, self.partial.take()) {
            (Begin::Continue, None) => return Err(Violation::protocol("continuation of no message")),
            (Begin::Continue, Some(partial)) => partial,
            (_, Some(_)) => return Err(Violation::protocol("message begun inside another")),
            (Begin::Text, None) => Partial::Text(Text::default()),
            (Begin::Binary, None) => Partial::Binary(Vec::new()),
        };
        let room = limits.bytes.saturating_sub(partial.len());
        if length > room as u64 {
            return Err(Violation::TOO_BIG);
        }
        if begin == Begin::Continue {
            if self.fragments >= limits.fragments {
                return Err(Violation::TOO_MANY_FRAGMENTS);
            }
            self.fragments += 1;
        }
        self.partial = Some(partial);
        Ok(())
    }

    /// Takes a part of a frame's unmasked payload.
    pub(super) fn push(&mut self, bytes: &[u8], limits: Limits) -> Result<(), Violation> {
        match &mut self.partial {
            Some(Partial::Text(text)) => text.push(bytes, limits.bytes),
            Some(Partial::Binary(buffer)) => {
                buffer.reserve_exact(growth(buffer.len(), buffer.capacity(), bytes.len(), limits.bytes));
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Takes the end of the last frame and returns the message.
    pub(super) fn finish(&mut self) -> Result<Message, Violation> {
        self.fragments = 0;
        match self.partial.take() {
            Some(Partial::Text(text)) => text.finish().map(Message::Text),
            Some(Partial::Binary(buffer)) => Ok(Message::Binary(Bytes::from(buffer))),
            None => Err(Violation::protocol("continuation of no message")),
        }
    }

    /// Returns whether a message has begun.
    pub(super) fn is_begun(&self) -> bool {
        self.partial.is_some()
    }
}

impl Partial {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.checked.len() + text.open().len(),
            Self::Binary(buffer) => buffer.len(),
        }
    }
}

/// Text that is checked as it comes, so that the first invalid byte is an error before the message ends.
#[derive(Debug, Default)]
struct Text {
    checked: String,
    /// First bytes of a character whose last byte has not come.
    open: [u8; 3],
    opened: u8,
}

impl Text {
    fn push(&mut self, mut bytes: &[u8], limit: usize) -> Result<(), Violation> {
        let needed = self.open().len() + bytes.len();
        self.checked.reserve_exact(growth(self.checked.len(), self.checked.capacity(), needed, limit));
        while self.opened > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            bytes = rest;
            let (mut character, at) = ([0; 4], usize::from(self.opened));
            character[..at].copy_from_slice(self.open());
            character[at] = byte;
            self.opened = 0;
            self.check(&character[..=at])?;
        }
        self.check(bytes)
    }

    /// Takes bytes that begin with the first byte of a character.
    fn check(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.checked.push_str(text);
                return Ok(());
            }
            Err(error) => error,
        };
        let (whole, open) = bytes.split_at(error.valid_up_to());
        let (Ok(text), None, Some(place)) =
            (std::str::from_utf8(whole), error.error_len(), self.open.get_mut(..open.len()))
        else {
            return Err(Violation::NOT_UTF8);
        };
        self.checked.push_str(text);
        place.copy_from_slice(open);
        self.opened = open.len() as u8;
        Ok(())
    }

    fn open(&self) -> &[u8] {
        self.open.get(..self.opened.into()).unwrap_or_default()
    }

    fn finish(self) -> Result<String, Violation> {
        if self.opened == 0 { Ok(self.checked) } else { Err(Violation::NOT_UTF8) }
    }
}

/// Returns the number of bytes to reserve for `more` bytes. The capacity doubles, up to `limit`.
fn growth(len: usize, capacity: usize, more: usize, limit: usize) -> usize {
    let needed = len + more;
    if needed <= capacity { 0 } else { needed.max(capacity.saturating_mul(2).min(limit)) - len }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Assembly, Begin, Limits, Partial};

    proptest! {
        #[test]
        fn capacity_is_at_most_twice_the_bytes_received_and_the_limit(
            text in any::<bool>(),
            fragments in prop::collection::vec((0_usize..700, 0_usize..700, any::<bool>()), 1..30),
        ) {
            let limits = Limits { bytes: 2_000, fragments: 20 };
            let mut assembly = Assembly::default();
            let (mut begin, mut came) = (if text { Begin::Text } else { Begin::Binary }, 0);
            for (declared, first, odd) in fragments {
                // A fragment may end inside a character.
                let first = first.min(declared);
                let bytes: Vec<u8> = "€".bytes().cycle().skip(came % 3).take(declared).collect();
                if assembly.begin(begin, declared as u64, limits).is_err() {
                    break;
                }
                begin = Begin::Continue;
                for part in if odd { [&bytes[..first], &bytes[first..]] } else { [&bytes[..], &[]] } {
                    prop_assert_eq!(assembly.push(part, limits), Ok(()));
                    came += part.len();
                    let capacity = match assembly.partial.as_ref() {
                        Some(Partial::Text(text)) => text.checked.capacity(),
                        Some(Partial::Binary(buffer)) => buffer.capacity(),
                        None => 0,
                    };
                    prop_assert!(capacity <= limits.bytes.min(2 * came));
                }
            }
        }
    }
}
