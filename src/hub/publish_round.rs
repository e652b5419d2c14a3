use std::mem::take;
use std::sync::Arc;

use crate::contract::{Entry, PublishError, Receipt};
use crate::hub::log::append::Appended;
use crate::hub::log::end_mark::EndMark;
use crate::hub::log::log::Log;
use crate::hub::shared::{Sequencer, Shared};
use crate::hub::topics::finishing::Ending;
use crate::hub::wake::late_marks::Marking;
use crate::hub::wake::notifier::{NoNotifier, QueuedWaiters};
use crate::hub::wake::waiters::wake_all;
use crate::model::{EndReason, Event, Topic};

/// Events that are published together, at one time and with one round of wakes.
pub(crate) struct PublishRound<'a> {
    shared: &'a Shared,
    /// Time of the events.
    pub(crate) now: u64,
    /// Whether a notifier wakes the waiting subscriptions.
    queues: bool,
}

/// Event in its log, or the end of its topic, and the work that is left for the time after the sequencer is released.
pub(crate) struct AppendedEvent {
    pub(crate) receipt: Receipt,
    log: Arc<Log>,
    appended: Appended,
    /// Whether the inboxes of the followers are marked.
    is_marked: bool,
}

impl<'a> PublishRound<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, now: shared.now(), queues: shared.wakes.is_on() }
    }

    /// Assigns the next sequence to the event, appends it to its log, and marks the inboxes of the followers if they
    /// are few.
    pub(crate) fn append(
        &self,
        sequencer: &mut Sequencer,
        log: Arc<Log>,
        event: Event,
    ) -> Result<AppendedEvent, PublishError> {
        let sequence = sequencer.last + 1;
        let (mut log, mut entry) = (log, Entry { sequence, at: self.now, event });
        let appended = loop {
            // Before the append: a reader that finds the event, or that it is evicted, finds its topic.
            self.shared.recent.push(&mut sequencer.block, sequence, log.slot, || self.shared.pool.by_size.topics());
            match log.append(entry, self.queues, self.shared.registry.generation()) {
                Ok(appended) => break appended,
                // Dropped meanwhile, or with pattern logs to be looked up again: the registry does both.
                Err(back) => entry = back,
            }
            let topic = log.name.as_topic().ok_or(PublishError::Closed)?;
            log = self.shared.registry.log(topic, self.now)?;
        };
        sequencer.last = sequence;
        Ok(self.appended(log, sequence, appended))
    }

    /// Ends a topic with the next sequence, unless it has ended, and marks the inboxes of the followers if they are few.
    /// Returns the end, and the work that is left if the topic has a log.
    pub(crate) fn end(
        &self,
        sequencer: &mut Sequencer,
        topic: &Topic,
        reason: EndReason,
    ) -> (EndMark, Option<AppendedEvent>) {
        let sequence = sequencer.last + 1;
        let (mark, ended) = match self.shared.registry.finish(topic, sequence, reason, self.now, self.queues) {
            Ending::Before(mark) => return (mark, None),
            Ending::Now(mark, ended) => (mark, ended),
        };
        // The index is dense. The end of a topic without a log takes any slot: a search finds no event there.
        let slot = ended.as_ref().map_or(0, |(log, _)| log.slot);
        self.shared.recent.push(&mut sequencer.block, sequence, slot, || self.shared.pool.by_size.topics());
        sequencer.last = sequence;
        (mark, ended.map(|(log, appended)| self.appended(log, sequence, appended)))
    }

    /// Marks the inboxes of the followers if they are few.
    #[inline(always)]
    fn appended(&self, log: Arc<Log>, sequence: u64, mut appended: Appended) -> AppendedEvent {
        let is_marked = self.shared.pool.late_marks.are_few(appended.followers());
        if is_marked {
            appended.mark();
        }
        let receipt = Receipt::new(self.shared.cursor(sequence), appended.subscribers());
        AppendedEvent { receipt, log, appended, is_marked }
    }

    /// Enters the logs whose followers are too many to be marked under the sequencer. Called before the watermark is
    /// advanced.
    #[inline]
    pub(crate) fn enter_unmarked(&self, all: &[AppendedEvent]) -> Option<Marking<'a>> {
        let unmarked = || all.iter().filter(|event| !event.is_marked);
        unmarked().next()?;
        let in_patterns = unmarked().flat_map(|event| event.appended.in_patterns.iter().map(|(log, _)| log));
        let slots = unmarked().map(|event| &event.log).chain(in_patterns).map(|log| log.slot).collect();
        Some(self.shared.pool.late_marks.enter(slots))
    }

    /// Marks the remaining inboxes, wakes the subscriptions, and returns allocations for reuse.
    pub(crate) fn finish(&self, all: &mut [AppendedEvent], marking: Option<Marking<'_>>) {
        if let Some(marking) = marking {
            all.iter_mut().filter(|event| !event.is_marked).for_each(|event| event.appended.mark());
            drop(marking);
        }
        if !all.iter().all(|event| event.appended.is_finished()) {
            self.wake_and_release(all);
        }
        if self.shared.budget.is_over_limit() {
            self.shared.evict_excess();
        }
        self.shared.sweep_a_few(self.now);
    }

    fn wake_and_release(&self, all: &mut [AppendedEvent]) {
        // All logs before any waker is called, which may panic: no other publisher queues the waiters of these logs.
        for AppendedEvent { log, appended, .. } in all.iter_mut().filter(|event| event.appended.queues) {
            match self.shared.wakes.push(Arc::clone(log) as Arc<dyn QueuedWaiters>) {
                Ok(notifier) => appended.marked.extend(notifier.map(Some)),
                Err(NoNotifier) => appended.wakers = log.take_queued(),
            }
        }
        let mut in_patterns: Vec<_> = all.iter_mut().flat_map(|event| take(&mut event.appended.in_patterns)).collect();
        wake_all(each(all, &mut in_patterns).flat_map(|(_, appended)| [&mut appended.wakers, &mut appended.marked]));
        for (log, appended) in each(all, &mut in_patterns) {
            appended.freed = None;
            appended.followers.clear();
            log.give_back_all(take(&mut appended.wakers), take(&mut appended.followers));
            if appended.idle {
                self.shared.registry.release(log);
            }
        }
    }
}

/// Returns the work of the appends to topics' logs and to patterns' logs.
fn each<'a>(
    all: &'a mut [AppendedEvent],
    in_patterns: &'a mut [(Arc<Log>, Appended)],
) -> impl Iterator<Item = (&'a Arc<Log>, &'a mut Appended)> {
    let all = all.iter_mut().map(|AppendedEvent { log, appended, .. }| (&*log, appended));
    all.chain(in_patterns.iter_mut().map(|(log, appended)| (&*log, appended)))
}
