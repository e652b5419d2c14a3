use std::sync::Arc;

use crate::hub::log::append::Appended;
use crate::hub::log::end_mark::{EndMark, LogEnd};
use crate::hub::log::log::{Log, LogState};

/// The end of the topic in its log.
impl Log {
    /// Ends the topic. Returns the registrations of the subscriptions that wait. Called under the sequencer, by which a
    /// publisher that takes it later finds that the log refuses events.
    pub(crate) fn finish(self: &Arc<Self>, state: &mut LogState, mark: EndMark, queues: bool) -> Appended {
        state.end = Some(Box::new(LogEnd::new(mark)));
        state.is_over = true;
        self.refuses.set(true);
        state.take_registered(queues)
    }

    /// Forgets the end of the topic, at once or when the last subscription that has not read it has read it or has ended.
    pub(crate) fn forget_end(&self) {
        let mut state = self.state();
        if let Some(end) = &mut state.end {
            end.is_forgotten = true;
            if state.subscriptions == 0 {
                state.reopen_forgotten(self);
            }
        }
    }
}

/// The end of the topic in its log.
impl LogState {
    /// Returns the end of the topic, if it has ended.
    pub(crate) fn end_mark(&self) -> Option<&EndMark> {
        self.end.as_ref().map(|end| &end.mark)
    }

    /// Makes a topic whose end is forgotten accept events again. Called when no subscription is left here.
    #[cold]
    #[inline(never)]
    pub(crate) fn reopen_forgotten(&mut self, log: &Log) {
        if self.end.as_ref().is_some_and(|end| end.is_forgotten) {
            self.end = None;
            // A subscription that began before the close may be about to count here.
            self.is_over = self.is_closed;
            log.refuses.set(self.dropped);
        }
    }
}
