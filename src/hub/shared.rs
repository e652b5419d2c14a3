use std::sync::Arc;
use std::time::Instant;

use crate::contract::{Clock, Head, PublishError, SubscribeError};
use crate::hub::budget::Budget;
use crate::hub::log::{Follower, Log, State};
use crate::hub::notifier::Wakes;
use crate::hub::placing::{From, Placed};
use crate::hub::reader::Reader;
use crate::hub::registry::Registry;
use crate::hub::retentions::Retentions;
use crate::hub::segment::nanos;
use crate::hub::sweeper::Sweeper;
use crate::hub::sync::{Count, Mutex, MutexGuard, Watermark};
use crate::hub::waiters::wake_all;
use crate::model::{Cursor, Event, Overflow, Pattern, Position, Topic};

/// Number of logs that are looked up under one hold of a lock.
const STRETCH: u32 = 256;

/// What every handle of a hub and every subscription shares.
pub(super) struct Shared {
    pub(super) epoch: u64,
    pub(super) max_event: usize,
    pub(super) budget: Arc<Budget>,
    pub(super) registry: Registry,
    sweeper: Sweeper,
    pub(super) sequencer: Mutex<Sequencer>,
    pub(super) published: Watermark,
    pub(super) wakes: Wakes,
    /// Events that were stepped over because their time was up.
    pub(super) expired: Count,
    /// Gaps that were told.
    pub(super) gaps: Count,
    /// Events that were found gone.
    pub(super) missed: Count,
    /// Events that were stepped over because newer ones replaced them.
    pub(super) conflated: Count,
    /// Events that subscriptions of patterns were handed from the topics' own logs.
    pub(super) replayed: Count,
    clock: Box<dyn Clock>,
    began: Instant,
}

/// Who gives out sequences. Its lock is held while an event goes to its log and its marks to the inboxes.
#[derive(Debug, Default)]
pub(super) struct Sequencer {
    /// The last sequence given out.
    pub(super) last: u64,
    pub(super) closed: bool,
}

impl Shared {
    pub(super) fn new(
        epoch: u64,
        retentions: Retentions,
        max_event: usize,
        max_bytes: usize,
        live_buffer: usize,
        max_topics: usize,
        clock: Box<dyn Clock>,
    ) -> Self {
        let (began, budget) = (clock.now(), Budget::new(epoch, max_bytes, live_buffer, max_topics));
        Self {
            epoch,
            max_event,
            registry: Registry::new(retentions, Arc::clone(&budget)),
            budget,
            sweeper: Sweeper::new(),
            sequencer: Mutex::default(),
            published: Watermark::new(0),
            wakes: Wakes::default(),
            expired: Count::new(0),
            gaps: Count::new(0),
            missed: Count::new(0),
            conflated: Count::new(0),
            replayed: Count::new(0),
            clock,
            began,
        }
    }

    /// The time in nanoseconds since the hub was built.
    pub(super) fn now(&self) -> u64 {
        nanos(self.clock.now().saturating_duration_since(self.began))
    }

    /// The cursor of a sequence.
    pub(super) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor::new(Position { epoch: self.epoch, sequence })
    }

    /// Begins a subscription of a topic.
    pub(super) fn join(
        &self,
        topic: &Topic,
        from: From,
        overflow: Overflow,
    ) -> Result<(Reader, Placed), SubscribeError> {
        let now = self.now();
        loop {
            let log = self.registry.log_for_subscription(topic)?;
            let Some(mut state) = log.live() else {
                continue;
            };
            if overflow == Overflow::Latest {
                state.conflate();
            }
            let evicted = state.evict(&log, now);
            let placed = state.place(from, overflow, now);
            let subscriptions = state.subscriptions + 1;
            state.subscribe(&log, subscriptions);
            drop(state);
            drop(evicted);
            return Ok((Reader::new(log, &placed), placed));
        }
    }

    /// Begins to follow a pattern: what is published after this is in the log that the reader reads.
    pub(super) fn follow(&self, pattern: &Pattern, overflow: Overflow) -> Result<Reader, SubscribeError> {
        loop {
            let feed = self.registry.feed(pattern).ok_or(SubscribeError::Closed)?;
            let Some(mut state) = feed.live() else {
                continue;
            };
            let begins = overflow == Overflow::Latest && state.conflate();
            let end = Placed { index: state.next, head: None, gap: None };
            let subscriptions = state.subscriptions + 1;
            state.subscribe(&feed, subscriptions);
            drop(state);
            self.registry.attach(&feed, begins);
            return Ok(Reader::new(feed, &end));
        }
    }

    /// Ends a subscription of a topic or a pattern. `cancel` takes what is registered there out, to be dropped outside of the lock.
    pub(super) fn leave<W>(&self, log: &Arc<Log>, cancel: impl FnOnce(&mut State) -> Option<W>) {
        let mut state = log.state();
        let waiter = cancel(&mut state);
        let subscriptions = state.subscriptions - 1;
        state.subscribe(log, subscriptions);
        let released = state.release_live(log);
        let slabs = if subscriptions == 0 && state.has_large_slabs() { state.release_slabs() } else { None };
        let idle = state.is_idle();
        drop(state);
        drop((waiter, released, slabs));
        if idle {
            self.registry.release(log);
        }
    }

    /// Refuses an event that is too large.
    pub(super) fn check(&self, event: &Event) -> Result<(), PublishError> {
        let (weight, limit) = (event.weight(), self.max_event);
        if weight > limit {
            return Err(PublishError::TooLarge { weight, limit });
        }
        Ok(())
    }

    /// The sequencer of a hub that is open. Of a closed one there is no lock to drop the refused events under.
    pub(super) fn sequence(&self) -> Result<MutexGuard<'_, Sequencer>, PublishError> {
        Some(self.sequencer.lock()).filter(|sequencer| !sequencer.closed).ok_or(PublishError::Closed)
    }

    /// Refuses events and subscriptions from now on, and tells every subscriber.
    pub(super) fn close(&self) {
        self.sequencer.lock().closed = true;
        let mut wakers = Vec::new();
        self.registry.close();
        self.each_log(|log| {
            let mut state = log.state();
            state.closed = true;
            wakers.append(&mut state.waiters.take());
            let followers = state.followers.as_mut().map(|followers| followers.take()).unwrap_or_default();
            drop(state);
            wakers.extend(followers.iter().flatten().map(Follower::mark));
        });
        wake_all(std::iter::once(&mut wakers));
        self.wakes.close();
    }

    /// Lets go of a log's old history, and of the topic if nothing is left of it.
    pub(super) fn sweep(&self, log: &Arc<Log>, now: u64) {
        let mut state = log.state();
        let evicted = state.evict(log, now);
        let replaced = state.end_burst(log, now);
        let idle = state.is_idle();
        drop(state);
        drop((evicted, replaced));
        if idle {
            self.registry.release(log);
        }
    }

    /// Calls `act` with every log that is in memory all the time, of topics and of patterns, without a lock held.
    pub(super) fn each_log(&self, mut act: impl FnMut(Arc<Log>)) {
        let (mut next, mut logs) = (Some(0), Vec::new());
        while let Some(at) = next {
            next = self.budget.sizes.walk(at, STRETCH, &mut logs, usize::MAX);
            logs.drain(..).for_each(&mut act);
        }
    }

    /// The same for those few topics whose turn it is.
    #[inline]
    pub(super) fn sweep_a_few(&self, now: u64) {
        if !self.sweeper.is_due(now) {
            return;
        }
        for log in self.sweeper.take(now, &self.budget.sizes) {
            self.sweep(&log, now);
        }
    }

    /// The watermark after every event that is in its log now.
    pub(super) fn settled(&self) -> u64 {
        // Whoever appended an event holds the sequencer until the watermark is past it.
        let sequencer = self.sequencer.lock();
        let published = self.published.load();
        drop(sequencer);
        published
    }
}

impl Head for Shared {
    fn cursor(&self) -> Cursor {
        Self::cursor(self, self.published.load())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("epoch", &self.epoch).field("published", &self.published).finish_non_exhaustive()
    }
}
