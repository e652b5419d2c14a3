//! Mark of a message: its topic, and its number there.

use memchr::memchr_iter;

/// Bytes of a message.
pub(crate) const MESSAGE: usize = 128;
/// Bytes of a mark, `#00000123@0042 `. Only these bytes are examined, in any framing.
const MARK: usize = 15;

/// A mark at the beginning of each message. No measured framing has a `#` before fifteen bytes of this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Number of the topic: below 10,000.
    pub(crate) topic: u16,
    /// Number of the message in its topic, from 0: below 100,000,000.
    pub(crate) number: u32,
}

impl Mark {
    /// Returns the message, which needs no escapes in JSON.
    pub(crate) fn message(self) -> String {
        format!("{:.<MESSAGE$}", format!("#{:08}@{:04} ", self.number, self.topic))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (number, topic) = (digits(bytes.get(1..9)?)?, digits(bytes.get(10..14)?)?);
        let framed = bytes[0] == b'#' && bytes[9] == b'@' && bytes.get(14) == Some(&b' ');
        framed.then_some(Self { topic: u16::try_from(topic).ok()?, number })
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |value, byte| Some(value * 10 + u32::from(byte.is_ascii_digit().then(|| byte - b'0')?)))
}

/// A search for marks in a stream that is read in pieces.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// Bytes at the end of the last piece that may begin a mark.
    kept: [u8; MARK - 1],
    len: u8,
}

impl Finder {
    /// Calls `found` with each mark that ends in this piece, in order.
    pub(crate) fn feed(&mut self, piece: &[u8], mut found: impl FnMut(Mark)) {
        if self.len > 0 {
            let kept = usize::from(self.len);
            let end = MARK.min(kept + piece.len());
            let mut joined = [0; MARK];
            joined[..kept].copy_from_slice(&self.kept[..kept]);
            joined[kept..end].copy_from_slice(&piece[..end - kept]);
            if end < MARK {
                self.keep(&joined[..end]);
            } else {
                self.len = 0;
                Mark::read(&joined).into_iter().for_each(&mut found);
            }
        }
        for at in memchr_iter(b'#', piece) {
            match piece.get(at..at + MARK) {
                Some(whole) => Mark::read(whole).into_iter().for_each(&mut found),
                None => self.keep(&piece[at..]),
            }
        }
    }

    /// At most [`MARK`] - 1 bytes.
    fn keep(&mut self, beginning: &[u8]) {
        self.kept[..beginning.len()].copy_from_slice(beginning);
        self.len = beginning.len() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_plain_and_of_one_size() {
        let message = Mark { topic: 42, number: 123 }.message();
        assert_eq!(message.len(), MESSAGE);
        assert!(message.starts_with("#00000123@0042 "));
        assert!(!message[1..].contains(['"', '\\', '\n', '#']));
    }

    #[test]
    fn marks_are_found_in_any_framing_cut_anywhere() {
        let marks = [(7, 0), (7, 1), (9999, 99_999_999)].map(|(topic, number)| Mark { topic, number });
        let blocks = marks.map(|mark| format!("8a\r\ndata: {}\nid: #{}\n\n", mark.message(), mark.number));
        let stream = blocks.concat().into_bytes();
        for first in 0..=stream.len() {
            for second in
                [first, first + 1, first + 7, first + MARK, stream.len()].map(|at| at.clamp(first, stream.len()))
            {
                let (mut finder, mut found) = (Finder::default(), Vec::new());
                for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
                    finder.feed(piece, |mark| found.push(mark));
                }
                assert_eq!(found, marks, "cut at {first} and {second}");
            }
        }
        let (mut finder, mut found) = (Finder::default(), Vec::new());
        stream.chunks(1).for_each(|byte| finder.feed(byte, |mark| found.push(mark)));
        assert_eq!(found, marks, "byte by byte");
    }

    #[test]
    fn what_is_almost_a_mark_is_none() {
        for almost in ["#0000012x@0042 ", "#00000123:0042 ", "#00000123@00 2 ", "#00000123@0042x", "00000123@0042 "] {
            Finder::default().feed(almost.as_bytes(), |mark| panic!("{mark:?} in {almost}"));
        }
    }
}
