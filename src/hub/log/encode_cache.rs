use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::contract::{Encoder, EntryBlock, Format, place};
use crate::hub::budget::budget::Charge;
use crate::hub::log::kept::KeptBytes;
use crate::hub::sync::{RwLock, RwLockReadGuard};

/// Number of subscriptions of a topic from which a window also keeps bytes for the readers that are behind.
const SHARED_FROM: u32 = 16;
/// Number of bytes of already delivered events that a new window keeps for readers that are a little behind.
const TAIL: usize = 4 * 1024;

/// Encode-once cache of one segment: for each format one window of contiguous events in one shared `Bytes`.
///
/// Subscribers at the same position get slices of the same bytes. A window that ends before the requested events is
/// replaced by a longer one: the known bytes are copied, and only the new events are encoded. Readers that find their
/// bytes here do not block each other.
#[derive(Debug)]
pub(crate) struct EncodeCache {
    pub(super) places: [Place; place::COUNT],
}

pub(super) type Place = RwLock<Option<Box<CachedWindow>>>;

#[derive(Debug)]
pub(super) struct CachedWindow {
    pub(super) window: Window,
    /// Slice of the reader that filled it: most later readers are at the same position.
    first: Cut,
    /// Copies of the first readers that left out events between others.
    pub(super) selected: Vec<KeptBytes>,
    _charge: Charge,
}

/// Segment whose events are encoded.
pub(crate) trait CacheSource {
    /// Returns the block with the events.
    fn events(&self) -> &EntryBlock;

    /// Notes that the cache of the segment was filled.
    fn cache_filled(&self);
}

/// Reader for which events are encoded.
pub(crate) trait CacheReader: Copy {
    /// Returns whether no other reader reads the events.
    fn is_alone(self) -> bool;

    /// Returns the number of subscriptions of the log.
    fn subscriptions(self) -> u32;

    /// Makes room for a cache and charges its bytes. Returns `None` if the cache is not to be kept.
    fn charge(self, bytes: usize) -> Option<Charge>;
}

/// Consecutive events of a window: their places, and their bytes.
#[derive(Debug, Clone)]
struct Cut {
    start: u32,
    end: u32,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Place of the first event.
    start: u32,
    /// End of each event in `bytes`.
    ends: Vec<u32>,
    pub(super) bytes: Bytes,
    /// Size of the allocation of the bytes.
    room: usize,
}

impl Default for EncodeCache {
    fn default() -> Self {
        Self { places: std::array::from_fn(|_| RwLock::new(None)) }
    }
}

impl EncodeCache {
    /// Returns the first of these events, encoded, and the place after the last of them.
    #[inline(always)]
    pub(crate) fn encode(
        &self,
        source: &impl CacheSource,
        format: &dyn Format,
        range: Range<u32>,
        max: usize,
        reader: impl CacheReader,
    ) -> (Bytes, u32) {
        let Some(place) = format.slot().and_then(|slot| self.places.get(slot.index())) else {
            return alone(source, format, range, max);
        };
        let cached = place.read();
        match cached.as_deref() {
            Some(CachedWindow { first, .. }) if first.is_all(&range, max) => (first.bytes.clone(), first.end),
            _ => cut_or_fill(place, cached, source, format, range, max, reader),
        }
    }

    /// Empties the cache of every format.
    pub(crate) fn clear(&self) {
        for place in &self.places {
            let cached = place.write().take();
            drop(cached);
        }
    }
}

/// Encodes events for one reader only.
#[inline(never)]
pub(crate) fn alone(source: &impl CacheSource, format: &dyn Format, range: Range<u32>, max: usize) -> (Bytes, u32) {
    let start = range.start;
    let (bytes, count) = Encoder::encode(source.events().published(range), format, max);
    (bytes, start + count)
}

/// Returns events of the window, for readers that are behind or request less. Otherwise fills the place.
#[inline(never)]
fn cut_or_fill(
    place: &Place,
    cached: RwLockReadGuard<'_, Option<Box<CachedWindow>>>,
    source: &impl CacheSource,
    format: &dyn Format,
    range: Range<u32>,
    max: usize,
    reader: impl CacheReader,
) -> (Bytes, u32) {
    let window = cached.as_deref().map(|cached| &cached.window);
    if let Some(window) = window.filter(|window| window.holds(&range, max)) {
        return window.cut(&range, max);
    }
    let known = window.cloned();
    drop(cached);
    if reader.is_alone() {
        return alone(source, format, range, max);
    }
    fill(place, known, source, format, range.clone(), max, reader, |window| window.cut(&range, max))
}

/// Encodes the events that are not known yet, and keeps them if there is room. Returns the result of `take`.
#[cold]
#[allow(clippy::too_many_arguments, reason = "all of them are needed under no lock")]
pub(super) fn fill<T>(
    place: &Place,
    known: Option<Window>,
    source: &impl CacheSource,
    format: &dyn Format,
    range: Range<u32>,
    max: usize,
    reader: impl CacheReader,
    take: impl FnOnce(&Window) -> T,
) -> T {
    // Encoded outside of the lock: a format is the adapter's code. Two threads may do it at once; one result stays.
    let many = reader.subscriptions() >= SHARED_FROM;
    let window = Window::grow(known, source.events(), format, range.clone(), max, many);
    let (bytes, end) = window.cut(&range, max);
    let (first, taken) = (Cut { start: range.start, end, bytes }, take(&window));
    let Some(_charge) = reader.charge(window.footprint()) else {
        return taken;
    };
    let fresh = Box::new(CachedWindow { window, first, selected: Vec::new(), _charge });
    let mut cached = place.write();
    let longer = cached.as_deref().is_none_or(|CachedWindow { window: old, .. }| {
        fresh.window.end() > old.end() || fresh.window.start < old.start
    });
    let unused = if longer { cached.replace(fresh) } else { Some(fresh) };
    drop(cached);
    drop(unused);
    source.cache_filled();
    taken
}

impl Cut {
    /// Returns whether this is all of the range, within `max` bytes.
    #[inline]
    fn is_all(&self, range: &Range<u32>, max: usize) -> bool {
        self.start == range.start && self.end == range.end && self.bytes.len() <= max
    }
}

impl Window {
    /// Returns a window that holds the start of the range, with the known bytes copied. For many readers it also keeps
    /// a few earlier events, for those that are behind.
    fn grow(
        known: Option<Self>,
        block: &EntryBlock,
        format: &dyn Format,
        range: Range<u32>,
        max: usize,
        many: bool,
    ) -> Self {
        let known = known.filter(|known| known.start <= range.start && range.start <= known.end());
        let Some(known) = known else {
            return Self::extend(None, block, format, range, max);
        };
        let start = if many && known.bytes.len() <= TAIL { known.start } else { range.start };
        let kept = (known.offset(range.start) - known.offset(start)) as usize;
        Self::extend(Some(&known), block, format, start..range.end, max.saturating_add(kept))
    }

    /// Returns the window of the events in `range`, within `max` bytes, with the known bytes copied.
    fn extend(known: Option<&Self>, block: &EntryBlock, format: &dyn Format, range: Range<u32>, max: usize) -> Self {
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
            for event in block.published(at..range.end.max(at)) {
                format.encode(&event, &mut bytes);
                ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                if bytes.len() > max {
                    break;
                }
            }
        }
        Self { start: range.start, ends, room: bytes.capacity(), bytes: bytes.freeze() }
    }

    /// Returns the size in memory, in a cache.
    fn footprint(&self) -> usize {
        size_of::<EncodeCache>() + size_of::<CachedWindow>() + self.room + self.ends.capacity() * size_of::<u32>()
    }

    /// Returns the place after the last event.
    pub(super) fn end(&self) -> u32 {
        self.start + self.ends.len() as u32
    }

    /// Returns the offset of the event in a place, at most that of the window's end.
    pub(super) fn offset(&self, place: u32) -> u32 {
        match (place - self.start) as usize {
            0 => 0,
            n => self.ends[n - 1],
        }
    }

    /// Returns whether the window holds all events of this range that fit.
    pub(super) fn holds(&self, range: &Range<u32>, max: usize) -> bool {
        self.start <= range.start
            && range.start < self.end()
            && (range.end <= self.end() || self.bytes.len() - self.offset(range.start) as usize >= max)
    }

    /// Returns the bytes of the first events of the range, and the place after the last of them: at least one event,
    /// otherwise at most `max` bytes.
    fn cut(&self, range: &Range<u32>, max: usize) -> (Bytes, u32) {
        let (start, from) = (range.start, self.offset(range.start) as usize);
        let mut end = range.end.min(self.end());
        if self.offset(end) as usize - from > max {
            let ends = &self.ends[(start - self.start) as usize..(end - self.start) as usize];
            let fit = ends.partition_point(|&end| end as usize - from <= max).max(1);
            end = start + fit as u32;
        }
        (self.bytes.slice(from..self.offset(end) as usize), end)
    }
}
