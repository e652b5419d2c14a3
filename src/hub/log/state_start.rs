use crate::hub::log::fill::{WHOLE, fill_after};
use crate::hub::log::keyed_state::KeyedState;
use crate::hub::log::log::{Log, LogState};
use crate::hub::log::seek::{EndAhead, StartAt, StartPoint};
use crate::model::Overflow;

/// Start of a subscription in a keyed topic.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StateStart {
    /// With the whole state, and then changes.
    Whole,
    /// With the changes after a sequence, of which the client needs no removal up to `base`.
    After { sequence: u64, base: u64 },
}

/// Start of a subscription in its topics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starts {
    /// In topics that are not keyed.
    pub(crate) plain: StartAt,
    pub(crate) keyed: StateStart,
}

impl Starts {
    /// Returns the start of a topic that the client did not follow up to its cursor.
    pub(crate) fn added(plain: StartAt) -> Self {
        Self { plain: plain.added(), keyed: StateStart::Whole }
    }

    /// Returns whether a keyed topic begins with its whole state.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.keyed, StateStart::Whole)
    }
}

impl Log {
    /// Returns whether the newest event of each key is kept.
    #[inline]
    pub(crate) fn is_keyed(&self) -> bool {
        self.keyed.is_on()
    }
}

impl LogState {
    /// Returns the state of a keyed topic that had an event.
    pub(crate) fn keyed(&self) -> Option<&KeyedState> {
        self.history().state.as_deref()
    }

    /// Returns the sequence of the newest removal that may have been published in a keyed topic.
    pub(crate) fn last_removal(&self) -> u64 {
        self.keyed().map_or(self.evicted, KeyedState::last_removal)
    }

    /// Returns whether the state has keys or removals.
    pub(crate) fn has_state(&self) -> bool {
        self.keyed().is_some_and(|keyed| !keyed.is_empty())
    }

    /// Returns the position of a start, in a keyed topic or in another one. History must have been evicted up to the present
    /// before.
    #[inline]
    pub(crate) fn place_in(&self, start: Starts, overflow: Overflow) -> StartPoint {
        match self.retention.state {
            None => self.place(start.plain, overflow),
            Some(_) => self.place_keyed(start.keyed),
        }
    }

    #[cold]
    #[inline(never)]
    fn place_keyed(&self, start: StateStart) -> StartPoint {
        match start {
            StateStart::Whole => self.whole(None),
            // Everything after the sequence is in memory.
            StateStart::After { sequence, .. } if self.evicted.min(self.gone) <= sequence => StartPoint {
                end: self.end_ahead(StartAt::After(sequence)),
                base: sequence,
                ..self.place(StartAt::Live(sequence), Overflow::Gap)
            },
            StateStart::After { sequence, base } => {
                let needed = base.max(sequence);
                let forgotten = self.keyed().map_or(self.evicted, |keyed| keyed.forgotten);
                if forgotten > needed {
                    return self.whole(Some(forgotten));
                }
                let head = self.keyed().and_then(|keyed| keyed.first_after(sequence, needed));
                // Events of the log that are not in the state, which a reader gets after the shared state.
                let in_log = self.place(StartAt::Live(sequence), Overflow::Gap).head;
                let head = head.into_iter().chain(in_log).min();
                let end = self.end_ahead(StartAt::After(sequence));
                StartPoint { index: fill_after(sequence), head, gap: None, end, base }
            }
        }
    }

    /// Returns the position before the whole state, with the sequence of the newest forgotten removal if the client must
    /// forget its state.
    fn whole(&self, gap: Option<u64>) -> StartPoint {
        let head = self.keyed().and_then(|keyed| keyed.first_after(0, u64::MAX));
        let end = self.end_mark().map_or(EndAhead::None, |mark| EndAhead::At(mark.sequence));
        match head {
            Some(_) => StartPoint { index: fill_after(0), head, gap, end, base: WHOLE },
            None => StartPoint { index: self.next, head, gap, end, base: self.last() },
        }
    }
}
