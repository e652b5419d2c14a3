use std::sync::Arc;

use crate::contract::{Start, Subscribe, SubscribeError, SubscribeOptions};
use crate::engine::fill::Fill;
use crate::engine::history::{History, ReadFrom, ReadRange};
use crate::engine::subscription::EngineSubscription;
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

/// Hub in memory, and the history that it continues.
pub(crate) struct Continued<'a> {
    pub(crate) hub: &'a LocalHub,
    pub(crate) history: &'a Arc<dyn History>,
    pub(crate) epochs: &'a KnownEpochs,
    /// Epoch of the hub.
    pub(crate) epoch: u64,
    /// Sequence at which the hub began.
    pub(crate) base: u64,
}

/// Start of a client with a cursor.
enum Resume {
    /// The cursor is one of the history, with this sequence.
    After(u64),
    /// The cursor is of an epoch that the history does not know, or does not know so far.
    Lost,
    /// The hub decides: the cursor is of its epoch.
    Live,
}

impl Continued<'_> {
    /// Begins a subscription.
    pub(crate) fn subscribe(&self, what: Subscribe) -> Result<EngineSubscription, SubscribeError> {
        let (names, options) = what.clone().into_parts()?;
        let mut what = what;
        let disconnects = what.options.disconnect();
        let mut now = what.clone();
        now.options.start_now();
        let ranges = |from: &dyn Fn(&Pattern) -> Option<ReadFrom>| -> Arc<[ReadRange]> {
            names.iter().filter_map(|name| Some(ReadRange { name: name.clone(), from: from(name)? })).collect()
        };
        let all = ranges(&|_| Some(ReadFrom::Position));
        let mut fill = None;
        let resume = match options.start() {
            Start::After(cursor) => self.resume(cursor),
            Start::Now | Start::Oldest | Start::Last(_) | Start::Unreadable => Resume::Live,
        };
        let live = match resume {
            Resume::After(sequence) => match self.in_memory(&what, sequence)? {
                Some(live) => live,
                None => {
                    let (live, newest) = Subscription::begin(self.hub.shared(), &now)?;
                    fill = Some(Fill::after(self.epoch, Arc::clone(&all), sequence, newest));
                    live
                }
            },
            Resume::Lost => {
                let (live, newest) = Subscription::begin(self.hub.shared(), &now)?;
                let gap = Gap::new(GapReason::Epoch, Cursor::new(self.epoch, 0));
                fill = Some(Fill::after_gap(gap, Arc::clone(&all), newest));
                live
            }
            Resume::Live => {
                let past = ranges(&|name| read_from(&options, name));
                if past.is_empty() {
                    self.hub.subscribe(what)?
                } else {
                    let (live, newest) = Subscription::begin(self.hub.shared(), &now)?;
                    fill = Some(Fill::start(self.epoch, past, newest));
                    live
                }
            }
        };
        let (history, epoch, filter) = (Arc::clone(self.history), self.epoch, options.into_filter());
        let (ranges, is_too_slow) = (all, false);
        Ok(EngineSubscription { live, what: now, history, epoch, ranges, filter, disconnects, fill, is_too_slow })
    }

    /// Begins a subscription in memory after a sequence, if memory has all events after it.
    fn in_memory(&self, what: &Subscribe, sequence: u64) -> Result<Option<Subscription>, SubscribeError> {
        if sequence < self.base {
            return Ok(None);
        }
        let what = what.clone().start(Start::After(Cursor::new(self.epoch, sequence)));
        Ok(Some(self.hub.subscribe(what)?).filter(Subscription::is_complete))
    }

    fn resume(&self, cursor: Cursor) -> Resume {
        let (epoch, sequence) = (cursor.epoch(), cursor.sequence());
        if epoch == self.epoch {
            let is_known = cursor.tag().is_none() && sequence <= self.hub.cursor().sequence();
            return if is_known { Resume::After(sequence) } else { Resume::Live };
        }
        match self.epochs.earlier.iter().find(|(earlier, _)| *earlier == epoch) {
            Some(&(_, last)) if sequence <= last => Resume::After(sequence),
            _ => Resume::Lost,
        }
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
