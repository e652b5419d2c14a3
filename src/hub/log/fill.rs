//! Fills: the events of the state of a [keyed](crate::Retention::latest_per_key) topic, read in *fill segments*.
//!
//! A fill segment is a sealed segment with up to 256 events of the state, in the order of their sequences. A reader in a fill
//! has a position by sequence and not by index. When it has read a fill segment, the log returns the next one, or the
//! index at which the reader continues in the log.

use std::cmp::Ordering;
use std::sync::{Arc, Weak};

use crate::contract::Entry;
use crate::hub::holds::{STRETCH, count_steps};
use crate::hub::log::log::{Log, LogState};
use crate::hub::log::segment::{FreedSegment, Segment};
use crate::hub::log::state_chain::StateChain;

/// Bit of the index of a reader in a fill. With a fill segment in hand, the other bits are the place in it. Without one, they
/// are the sequence after which the reader continues.
const FILL: u64 = 1 << 62;
/// Base of a reader that has read nothing of a state.
pub(crate) const WHOLE: u64 = u64::MAX;
/// Weight at which a fill segment is complete.
const WEIGHT: usize = 64 * 1024;

/// Index of a reader that continues a fill after a sequence.
pub(crate) const fn fill_after(sequence: u64) -> u64 {
    FILL | sequence
}

/// Returns whether an index is that of a reader in a fill.
#[inline]
pub(crate) const fn is_fill(index: u64) -> bool {
    index >> 62 == 1
}

/// Returns the sequence after which a reader without a fill segment continues.
pub(crate) const fn filled_up_to(index: u64) -> u64 {
    index & !FILL
}

/// Returns the index in a fill of a reader that has read the places before this one.
pub(crate) fn fill_after_place(segment: &Segment, place: u32) -> u64 {
    fill_after(match segment.sequence(place) {
        0 => segment.sequence(segment.len().saturating_sub(1)),
        next => next - 1,
    })
}

/// Continuation of a reader of a keyed log that is in a fill, or whose index has left memory.
#[derive(Debug)]
pub(crate) enum Fill {
    /// Events of the state.
    Segment {
        segment: Arc<Segment>,
        /// Index of the first of them.
        index: u64,
        /// Sequence up to which the reader needs no removal.
        base: u64,
    },
    /// The state has no event of interest up to this sequence, and there may be more.
    Nothing { up_to: u64, base: u64 },
    /// Events of the log. Everything up to the sequence is read.
    Log { index: u64, sequence: u64 },
    /// Removals that the reader needs are forgotten, the last of them with this sequence.
    Lost { forgotten: u64 },
}

/// Values that are dropped without a lock.
#[derive(Debug, Default)]
pub(crate) struct ReplacedChain(Option<Arc<StateChain>>, Option<FreedSegment>);

impl LogState {
    /// Returns the continuation of a reader that has read everything up to `after`, of a state from which it needs no removal
    /// up to `base`. With the base [`WHOLE`] it has read nothing, and gets the whole state.
    pub(crate) fn fill(&mut self, log: &Log, after: u64, base: u64) -> (Fill, ReplacedChain) {
        let (gone, next, last) = (self.gone, self.next, self.last());
        let in_log = |state: &Self, sequence| Fill::Log { index: state.index_after(sequence), sequence };
        let Some(keyed) = self.history.as_mut().and_then(|history| history.state.as_mut()) else {
            return (in_log(self, after), ReplacedChain::default());
        };
        let changes = keyed.changes;
        let is_current = |chain: &Arc<StateChain>| {
            gone <= chain.watermark && 2 * (changes - chain.changes) <= chain.keys as u64 && !chain.is_cleared()
        };
        let mut replaced = ReplacedChain::default();
        if base == WHOLE && !keyed.chain.as_ref().is_some_and(is_current) {
            let chain = StateChain::new(last, next, keyed.keys(), changes, &log.pool.budget);
            replaced.0 = keyed.chain.replace(chain);
        }
        // Removals that the chain lacks, or that its readers would need again.
        let has_removals = |chain: &Arc<StateChain>| match chain.watermark.cmp(&base) {
            Ordering::Greater => keyed.last_removal() > base.max(after),
            Ordering::Less => base != WHOLE && keyed.last_removal() > chain.watermark,
            Ordering::Equal => false,
        };
        let chain = keyed.chain.as_ref().filter(|chain| is_current(chain) && !has_removals(chain));
        if let Some(chain) = chain.filter(|chain| after <= chain.end()).cloned() {
            let base = if base == WHOLE { chain.watermark } else { base };
            let fill =
                |(segment, place): (Arc<Segment>, u32)| Fill::Segment { segment, index: FILL | u64::from(place), base };
            if let Some(found) = chain.after(after) {
                return (fill(found), replaced);
            }
            let range = chain.end() + 1..=chain.watermark;
            if range.is_empty() {
                return (Fill::Log { index: chain.index, sequence: chain.watermark }, replaced);
            }
            let (entries, end) = few(keyed.newest.range(range), |entry| !entry.event.is_removal());
            let (segment, end) = (fill_segment(log, &entries), end.unwrap_or(chain.watermark));
            let _ = chain.push(segment.clone(), end);
            let found = segment.map(|segment| fill((segment, 0)));
            return (found.unwrap_or(Fill::Nothing { up_to: end, base }), replaced);
        }
        if gone <= after {
            return (in_log(self, after), replaced);
        }
        if keyed.forgotten > base.max(after) {
            return (Fill::Lost { forgotten: keyed.forgotten }, replaced);
        }
        let (base, needed) = (if base == WHOLE { last } else { base }, base.max(after));
        let (entries, end) =
            few(keyed.newest.range(after + 1..), |entry| !entry.event.is_removal() || entry.sequence > needed);
        let fill = match (fill_segment(log, &entries), end) {
            (Some(segment), _) => {
                // Counts as evicted history that a reader holds.
                replaced.1 = Some(FreedSegment::new(Arc::clone(&segment)));
                Fill::Segment { segment, index: FILL, base }
            }
            (None, Some(up_to)) => Fill::Nothing { up_to, base },
            (None, None) => Fill::Log { index: next, sequence: last },
        };
        (fill, replaced)
    }
}

/// Returns those of the first entries that are wanted. At most 256 are looked at. Also returns the sequence of the last one,
/// if there may be more.
fn few<'a>(
    entries: impl Iterator<Item = (&'a u64, &'a Entry)>,
    is_wanted: impl Fn(&Entry) -> bool,
) -> (Vec<Entry>, Option<u64>) {
    let (mut wanted, mut weight) = (Vec::new(), 0);
    for (looks, (&sequence, entry)) in (1..).zip(entries) {
        count_steps(1);
        if is_wanted(entry) {
            weight += entry.event.weight();
            wanted.push(entry.clone());
        }
        if looks == STRETCH || weight >= WEIGHT {
            return (wanted, Some(sequence));
        }
    }
    (wanted, None)
}

/// Returns a sealed segment of these entries, if there are any.
fn fill_segment(log: &Log, entries: &[Entry]) -> Option<Arc<Segment>> {
    let topic = log.name.as_topic().filter(|_| !entries.is_empty())?;
    let segment = Segment::new(topic.clone(), FILL, entries.len(), false, log.pool.epoch, &log.pool.budget);
    entries.iter().for_each(|entry| segment.push(topic, entry.clone()));
    segment.seal(Weak::new());
    Some(segment)
}
