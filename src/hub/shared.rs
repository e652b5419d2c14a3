use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::contract::{Head, PublishError, SubscribeError};
use crate::hub::budget::budget::{Budget, LogPool};
use crate::hub::holds::STRETCH;
use crate::hub::log::eviction::Swept;
use crate::hub::log::log::{Follower, Log, LogState};
use crate::hub::log::seek::{EndAhead, StartPoint};
use crate::hub::log::segment::{FreedSegment, nanos};
use crate::hub::log::state_start::Starts;
use crate::hub::sync::{Count, Mutex, MutexGuard, Watermark};
use crate::hub::topics::recent::{Block, Recent};
use crate::hub::topics::registry::{Registry, Released};
use crate::hub::topics::retentions::Retentions;
use crate::hub::topics::stats::HubStats;
use crate::hub::topics::sweeper::Sweeper;
use crate::hub::wake::notifier::NotifierQueue;
use crate::hub::wake::waiters::wake_all;
use crate::model::{Cursor, Event, Overflow, Pattern, Topic};
use crate::time::Clock;

/// Number of logs that a sweep of all drops under one hold of the registry's lock.
const RELEASED: usize = 64;
/// Number of ends that one publish forgets.
const FORGOTTEN: usize = 8;

/// State of a hub, shared by its handles and subscriptions.
pub(crate) struct Shared {
    pub(crate) epoch: u64,
    pub(crate) max_event: usize,
    /// Whether a retention keeps the newest event of each key.
    pub(crate) has_keyed: bool,
    pub(crate) pool: Arc<LogPool<Log>>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) registry: Registry,
    pub(crate) recent: Recent,
    sweeper: Sweeper,
    pub(crate) sequencer: Mutex<Sequencer>,
    pub(crate) published: Watermark,
    pub(crate) wakes: Arc<NotifierQueue>,
    /// Number of events that subscriptions left out because they had expired.
    pub(crate) expired: Count,
    /// Number of delivered gaps.
    pub(crate) gaps: Count,
    /// Number of missed events.
    pub(crate) missed: Count,
    /// Number of events that subscriptions left out because newer ones replaced them.
    pub(crate) conflated: Count,
    /// Number of events that subscriptions left out by their predicates.
    pub(crate) filtered: Count,
    /// Number of events that subscriptions of patterns read from the topics' own logs.
    pub(crate) replayed: Count,
    clock: Box<dyn Clock>,
    began: Instant,
}

/// Source of sequences. Its lock is held while an event is appended to its log and inboxes are marked.
#[derive(Debug, Default)]
pub(crate) struct Sequencer {
    /// Last sequence that was assigned.
    pub(crate) last: u64,
    /// Block of [`Shared::recent`] that holds the last event.
    pub(crate) block: Option<Arc<Block>>,
    pub(crate) closed: bool,
}

impl Shared {
    pub(crate) fn new(
        epoch: u64,
        retentions: Retentions,
        max_event: usize,
        max_bytes: usize,
        live_buffer: usize,
        max_topics: usize,
        clock: Box<dyn Clock>,
    ) -> Self {
        let (began, pool) = (clock.now(), LogPool::new(epoch, max_bytes, live_buffer, max_topics));
        Self {
            epoch,
            max_event,
            has_keyed: retentions.has_keyed(),
            registry: Registry::new(retentions, Arc::clone(&pool)),
            budget: Arc::clone(&pool.budget),
            pool,
            recent: Recent::default(),
            sweeper: Sweeper::new(),
            sequencer: Mutex::default(),
            published: Watermark::new(0),
            wakes: Arc::default(),
            expired: Count::new(0),
            gaps: Count::new(0),
            missed: Count::new(0),
            conflated: Count::new(0),
            filtered: Count::new(0),
            replayed: Count::new(0),
            clock,
            began,
        }
    }

    /// Returns the hub, of which the first event has the next sequence.
    pub(crate) fn beginning_after(self, sequence: u64) -> Self {
        self.sequencer.lock().last = sequence;
        Self { published: Watermark::new(sequence), ..self }
    }

    /// Returns the time since the hub was built, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.clock.now().saturating_duration_since(self.began))
    }

    /// Returns the cursor of a sequence.
    pub(crate) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor::new(self.epoch, sequence)
    }

    /// Begins a subscription of a topic. Returns its log, and the position in it.
    pub(crate) fn join(
        &self,
        topic: &Topic,
        from: Starts,
        overflow: Overflow,
    ) -> Result<(Arc<Log>, StartPoint), SubscribeError> {
        let now = self.now();
        loop {
            let log = self.registry.log_for_subscription(topic, now)?;
            let from = Starts { plain: log.resolve(from.plain, now), ..from };
            if overflow == Overflow::Latest {
                log.conflate();
            }
            let mut state = log.present(now);
            if state.dropped {
                continue;
            }
            let point = state.place_in(from, overflow);
            // A subscription with nothing to read does not count as a reader.
            if point.end != EndAhead::Passed {
                let subscriptions = state.subscriptions + 1;
                state.subscribe(&log, subscriptions);
            }
            drop(state);
            return Ok((log, point));
        }
    }

    /// Begins a subscription of a pattern. Returns the pattern's log, and the position in it. Events after the next
    /// [settled](Self::settled) watermark are in the log, from this position on.
    pub(crate) fn follow(
        &self,
        pattern: &Pattern,
        overflow: Overflow,
    ) -> Result<(Arc<Log>, StartPoint), SubscribeError> {
        loop {
            let pattern_log = self.registry.pattern_log(pattern).ok_or(SubscribeError::Closed)?;
            let begins = overflow == Overflow::Latest && pattern_log.conflate();
            let Some(mut state) = pattern_log.live() else {
                continue;
            };
            let end = StartPoint { index: state.next, head: None, gap: None, end: EndAhead::None, base: 0 };
            let subscriptions = state.subscriptions + 1;
            state.subscribe(&pattern_log, subscriptions);
            drop(state);
            if begins {
                self.registry.renew_pattern_logs();
            }
            return Ok((pattern_log, end));
        }
    }

    /// Ends a subscription of a topic or a pattern. `is_reading`: it has not read the end of the topic. `cancel` takes its registration out. Returns that, and the segments
    /// that have left memory: they are the user's, so the caller drops them last.
    pub(crate) fn leave<W>(
        &self,
        log: &Arc<Log>,
        is_reading: bool,
        cancel: impl FnOnce(&mut LogState) -> Option<W>,
    ) -> (Option<W>, Vec<FreedSegment>, Vec<Released>) {
        let mut state = log.state();
        let waiter = cancel(&mut state);
        let subscriptions = state.subscriptions - u32::from(is_reading);
        state.subscribe(log, subscriptions);
        let mut freed = state.release_live();
        let slabs = if subscriptions == 0 && state.has_large_slabs() { state.release_slabs() } else { None };
        let idle = state.is_idle();
        drop(state);
        drop(slabs);
        if idle {
            return (waiter, freed, self.registry.release_all(std::iter::once(log)));
        }
        if !freed.is_empty() {
            log.release_live(&mut freed);
        }
        (waiter, freed, Vec::new())
    }

    /// Returns the statistics of the hub.
    pub(crate) fn stats(&self) -> HubStats {
        let [history, pinned, cached] = self.budget.used().map(|bytes| bytes as usize);
        let states = self.budget.states.load() as usize;
        let stats = HubStats {
            gaps: self.gaps.load(),
            expired: self.expired.load(),
            missed: self.missed.load(),
            conflated: self.conflated.load(),
            filtered: self.filtered.load(),
            evicted_by_budget: self.budget.evicted.load(),
            cached_bytes: cached,
            pinned_bytes: pinned,
            state_bytes: states,
            bytes: history + states + pinned + cached,
            ..self.registry.count()
        };
        HubStats { delivered: stats.delivered + self.replayed.load(), ..stats }
    }

    /// Refuses an event that is too large.
    pub(crate) fn check(&self, event: &Event) -> Result<(), PublishError> {
        let (weight, limit) = (event.weight(), self.max_event);
        if weight > limit {
            return Err(PublishError::TooLarge { weight, limit });
        }
        Ok(())
    }

    /// Locks the sequencer, unless the hub is closed. No lock is held while the refused events are dropped.
    pub(crate) fn sequence(&self) -> Result<MutexGuard<'_, Sequencer>, PublishError> {
        Some(self.sequencer.lock()).filter(|sequencer| !sequencer.closed).ok_or(PublishError::Closed)
    }

    /// Refuses events and subscriptions from now on. Wakes every subscription and the notifier.
    pub(crate) fn close(&self) {
        self.sequencer.lock().closed = true;
        let (mut wakers, mut taken) = (Vec::new(), Vec::new());
        self.registry.close();
        self.for_each_log_slice(|logs| {
            for log in logs {
                let mut state = log.state();
                (state.is_over, state.is_closed) = (true, true);
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

    /// Evicts the events of all logs that retention does not keep, and drops topics of which nothing is left. A panic
    /// of an event's drop is resumed at the end.
    pub(crate) fn sweep_all(&self, now: u64) {
        while self.registry.forget_ends(now, RELEASED) {}
        let mut panicked = Ok(());
        self.for_each_log_slice(|logs| {
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

    /// Sweeps a log until nothing is left to do. Returns whether it is idle then.
    fn sweep_whole(&self, log: &Arc<Log>, now: u64, panicked: &mut thread::Result<()>) -> bool {
        loop {
            let mut freed = Vec::new();
            let swept = log.sweep(now, &mut freed);
            if !freed.is_empty() {
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(freed)));
                *panicked = replace(panicked, Ok(())).and(dropped);
            }
            if swept != Swept::Partly {
                return swept == Swept::Idle;
            }
        }
    }

    /// Calls `act` with the logs of topics and of patterns, 256 slots at a time, without a lock held. Each log that is
    /// in memory all the time is passed once.
    fn for_each_log_slice(&self, mut act: impl FnMut(&[Arc<Log>])) {
        let (mut next, mut logs) = (Some(0), Vec::new());
        while let Some(at) = next {
            next = self.pool.by_size.walk(at, STRETCH as u32, &mut logs, usize::MAX);
            act(&logs);
            logs.clear();
        }
    }

    /// Sweeps the next few logs of the round, as far as one hold of their locks allows.
    #[inline]
    pub(crate) fn sweep_a_few(&self, now: u64) {
        if self.sweeper.is_due(now) {
            self.sweep_next(now);
        }
    }

    #[inline(never)]
    fn sweep_next(&self, now: u64) {
        let (mut freed, mut idle) = (Vec::new(), Vec::new());
        for log in self.sweeper.take(now, &self.pool.by_size) {
            match log.sweep(now, &mut freed) {
                Swept::Partly => self.sweeper.again(&log),
                Swept::Whole => {}
                Swept::Idle => idle.push(log),
            }
        }
        if self.registry.forget_ends(now, FORGOTTEN) {
            self.sweeper.hurry();
        }
        // Both are dropped last: they are the user's, and their drop may panic.
        let _released = if idle.is_empty() { Vec::new() } else { self.registry.release_all(idle.iter()) };
    }

    /// Returns the watermark after every event that is in its log now.
    pub(crate) fn settled(&self) -> u64 {
        // A publisher holds the sequencer from the append until the watermark is past the event.
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
