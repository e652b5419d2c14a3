use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::contract::{Encoder, Format};
use crate::hub::log::encode_cache::{CacheReader, CacheSource, CachedWindow, EncodeCache, Place, Window, fill};
use crate::hub::log::kept::{Kept, KeptBytes};

/// Number of copies of events that are not adjacent, for readers that keep the same ones.
const SELECTED: usize = 4;

impl EncodeCache {
    /// Returns the first of the kept events, encoded, their number, and the place after the last event that was looked at. One
    /// event is kept at least. `unread` are the written places from the first of `kept` on.
    ///
    /// The window holds the other events, too, so that each is encoded once for readers that keep different ones. Readers
    /// that keep the same events as the first one share the copy of their bytes.
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "the events, their form and their reader")]
    pub(crate) fn encode_kept(
        &self,
        source: &impl CacheSource,
        format: &dyn Format,
        kept: Kept,
        unread: Range<u32>,
        max: usize,
        reader: impl CacheReader,
    ) -> (Bytes, u32, u32) {
        let Some(place) = format.slot().and_then(|slot| self.places.get(slot.index())) else {
            return alone_kept(source, format, kept, max);
        };
        let cached = place.read();
        if let Some(CachedWindow { window, selected, .. }) = cached.as_deref() {
            if let Some(selected) = selected.iter().find(|selected| selected.is_all(kept, max)) {
                return (selected.bytes.clone(), kept.count(), kept.range().end);
            }
            if window.holds(&kept.range(), max) {
                let taken = window.cut_kept(kept, max);
                let is_new = selected.len() < SELECTED && taken.2 == kept.range().end && kept.only_run().is_none();
                drop(cached);
                if is_new {
                    select(place, kept, &taken.0, reader);
                }
                return taken;
            }
        }
        let known = cached.as_deref().map(|cached| cached.window.clone());
        drop(cached);
        if reader.is_alone() {
            return alone_kept(source, format, kept, max);
        }
        fill(place, known, source, format, unread, max, reader, |window| window.cut_kept(kept, max))
    }
}

/// Encodes the kept events for one reader only.
#[inline(never)]
pub(crate) fn alone_kept(source: &impl CacheSource, format: &dyn Format, kept: Kept, max: usize) -> (Bytes, u32, u32) {
    let (mut encoder, mut end) = (Encoder::new(format, max), kept.range().end);
    for place in kept.runs().flatten() {
        if !source.events().published(place..place + 1).all(|event| encoder.push(&event)) {
            end = place;
            break;
        }
    }
    let (bytes, count) = encoder.finish();
    (bytes, count, end)
}

/// Keeps a copy of kept events if there is room.
#[cold]
fn select(place: &Place, kept: Kept, bytes: &Bytes, reader: impl CacheReader) {
    let Some(_charge) = reader.charge(size_of::<KeptBytes>() + bytes.len()) else {
        return;
    };
    let selected = KeptBytes { kept, bytes: bytes.clone(), _charge };
    let mut cached = place.write();
    let unused = match cached.as_deref_mut() {
        Some(cached) if cached.selected.len() < SELECTED => {
            cached.selected.push(selected);
            None
        }
        _ => Some(selected),
    };
    drop(cached);
    drop(unused);
}

impl Window {
    /// Returns the bytes of the first kept events, their number, and the place after the last event that was looked at: at
    /// most that of the window's end. The bytes are shared if the events are adjacent, otherwise copied.
    fn cut_kept(&self, kept: Kept, max: usize) -> (Bytes, u32, u32) {
        let Range { start, end } = kept.range();
        let mut end = end.min(self.end());
        let from = self.offset(start);
        let whole = (self.offset(end) - from) as usize;
        if whole > max {
            end = self.end_of_fitting(kept, end, max);
        }
        let clip = |run: Range<u32>| run.start..run.end.min(end);
        let mut runs = kept.runs().map(clip).take_while(|run| !run.is_empty());
        let bytes_of = |run: &Range<u32>| self.offset(run.start) as usize..self.offset(run.end) as usize;
        let Some(first) = runs.next() else {
            return (Bytes::new(), 0, end);
        };
        let mut count = first.end - first.start;
        let Some(second) = runs.next() else {
            return (self.bytes.slice(bytes_of(&first)), count, end);
        };
        // The client may hold the bytes for long.
        let len = kept.runs().map(clip).take_while(|run| !run.is_empty()).map(|run| bytes_of(&run).len()).sum();
        let mut bytes = BytesMut::with_capacity(len);
        bytes.extend_from_slice(&self.bytes[bytes_of(&first)]);
        for run in std::iter::once(second).chain(runs) {
            bytes.extend_from_slice(&self.bytes[bytes_of(&run)]);
            count += run.end - run.start;
        }
        (bytes.freeze(), count, end)
    }

    /// Returns the place of the first kept event that does not fit, or `end`. The first kept event fits.
    #[cold]
    fn end_of_fitting(&self, kept: Kept, end: u32, max: usize) -> u32 {
        let mut len = 0;
        for place in kept.runs().flatten().take_while(|&place| place < end) {
            let one = (self.offset(place + 1) - self.offset(place)) as usize;
            if len > 0 && len + one > max {
                return place;
            }
            len += one;
        }
        end
    }
}
