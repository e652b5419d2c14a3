use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::contract::{Format, Run, place};
use crate::hub::sync::Mutex;

/// How many bytes of already delivered events a new window keeps for readers that are a little behind.
const TAIL: usize = 4 * 1024;

/// The encode-once cache of one segment: per format one window of contiguous events in one shared `Bytes`.
///
/// Subscribers at the same position get slices of the same bytes. A window that ends before what is asked is replaced by
/// a longer one, which copies what it has of it and encodes only what is new.
#[derive(Debug)]
pub(super) struct Joined {
    windows: [Mutex<Option<Box<Window>>>; place::COUNT],
}

#[derive(Debug, Clone)]
struct Window {
    /// The place of the first event.
    start: u32,
    /// Where each event ends in `bytes`.
    ends: Vec<u32>,
    bytes: Bytes,
}

impl Default for Joined {
    fn default() -> Self {
        Self { windows: std::array::from_fn(|_| Mutex::new(None)) }
    }
}

impl Joined {
    /// See [`Segment::encode`](super::segment::Segment::encode).
    pub(super) fn encode(
        &self,
        run: &Run,
        format: &dyn Format,
        range: Range<u32>,
        max: usize,
        shared: bool,
    ) -> (Bytes, u32) {
        let window = format.slot().and_then(|slot| self.windows.get(usize::from(slot)));
        let Some(window) = window else {
            return Window::extend(None, run, format, range.clone(), max).cut(range, max);
        };
        let known = {
            let window = window.lock();
            match window.as_deref() {
                Some(window) if window.holds(&range, max) => return window.cut(range, max),
                other => other.cloned(),
            }
        };
        // Encoded outside of the lock: a format is the adapter's code. Two threads may do it at once; one result stays.
        let known = known.filter(|known| known.start <= range.start && range.start <= known.end());
        let keep = known.as_ref().is_some_and(|known| shared && known.bytes.len() <= TAIL);
        let start = known.as_ref().filter(|_| keep).map_or(range.start, |known| known.start);
        let kept = known.as_ref().map_or(0, |known| known.offset(range.start) - known.offset(start));
        let fresh = Window::extend(known.as_ref(), run, format, start..range.end, max.saturating_add(kept as usize));
        let cut = fresh.cut(range, max);
        let mut place = window.lock();
        let newer = place.as_ref().is_none_or(|old| fresh.end() > old.end() || fresh.start < old.start);
        let old = if newer { place.replace(Box::new(fresh)) } else { None };
        drop(place);
        drop(old);
        cut
    }
}

impl Window {
    /// The window of the events in `range`, as far as `max` bytes go, with what `known` has of them copied from there.
    fn extend(known: Option<&Self>, run: &Run, format: &dyn Format, range: Range<u32>, max: usize) -> Self {
        let (mut bytes, mut ends) = (BytesMut::new(), Vec::with_capacity(range.len()));
        let mut at = range.start;
        if let Some(known) = known {
            let from = known.offset(at);
            let known_ends = known.ends.get((at - known.start) as usize..).unwrap_or_default();
            bytes.extend_from_slice(&known.bytes[from as usize..]);
            ends.extend(known_ends.iter().map(|end| end - from));
            at = known.end();
        }
        if bytes.len() <= max {
            for event in run.published(at..range.end.max(at)) {
                format.encode(&event, &mut bytes);
                ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                if bytes.len() > max {
                    break;
                }
            }
        }
        Self { start: range.start, ends, bytes: bytes.freeze() }
    }

    /// The place after the last event.
    fn end(&self) -> u32 {
        self.start + self.ends.len() as u32
    }

    /// Where the event in a place begins; at or before this window's end.
    fn offset(&self, place: u32) -> u32 {
        match (place - self.start) as usize {
            0 => 0,
            n => self.ends[n - 1],
        }
    }

    /// Whether all that may be cut for this range is here.
    fn holds(&self, range: &Range<u32>, max: usize) -> bool {
        self.start <= range.start
            && range.start < self.end()
            && (range.end <= self.end() || self.bytes.len() - self.offset(range.start) as usize >= max)
    }

    /// The events of the range from its start on: at least one, at most `max` bytes otherwise.
    fn cut(&self, range: Range<u32>, max: usize) -> (Bytes, u32) {
        let from = self.offset(range.start);
        let end = range.end.min(self.end());
        let to = self.offset(end);
        if (to - from) as usize <= max {
            return (self.bytes.slice(from as usize..to as usize), end);
        }
        let first = (range.start - self.start) as usize;
        let ends = &self.ends[first..(end - self.start) as usize];
        let fit = ends.partition_point(|end| (end - from) as usize <= max).max(1);
        (self.bytes.slice(from as usize..ends[fit - 1] as usize), range.start + fit as u32)
    }
}
