use crate::hub::log::fill::WHOLE;
use crate::hub::log::log::Log;
use crate::hub::shared::Shared;
use crate::hub::subscription::reader::Reader;
use crate::model::{Cursor, Gap, GapReason};

/// Cursor of a client that has received nothing of a state: no hub has this epoch.
pub(crate) const NOWHERE: Cursor = Cursor::new(0, 0);

/// Returns the gap of a topic at the start: of events up to a sequence, or of forgotten removals in a keyed topic.
#[cold]
pub(crate) fn evicted_gap(shared: &Shared, log: &Log, sequence: u64) -> Gap {
    match log.is_keyed() {
        true => state_gap(shared, log, GapReason::Evicted, sequence),
        false => log.gap(GapReason::Evicted, shared.cursor(sequence)),
    }
}

/// Returns the gap of a keyed topic whose removals were forgotten up to a sequence. The whole state follows, so the cursor is
/// before all events: a client that is cut there gets the gap again.
#[cold]
pub(crate) fn state_gap(shared: &Shared, log: &Log, reason: GapReason, forgotten: u64) -> Gap {
    log.gap(reason, shared.cursor(0)).with_gone(shared.cursor(forgotten)).with_snapshot()
}

/// Returns the cursor of a client that has received a state in part. `is_new`: it began without a cursor, and so starts over
/// until it has an event. `base` is the sequence up to which it needs no removal, if it lacks a part of the state.
#[cold]
pub(crate) fn state_cursor(shared: &Shared, sequence: u64, is_new: bool, base: Option<u64>) -> Cursor {
    let cursor = shared.cursor(sequence);
    match base {
        _ if sequence == 0 && is_new => NOWHERE,
        Some(base) if sequence > 0 && base > sequence => cursor.with_tag(base),
        _ => cursor,
    }
}

impl Reader {
    /// Returns the sequence up to which the reader needs no removal, in a keyed topic: the present one if none was published
    /// since, so that the last event of a quiet topic is no bound for the removals of others. `sequence` is the subscription's.
    #[cold]
    pub(crate) fn base(&self, shared: &Shared, sequence: u64) -> Option<u64> {
        let base = self.log.is_keyed().then_some(self.stepped).filter(|&base| base != WHOLE)?.max(sequence);
        // Loaded before the look under the lock: every event of this topic up to here is in the log by then.
        let published = shared.published.load();
        let has_removal = self.log.state().last_removal() > base;
        Some(if has_removal { base } else { base.max(published) })
    }
}
