use std::mem::take;
use std::sync::Arc;

use crate::contract::{Entry, PublishError, Receipt};
use crate::hub::log::append::Appended;
use crate::hub::log::log::Log;
use crate::hub::shared::{Sequencer, Shared};
use crate::hub::wake::late_marks::Marking;
use crate::hub::wake::notifier::{NoNotifier, QueuedWaiters};
use crate::hub::wake::waiters::wake_all;
use crate::model::Event;

/// What is published in one go, at one time and with one round of wakes.
pub(crate) struct PublishRound<'a> {
    shared: &'a Shared,
    now: u64,
    /// Whether there is a notifier that wakes who waits.
    queues: bool,
}

/// An event in its log, and what is to be done for it when the sequencer is released.
pub(crate) struct AppendedEvent {
    pub(crate) receipt: Receipt,
    log: Arc<Log>,
    appended: Appended,
    /// Whether the inboxes that it concerns are marked.
    is_marked: bool,
}

impl<'a> PublishRound<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, now: shared.now(), queues: shared.wakes.is_on() }
    }

    /// Gives the event its sequence, puts it into its log and marks the inboxes that it concerns, if they are few.
    pub(crate) fn append(
        &self,
        sequencer: &mut Sequencer,
        log: Arc<Log>,
        event: Event,
    ) -> Result<AppendedEvent, PublishError> {
        let sequence = sequencer.last + 1;
        let (mut log, mut entry) = (log, Entry { sequence, at: self.now, event });
        let mut appended = loop {
            // Before the append: a reader that finds the event, or that it is evicted, finds its topic.
            self.shared.recent.push(&mut sequencer.block, sequence, log.slot, || self.shared.pool.by_size.topics());
            match log.append(entry, self.queues, self.shared.registry.generation()) {
                Ok(appended) => break appended,
                // Dropped between the registry and here, or with pattern_logs to be looked up again: the registry does both.
                Err(back) => entry = back,
            }
            let again = log.name.as_topic().and_then(|topic| self.shared.registry.log(topic));
            log = again.ok_or(PublishError::Closed)?;
        };
        sequencer.last = sequence;
        let is_marked = self.shared.pool.late_marks.are_few(appended.followers());
        if is_marked {
            appended.mark();
        }
        let receipt = Receipt::new(self.shared.cursor(sequence), appended.subscribers());
        Ok(AppendedEvent { receipt, log, appended, is_marked })
    }

    /// Enters the logs whose followers are too many to be marked under the sequencer, before the watermark is advanced.
    #[inline]
    pub(crate) fn enter_unmarked(&self, all: &[AppendedEvent]) -> Option<Marking<'a>> {
        let unmarked = || all.iter().filter(|in_log| !in_log.is_marked);
        unmarked().next()?;
        let in_patterns = unmarked().flat_map(|in_log| in_log.appended.in_patterns.iter().map(|(log, _)| log));
        let slots = unmarked().map(|in_log| &in_log.log).chain(in_patterns).map(|log| log.slot).collect();
        Some(self.shared.pool.late_marks.enter(slots))
    }

    /// Marks those that are not, wakes, and puts back what can be used again.
    pub(crate) fn finish(&self, all: &mut [AppendedEvent], marking: Option<Marking<'_>>) {
        if let Some(marking) = marking {
            all.iter_mut().filter(|in_log| !in_log.is_marked).for_each(|in_log| in_log.appended.mark());
            drop(marking);
        }
        if !all.iter().all(|in_log| in_log.appended.is_settled()) {
            self.settle(all);
        }
        if !self.shared.budget.has_room_but_for_others(0) {
            self.shared.evict_excess();
        }
        self.shared.sweep_a_few(self.now);
    }

    fn settle(&self, all: &mut [AppendedEvent]) {
        // All of them before anybody is woken, who may panic: nobody else comes for a topic that is to be queued here.
        for AppendedEvent { log, appended, .. } in all.iter_mut().filter(|in_log| in_log.appended.queues) {
            match self.shared.wakes.push(Arc::clone(log) as Arc<dyn QueuedWaiters>) {
                Ok(notifier) => appended.marked.extend(notifier.map(Some)),
                Err(NoNotifier) => appended.wakers = log.take_queued(),
            }
        }
        let mut in_patterns: Vec<_> =
            all.iter_mut().flat_map(|in_log| take(&mut in_log.appended.in_patterns)).collect();
        wake_all(each(all, &mut in_patterns).flat_map(|(_, appended)| [&mut appended.wakers, &mut appended.marked]));
        for (log, appended) in each(all, &mut in_patterns) {
            appended.evicted.clear();
            appended.followers.clear();
            log.give_back_all(take(&mut appended.wakers), take(&mut appended.followers));
            if appended.idle {
                self.shared.registry.release(log);
            }
        }
    }
}

/// What was appended to topics' logs, and to patterns'.
fn each<'a>(
    all: &'a mut [AppendedEvent],
    in_patterns: &'a mut [(Arc<Log>, Appended)],
) -> impl Iterator<Item = (&'a Arc<Log>, &'a mut Appended)> {
    let all = all.iter_mut().map(|AppendedEvent { log, appended, .. }| (&*log, appended));
    all.chain(in_patterns.iter_mut().map(|(log, appended)| (&*log, appended)))
}
