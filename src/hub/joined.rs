use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::contract::{Format, Run, place};
use crate::hub::budget::Charge;
use crate::hub::log::Log;
use crate::hub::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::sync::{RwLock, RwLockReadGuard};

/// How many subscriptions of a topic make it worth while to keep what one read for those behind it.
const SHARED_FROM: u32 = 16;
/// How many bytes of already delivered events a new window keeps for readers that are a little behind.
const TAIL: usize = 4 * 1024;

/// The encode-once cache of one segment: per format one window of contiguous events in one shared `Bytes`.
///
/// Subscribers at the same position get slices of the same bytes. A window that ends before the end of the asked range
/// is replaced by a longer one, which copies its part of the range and encodes only the rest. A reader that finds its
/// bytes here holds no lock that keeps others from them.
#[derive(Debug)]
pub(super) struct Joined {
    places: [Place; place::COUNT],
}

type Place = RwLock<Option<Box<Cached>>>;

#[derive(Debug)]
struct Cached {
    window: Window,
    /// Part that was cut for the reader that filled the window: most of the next readers stand at the same position.
    first: Cut,
    _charge: Charge,
}

/// Reader for which something is encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) shared: &'a Shared,
    pub(super) log: &'a Log,
    /// Whether the reader has waited for it. One that has just come, as polls do, may have others behind it.
    pub(super) waited: bool,
}

/// Some of a window's events: where the first is, where they end, and their bytes.
#[derive(Debug, Clone)]
struct Cut {
    start: u32,
    end: u32,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
struct Window {
    /// The place of the first event.
    start: u32,
    /// End of each event in `bytes`.
    ends: Vec<u32>,
    bytes: Bytes,
    /// How large the allocation behind the bytes is.
    room: usize,
}

impl Default for Joined {
    fn default() -> Self {
        Self { places: std::array::from_fn(|_| RwLock::new(None)) }
    }
}

impl Joined {
    /// See [`Segment::encode`](super::segment::Segment::encode).
    #[inline(always)]
    pub(super) fn encode(
        &self,
        segment: &Segment,
        format: &dyn Format,
        range: Range<u32>,
        max: usize,
        reading: Reading<'_>,
    ) -> (Bytes, u32) {
        let Some(place) = format.slot().and_then(|slot| self.places.get(slot.index())) else {
            return alone(segment, format, range, max);
        };
        let cached = place.read();
        match cached.as_deref() {
            Some(Cached { first, .. }) if first.is_all(&range, max) => (first.bytes.clone(), first.end),
            _ => cut_or_fill(place, cached, segment, format, range, max, reading),
        }
    }

    /// Empties every place.
    pub(super) fn clear(&self) {
        for place in &self.places {
            let cached = place.write().take();
            drop(cached);
        }
    }
}

/// Encodes for nobody else.
#[inline(never)]
pub(super) fn alone(segment: &Segment, format: &dyn Format, range: Range<u32>, max: usize) -> (Bytes, u32) {
    let (mut bytes, mut end) = (BytesMut::new(), range.start);
    for event in segment.run().published(range.clone()) {
        let whole = bytes.len();
        format.encode(&event, &mut bytes);
        if end > range.start && bytes.len() > max {
            bytes.truncate(whole);
            break;
        }
        end += 1;
    }
    (bytes.freeze(), end)
}

/// Returns the window's part of the range, for readers that are behind or ask for less. Fills the place if the window
/// does not have it.
#[inline(never)]
fn cut_or_fill(
    place: &Place,
    cached: RwLockReadGuard<'_, Option<Box<Cached>>>,
    segment: &Segment,
    format: &dyn Format,
    range: Range<u32>,
    max: usize,
    reading: Reading<'_>,
) -> (Bytes, u32) {
    let window = cached.as_deref().map(|cached| &cached.window);
    if let Some(window) = window.filter(|window| window.holds(&range, max)) {
        return window.cut(&range, max).taken();
    }
    let known = window.cloned();
    drop(cached);
    fill(place, known, segment, format, range, max, reading)
}

/// Encodes what is not known yet, and keeps it where there is room.
#[cold]
fn fill(
    place: &Place,
    known: Option<Window>,
    segment: &Segment,
    format: &dyn Format,
    range: Range<u32>,
    max: usize,
    reading: Reading<'_>,
) -> (Bytes, u32) {
    if reading.is_alone() {
        return alone(segment, format, range, max);
    }
    let Reading { shared, log, .. } = reading;
    // Encoded outside of the lock: a format is the adapter's code. Two threads may do it at once; one result stays.
    let many = log.audience.load() >= SHARED_FROM;
    let window = Window::grow(known, segment.run(), format, range.clone(), max, many);
    let first = window.cut(&range, max);
    let taken = first.clone().taken();
    let Some(_charge) = shared.cache(window.footprint()) else {
        return taken;
    };
    let fresh = Box::new(Cached { window, first, _charge });
    let mut cached = place.write();
    let longer = cached
        .as_deref()
        .is_none_or(|Cached { window: old, .. }| fresh.window.end() > old.end() || fresh.window.start < old.start);
    let unused = if longer { cached.replace(fresh) } else { Some(fresh) };
    drop(cached);
    drop(unused);
    segment.cached(&shared.budget);
    taken
}

impl Reading<'_> {
    /// Whether nobody else reads the same.
    pub(super) fn is_alone(self) -> bool {
        self.waited && self.log.audience.load() == 1
    }
}

impl Cut {
    /// Whether this is all of the range, within `max` bytes.
    #[inline]
    fn is_all(&self, range: &Range<u32>, max: usize) -> bool {
        self.start == range.start && self.end == range.end && self.bytes.len() <= max
    }

    /// Returns the bytes and the place where they end.
    fn taken(self) -> (Bytes, u32) {
        (self.bytes, self.end)
    }
}

impl Window {
    /// A window that holds the start of the range, with what is known of it copied. For many readers it also keeps a
    /// little of what was before, for those of them that are behind.
    fn grow(known: Option<Self>, run: &Run, format: &dyn Format, range: Range<u32>, max: usize, many: bool) -> Self {
        let known = known.filter(|known| known.start <= range.start && range.start <= known.end());
        let Some(known) = known else {
            return Self::extend(None, run, format, range, max);
        };
        let start = if many && known.bytes.len() <= TAIL { known.start } else { range.start };
        let kept = (known.offset(range.start) - known.offset(start)) as usize;
        Self::extend(Some(&known), run, format, start..range.end, max.saturating_add(kept))
    }

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
        Self { start: range.start, ends, room: bytes.capacity(), bytes: bytes.freeze() }
    }

    /// Returns the bytes that a cached window takes in memory.
    fn footprint(&self) -> usize {
        size_of::<Joined>() + size_of::<Cached>() + self.room + self.ends.capacity() * size_of::<u32>()
    }

    /// The place after the last event.
    fn end(&self) -> u32 {
        self.start + self.ends.len() as u32
    }

    /// Returns the offset of the event in a place, which is at or before this window's end.
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
    fn cut(&self, range: &Range<u32>, max: usize) -> Cut {
        let (start, from) = (range.start, self.offset(range.start) as usize);
        let mut end = range.end.min(self.end());
        if self.offset(end) as usize - from > max {
            let ends = &self.ends[(start - self.start) as usize..(end - self.start) as usize];
            let fit = ends.partition_point(|&end| end as usize - from <= max).max(1);
            end = start + fit as u32;
        }
        Cut { start, end, bytes: self.bytes.slice(from..self.offset(end) as usize) }
    }
}
