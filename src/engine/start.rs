use std::sync::Arc;

use crate::contract::{Start, Subscribe, SubscribeError, SubscribeOptions};
use crate::engine::ends::ends;
use crate::engine::fill::Fill;
use crate::engine::history::{History, ReadFrom, ReadRange, ReadState};
use crate::engine::subscription::HistorySubscription;
use crate::hub::{LocalHub, Subscription};
use crate::model::{Cursor, Gap, GapReason, Pattern};

/// Epochs of a history.
///
/// Each open of a history begins an epoch. Sequences continue, so a cursor is one of the history if its epoch is known and
/// not before its sequence: a history that was replaced by an older copy of itself does not know the epochs that it lacks.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownEpochs {
    /// Earlier epochs, each with the last sequence of the history in it.
    pub(crate) earlier: Vec<(u64, u64)>,
}

impl KnownEpochs {
    /// Returns the last sequence of an epoch.
    pub(crate) fn last(&self, epoch: u64) -> Option<u64> {
        self.earlier.iter().find(|(earlier, _)| *earlier == epoch).map(|(_, last)| *last)
    }

    /// Returns the cursor of a sequence, in the first epoch that has it. `epoch` is the one after the earlier ones.
    #[cfg(feature = "disk")]
    pub(crate) fn cursor(&self, sequence: u64, epoch: u64) -> Cursor {
        let found = self.earlier.iter().find(|(_, last)| *last >= sequence);
        Cursor::new(found.map_or(epoch, |(earlier, _)| *earlier), sequence)
    }
}

/// Hub in memory, and the history that it continues.
pub(crate) struct Continued<'a> {
    pub(crate) hub: &'a LocalHub,
    pub(crate) history: &'a Arc<dyn History>,
    pub(crate) epochs: &'a KnownEpochs,
    /// Epoch of the hub.
    pub(crate) epoch: u64,
    /// Sequence after which the hub has the events of the subscription, as far as its memory reaches.
    pub(crate) base: u64,
    /// Position after which topics start that start now. `None`: that of the hub.
    pub(crate) now: Option<u64>,
    /// Whether events before the client's cursor are missing.
    pub(crate) is_late: bool,
}

/// Start of a client.
enum Resume {
    /// The cursor is one of the history.
    After(Cursor),
    /// The cursor is of an epoch that the history does not know, or does not know so far.
    Lost,
    /// The client has received nothing of a state.
    Nowhere,
    /// The cursor is of the epoch of the hub, which does not know it, or there is no cursor.
    Live,
}

/// Cursor of a client that has received nothing of a state.
const NOWHERE: Cursor = Cursor::new(0, 0);

impl Continued<'_> {
    /// Begins a subscription.
    pub(crate) fn subscribe(&self, what: Subscribe) -> Result<HistorySubscription, SubscribeError> {
        let (names, options) = what.clone().into_parts()?;
        let mut what = what;
        let disconnects = what.options.disconnect();
        let mut now = what.clone();
        now.options.continue_now();
        let mut began = self.hub.cursor().sequence();
        let range = |name: &Pattern| {
            let state = self.hub.may_keep_state(name).then(ReadState::default);
            ReadRange { state, ..ReadRange::new(name.clone()) }
        };
        let ranges: Arc<[_]> = names.iter().map(range).collect();
        let is_keyed = ranges.iter().any(|range| range.state.is_some());
        let resume = match options.start() {
            Start::After(NOWHERE) if is_keyed => Resume::Nowhere,
            Start::After(cursor) => self.resume(cursor, is_keyed),
            Start::Now | Start::Oldest | Start::Last(_) | Start::Unreadable => Resume::Live,
        };
        let is_past = |range: &ReadRange| read_from(&options, &range.name).is_some();
        let is_unreadable = options.start() == Start::Unreadable;
        let in_memory = match resume {
            Resume::After(cursor) => {
                let live = self.in_memory(&what, cursor)?;
                began = if live.is_some() { cursor.sequence() } else { began };
                live
            }
            Resume::Live if !ranges.iter().any(is_past) && (self.now.is_none() || is_unreadable) => {
                // Events that were published meanwhile may have left memory.
                Some(self.hub.subscribe(what)?).filter(|live| options.start() != Start::Now || live.is_complete())
            }
            Resume::Live | Resume::Lost | Resume::Nowhere => None,
        };
        let (live, fill) = match in_memory {
            Some(live) => (live, None),
            None => {
                let (live, newest) = Subscription::begin(self.hub.shared(), &now)?;
                let fill = self.fill(&resume, &ranges, &options, newest);
                let after = match resume {
                    Resume::After(cursor) => cursor.sequence(),
                    Resume::Lost | Resume::Nowhere | Resume::Live => 0,
                };
                let (ends, are_all) = ends(&live, &ranges, after, newest);
                let fill = match fill {
                    None if !ends.is_empty() => Some(Fill::after(self.epoch, Arc::new([]), newest, newest)),
                    fill => fill,
                };
                (live, fill.map(|fill| fill.with_ends(ends, are_all)))
            }
        };
        let (history, epoch, filter) = (Arc::clone(self.history), self.epoch, options.into_filter());
        let (is_behind, is_too_slow) = (false, false);
        Ok(HistorySubscription {
            live,
            what: now,
            history,
            epoch,
            ranges,
            began,
            filter,
            disconnects,
            fill,
            is_behind,
            is_too_slow,
        })
    }

    /// Returns the events to read from the history before those in memory, which begin after `newest`.
    fn fill(&self, resume: &Resume, ranges: &[ReadRange], options: &SubscribeOptions, newest: u64) -> Option<Fill> {
        let whole = || ranges.iter().map(|range| range.with_whole_states(newest));
        Some(match resume {
            Resume::After(cursor) => {
                let (sequence, base) = (cursor.sequence(), cursor.tag().unwrap_or(cursor.sequence()));
                let resumed = ranges.iter().map(|range| match options.is_added(&range.name) {
                    true => range.resumed(sequence, base).with_whole_states(newest),
                    false => range.resumed(sequence, base),
                });
                let fill = Fill::after(self.epoch, resumed.collect(), sequence, newest).with_states();
                let late = Gap::new(GapReason::Evicted, Cursor::new(self.epoch, sequence));
                if self.is_late { fill.with_opening(late) } else { fill }
            }
            Resume::Lost => {
                let gap = Gap::new(GapReason::Epoch, Cursor::new(self.epoch, 0));
                let gap = match ranges.iter().any(|range| range.state.is_some()) {
                    true => gap.with_gone(Cursor::new(self.epoch, newest)).with_snapshot(),
                    false => gap,
                };
                Fill::after_gap(gap, whole().collect(), newest)
            }
            Resume::Nowhere => Fill::start(self.epoch, whole().collect(), newest, newest),
            Resume::Live => {
                let since = self.now.unwrap_or(newest);
                let past = whole().filter_map(|range| match read_from(options, &range.name) {
                    Some(from) => Some(ReadRange { from, ..range }),
                    None if since < newest => Some(ReadRange { after: since, ..range }),
                    // Only the states of its topics.
                    None => range.state.is_some().then_some(ReadRange { after: newest, ..range }),
                });
                let past: Arc<[_]> = past.collect();
                if past.is_empty() {
                    return None;
                }
                match ranges.iter().all(|range| range.state.is_none() && read_from(options, &range.name).is_none()) {
                    true => Fill::after(self.epoch, past, since, newest),
                    false => Fill::start(self.epoch, past, newest, since),
                }
            }
        })
    }

    /// Begins a subscription in memory after a cursor, if memory has all events after it.
    fn in_memory(&self, what: &Subscribe, cursor: Cursor) -> Result<Option<Subscription>, SubscribeError> {
        if cursor.sequence() < self.base || self.is_late {
            return Ok(None);
        }
        let own = Cursor::new(self.epoch, cursor.sequence());
        let own = cursor.tag().map_or(own, |tag| own.with_tag(tag));
        Ok(Some(self.hub.subscribe(what.clone().start(Start::After(own)))?).filter(Subscription::is_complete))
    }

    fn resume(&self, cursor: Cursor, is_keyed: bool) -> Resume {
        let last = cursor.sequence().max(cursor.tag().unwrap_or(0));
        if cursor.epoch() == self.epoch {
            let is_known = (cursor.tag().is_none() || is_keyed) && last <= self.hub.cursor().sequence();
            return if is_known { Resume::After(cursor) } else { Resume::Live };
        }
        match self.epochs.last(cursor.epoch()) {
            Some(end) if last <= end => Resume::After(cursor),
            _ => Resume::Lost,
        }
    }

    /// Returns whether a cursor without a tag is one of the history.
    pub(crate) fn contains(&self, cursor: Cursor) -> bool {
        cursor.epoch() == self.epoch || matches!(self.resume(cursor, false), Resume::After(_))
    }
}

/// Returns the events with which a topic or pattern starts; `None` if it starts now.
fn read_from(options: &SubscribeOptions, name: &Pattern) -> Option<ReadFrom> {
    match options.start_of(name) {
        Start::Oldest => Some(ReadFrom::Position),
        Start::Last(events) => Some(ReadFrom::Last(events)),
        Start::Now | Start::After(_) | Start::Unreadable => None,
    }
}
