use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::contract::{Head, PublishError, SubscribeError};
use crate::hub::budget::Budget;
use crate::hub::history::Swept;
use crate::hub::holds::STRETCH;
use crate::hub::log::{Follower, Log, State};
use crate::hub::notifier::Wakes;
use crate::hub::placing::{From, Placed};
use crate::hub::reader::Reader;
use crate::hub::recent::{Block, Recent};
use crate::hub::registry::{Registry, Released};
use crate::hub::retentions::Retentions;
use crate::hub::segment::{Evicted, nanos};
use crate::hub::sweeper::Sweeper;
use crate::hub::sync::{Count, Mutex, MutexGuard, Watermark};
use crate::hub::waiters::wake_all;
use crate::model::{Cursor, Event, Overflow, Pattern, Topic};
use crate::time::Clock;

/// Number of logs that a sweep of all drops under one hold of the registry's lock.
const RELEASED: usize = 64;

/// State that every handle of a hub and every subscription share.
pub(super) struct Shared {
    pub(super) epoch: u64,
    pub(super) max_event: usize,
    pub(super) budget: Arc<Budget>,
    pub(super) registry: Registry,
    pub(super) recent: Recent,
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

/// Source of sequences. Its lock is held while an event goes to its log and its marks to the inboxes.
#[derive(Debug, Default)]
pub(super) struct Sequencer {
    /// The last sequence given out.
    pub(super) last: u64,
    /// The block of [`Shared::recent`] that the last event is in.
    pub(super) block: Option<Arc<Block>>,
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
            recent: Recent::default(),
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
        Cursor::new(self.epoch, sequence)
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
            let from = log.resolve(from, now);
            if overflow == Overflow::Latest {
                log.conflate();
            }
            let mut state = log.present(now);
            if state.dropped {
                continue;
            }
            let placed = state.place(from, overflow);
            let subscriptions = state.subscriptions + 1;
            state.subscribe(&log, subscriptions);
            drop(state);
            return Ok((Reader::new(log, &placed), placed));
        }
    }

    /// Begins to follow a pattern. Events after the next [settled](Self::settled) watermark are in the log of the reader.
    pub(super) fn follow(&self, pattern: &Pattern, overflow: Overflow) -> Result<Reader, SubscribeError> {
        loop {
            let feed = self.registry.feed(pattern).ok_or(SubscribeError::Closed)?;
            let begins = overflow == Overflow::Latest && feed.conflate();
            let Some(mut state) = feed.live() else {
                continue;
            };
            let end = Placed { index: state.next, head: None, gap: None };
            let subscriptions = state.subscriptions + 1;
            state.subscribe(&feed, subscriptions);
            drop(state);
            if begins {
                self.registry.renew_feeds();
            }
            return Ok(Reader::new(feed, &end));
        }
    }

    /// Ends a subscription of a topic or a pattern. `cancel` takes what is registered there out. That, and what is not in
    /// memory any more, is returned, to be dropped when all is done: it is the user's.
    pub(super) fn leave<W>(
        &self,
        log: &Arc<Log>,
        cancel: impl FnOnce(&mut State) -> Option<W>,
    ) -> (Option<W>, Vec<Evicted>, Vec<Released>) {
        let mut state = log.state();
        let waiter = cancel(&mut state);
        let subscriptions = state.subscriptions - 1;
        state.subscribe(log, subscriptions);
        let mut gone = state.release_live(log);
        let slabs = if subscriptions == 0 && state.has_large_slabs() { state.release_slabs() } else { None };
        let idle = state.is_idle();
        drop(state);
        drop(slabs);
        if idle {
            return (waiter, gone, self.registry.release_all(std::iter::once(log)));
        }
        if !gone.is_empty() {
            log.release_live(&mut gone);
        }
        (waiter, gone, Vec::new())
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

    /// Refuses events and subscriptions from now on, and tells every subscriber and the notifier.
    pub(super) fn close(&self) {
        self.sequencer.lock().closed = true;
        let (mut wakers, mut taken) = (Vec::new(), Vec::new());
        self.registry.close();
        self.each_stretch(|logs| {
            for log in logs {
                let mut state = log.state();
                state.closed = true;
                let waiters = state.waiters.take();
                let followers = state.followers.as_mut().map(|followers| followers.take()).unwrap_or_default();
                drop(state);
                wakers.extend(waiters);
                wakers.extend(followers.iter().flatten().map(Follower::mark));
                taken.push(followers);
            }
        });
        wakers.extend(self.wakes.close());
        wake_all(std::iter::once(&mut wakers));
    }

    /// Lets go of the old history of all logs, and of topics of which nothing is left. A panic of an event's drop is
    /// resumed when all is done.
    pub(super) fn sweep_all(&self, now: u64) {
        let mut panicked = Ok(());
        self.each_stretch(|logs| {
            let idle: Vec<_> = logs.iter().filter(|log| self.sweep_whole(log, now, &mut panicked)).collect();
            idle.chunks(RELEASED).for_each(|idle| {
                let gone = self.registry.release_all(idle.iter().copied());
                panicked = replace(&mut panicked, Ok(())).and(catch_unwind(AssertUnwindSafe(|| drop(gone))));
            });
        });
        if let Err(panic) = panicked {
            resume_unwind(panic);
        }
    }

    /// Sweeps a log until all is done. Returns whether it is idle then.
    fn sweep_whole(&self, log: &Arc<Log>, now: u64, panicked: &mut thread::Result<()>) -> bool {
        loop {
            let mut gone = Vec::new();
            let swept = log.sweep(now, &mut gone);
            if !gone.is_empty() {
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(gone)));
                *panicked = replace(panicked, Ok(())).and(dropped);
            }
            if swept != Swept::Partly {
                return swept == Swept::Idle;
            }
        }
    }

    /// Calls `act` with the logs of each stretch of slots, of topics and of patterns, without a lock held: with each that is
    /// in memory all the time.
    fn each_stretch(&self, mut act: impl FnMut(&[Arc<Log>])) {
        let (mut next, mut logs) = (Some(0), Vec::new());
        while let Some(at) = next {
            next = self.budget.sizes.walk(at, STRETCH as u32, &mut logs, usize::MAX);
            act(&logs);
            logs.clear();
        }
    }

    /// Evicts the old history of the next few logs of the round, as far as one hold of their locks goes.
    #[inline]
    pub(super) fn sweep_a_few(&self, now: u64) {
        if self.sweeper.is_due(now) {
            self.sweep_next(now);
        }
    }

    #[inline(never)]
    fn sweep_next(&self, now: u64) {
        let (mut gone, mut idle) = (Vec::new(), Vec::new());
        for log in self.sweeper.take(now, &self.budget.sizes) {
            match log.sweep(now, &mut gone) {
                Swept::Partly => self.sweeper.again(&log),
                Swept::Whole => {}
                Swept::Idle => idle.push(log),
            }
        }
        // Both are dropped last: they are the user's, and their drop may panic.
        let _released = if idle.is_empty() { Vec::new() } else { self.registry.release_all(idle.iter()) };
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
