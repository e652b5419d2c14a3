use std::collections::BTreeMap;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::contract::{PublishError, Start, Subscribe, SubscribeError};
use crate::engine::engine::{Engine, LogState};
use crate::engine::history::{History, Read, ReadFuture};
use crate::engine::late::LateLosses;
use crate::engine::merge::Merge;
use crate::engine::shared_reads::SharedReads;
use crate::engine::start::{Continued, KnownEpochs};
use crate::engine::subscription::HistorySubscription;
use crate::hub::{LocalHub, LocalHubBuilder};
use crate::model::{Cursor, Event, Pattern, Topic};
use crate::time::Clock;

/// State of a hub on an engine, shared by its handles, its subscriptions, its driver and the engine's tail.
pub(crate) struct EngineShared {
    pub(crate) engine: Arc<dyn Engine>,
    memory: Box<dyn Fn() -> LocalHubBuilder + Send + Sync>,
    pub(crate) clock: Box<dyn Clock>,
    state: Mutex<EngineState>,
    /// Number of hubs in memory before the present one.
    renewals: AtomicU64,
}

pub(crate) struct EngineState {
    pub(crate) merge: Merge,
    pub(crate) memory: Arc<Memory>,
    /// Greatest sequence of the log that is known.
    head: u64,
    pub(crate) checks: Checks,
    pub(crate) driver: Option<Waker>,
    /// Subscriptions that wait to begin, by the number of each.
    waiting: BTreeMap<u64, Waker>,
    joins: u64,
    /// Least sequence that one of them waits for.
    wake_at: u64,
    pub(crate) is_closed: bool,
    pub(crate) has_driver: bool,
}

/// Hub in memory, and the part of the log that it continues.
pub(crate) struct Memory {
    pub(crate) hub: LocalHub,
    reads: Arc<SharedReads>,
    history: Arc<dyn History>,
    epoch: u64,
    base: u64,
    epochs: KnownEpochs,
    late: LateLosses,
}

/// Reads of the log's state. Each that begins serves all subscriptions that asked before.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    is_wanted: bool,
    begun: u64,
    done: u64,
    /// Number of states that the log had pushed when the last one began.
    states: u64,
}

/// Place at which a subscription begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Its own start. Topics that start now start after this position.
    Start(Cursor),
    /// After the cursor of a client.
    After(Cursor),
}

/// Beginning of a subscription, which waits until its names are followed.
#[derive(Debug)]
pub(crate) struct Join {
    number: u64,
    pub(crate) place: Place,
    /// Number of the check that was the last one when this one was asked for.
    asked: Option<u64>,
}

struct EngineHistory(Arc<dyn Engine>);

impl History for EngineHistory {
    fn read(&self, read: Read) -> ReadFuture {
        self.0.read(read)
    }
}

impl EngineShared {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        state: &LogState,
        memory: Box<dyn Fn() -> LocalHubBuilder + Send + Sync>,
        clock: Box<dyn Clock>,
        max_pending: usize,
    ) -> Self {
        let first = Memory::new(&engine, memory(), state, LateLosses::default());
        let state = EngineState {
            merge: Merge::new(state, max_pending),
            memory: Arc::new(first),
            head: state.head,
            checks: Checks::default(),
            driver: None,
            waiting: BTreeMap::new(),
            joins: 0,
            wake_at: u64::MAX,
            is_closed: false,
            has_driver: false,
        };
        Self { engine, memory, clock, state: Mutex::new(state), renewals: AtomicU64::new(0) }
    }

    /// Refuses an event that the hub in memory would not accept.
    pub(crate) fn check(&self, topic: &Topic, event: &Event) -> Result<(), PublishError> {
        if event.is_removal() {
            return Err(PublishError::NotKeyed(topic.clone()));
        }
        let memory = Arc::clone(&self.lock().memory);
        memory.hub.check_event(event)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Acquire)
    }

    /// Replaces the hub in memory.
    pub(crate) fn renew(&self, state: &LogState, late: LateLosses) {
        let memory = Arc::new(Memory::new(&self.engine, (self.memory)(), state, late));
        let mut shared = self.lock();
        shared.head = state.head;
        let old = std::mem::replace(&mut shared.memory, memory);
        drop(shared);
        self.renewals.fetch_add(1, Ordering::Release);
        old.close();
    }

    /// Ends the subscriptions and the driver.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let (memory, waiting, driver) = (Arc::clone(&state.memory), take(&mut state.waiting), state.driver.take());
        drop(state);
        memory.close();
        waiting.into_values().chain(driver).for_each(Waker::wake);
    }

    /// Begins to follow names for a subscription. Returns the position after which events are published later.
    pub(crate) fn follow(&self, names: &[Pattern]) -> Cursor {
        let mut state = self.lock();
        state.merge.interest.add(names);
        let now = Cursor::new(state.memory.epoch, state.head.max(state.memory.published()));
        let driver = state.driver.take();
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        now
    }

    /// Returns the beginning of a subscription.
    pub(crate) fn join(&self, place: Place) -> Join {
        let mut state = self.lock();
        state.joins += 1;
        Join { number: state.joins, place, asked: None }
    }

    /// Returns whether a cursor is one of the present epoch, and the log has reached it.
    pub(crate) fn contains(&self, cursor: Cursor) -> bool {
        let state = self.lock();
        cursor.epoch() == state.memory.epoch && cursor.sequence() <= state.head
    }

    /// Ends the beginning of a subscription.
    pub(crate) fn end_join(&self, join: &Join) {
        let waker = self.lock().waiting.remove(&join.number);
        drop(waker);
    }

    /// Ends a subscription of names.
    pub(crate) fn leave(&self, names: &[Pattern]) {
        self.lock().merge.interest.remove(names, self.clock.now());
    }

    /// Begins a subscription in memory when memory gets all events of its names, and the place is known.
    pub(crate) fn poll_join(
        &self,
        join: &mut Join,
        what: &Subscribe,
        names: &[Pattern],
        cx: &mut Context<'_>,
    ) -> Poll<Result<HistorySubscription, SubscribeError>> {
        // Wakers are cloned, called and dropped without the lock.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if state.is_closed {
            return Poll::Ready(Err(SubscribeError::Closed));
        }
        let is_known = state.is_known(join);
        let Some(since) = state.since(names).filter(|_| is_known) else {
            let old = state.waiting.insert(join.number, waker);
            let driver = if state.checks.is_wanted { state.driver.take() } else { None };
            drop(state);
            drop(old);
            driver.into_iter().for_each(Waker::wake);
            return Poll::Pending;
        };
        let memory = Arc::clone(&state.memory);
        drop(state);
        Poll::Ready(memory.subscribe(what, names, join.place, since))
    }

    /// Notes a sequence of the log.
    pub(crate) fn note_head(&self, epoch: u64, sequence: u64) {
        let mut state = self.lock();
        if epoch == state.memory.epoch {
            state.head = state.head.max(sequence);
        }
    }

    /// Notes that memory has published a sequence. Returns the subscriptions to wake.
    pub(crate) fn note_published(&self, sequence: u64) -> Vec<Waker> {
        let mut state = self.lock();
        state.head = state.head.max(sequence);
        state.take_reached()
    }

    /// Notes a state that the log has pushed: it answers reads in that epoch from now on.
    pub(crate) fn pushed(&self, pushed: &LogState) {
        let mut state = self.lock();
        state.merge.state(pushed);
        let old = (pushed.epoch != state.memory.epoch).then(|| Arc::clone(&state.memory));
        let driver = state.driver.take();
        drop(state);
        if let Some(old) = old {
            old.reads.close();
        }
        driver.into_iter().for_each(Waker::wake);
    }

    /// Notes the state of the log, or that it cannot be read. A state that was read before the log pushed another one is old.
    pub(crate) fn checked(&self, read: Option<&LogState>) {
        let mut state = self.lock();
        state.checks.done = state.checks.begun;
        if let Some(read) = read.filter(|_| state.checks.states == state.merge.states()) {
            state.merge.state(read);
            if read.epoch == state.memory.epoch {
                state.head = state.head.max(read.head);
            }
        }
    }
}

impl EngineState {
    /// Returns the subscriptions that wait to begin.
    pub(crate) fn take_waiting(&mut self) -> Vec<Waker> {
        self.wake_at = u64::MAX;
        take(&mut self.waiting).into_values().collect()
    }

    /// Returns the subscriptions that wait to begin, if one of them waits for a sequence that is published.
    pub(crate) fn take_reached(&mut self) -> Vec<Waker> {
        if self.memory.published() < self.wake_at { Vec::new() } else { self.take_waiting() }
    }

    /// Begins a read of the log's state, if one is needed and none runs.
    pub(crate) fn begin_check(&mut self) -> bool {
        let begins = self.checks.is_wanted && self.checks.begun == self.checks.done;
        if begins {
            self.checks.is_wanted = false;
            self.checks.begun += 1;
            self.checks.states = self.merge.states();
        }
        begins
    }

    /// Returns the sequence after which memory gets all records of the names, if it has reached it.
    fn since(&mut self, names: &[Pattern]) -> Option<u64> {
        let since = self.merge.interest.since(names)?;
        self.has_reached(since).then_some(since)
    }

    fn has_reached(&mut self, sequence: u64) -> bool {
        let has_reached = sequence <= self.memory.published();
        if !has_reached {
            self.wake_at = self.wake_at.min(sequence);
        }
        has_reached
    }

    /// Returns whether memory has reached the place of a subscription, or the place is not one of the log.
    fn is_known(&mut self, join: &mut Join) -> bool {
        let (Place::Start(cursor) | Place::After(cursor)) = join.place;
        match cursor.epoch() == self.memory.epoch {
            true if cursor.sequence() <= self.head => return self.has_reached(cursor.sequence()),
            false if self.memory.epochs.last(cursor.epoch()).is_some() => return true,
            _ => {}
        }
        // The log may be in another epoch, or have further records.
        let asked = *join.asked.get_or_insert_with(|| {
            self.checks.is_wanted = true;
            self.checks.begun
        });
        self.checks.done > asked
    }
}

impl Memory {
    fn new(engine: &Arc<dyn Engine>, builder: LocalHubBuilder, state: &LogState, late: LateLosses) -> Self {
        // Reads of different epochs are not shared.
        let reads = Arc::new(SharedReads::new(Arc::new(EngineHistory(Arc::clone(engine)))));
        let history = Arc::clone(&reads) as _;
        let hub = builder.build_at(state.epoch, state.head);
        let epochs = KnownEpochs { earlier: state.earlier.clone() };
        Self { hub, reads, history, epoch: state.epoch, base: state.head, epochs, late }
    }

    /// Ends the subscriptions.
    fn close(&self) {
        self.hub.close();
        self.reads.close();
    }

    fn published(&self) -> u64 {
        self.hub.cursor().sequence()
    }

    fn subscribe(
        &self,
        what: &Subscribe,
        names: &[Pattern],
        place: Place,
        since: u64,
    ) -> Result<HistorySubscription, SubscribeError> {
        let Self { hub, history, epochs, epoch, .. } = self;
        let (epoch, base) = (*epoch, self.base.max(since));
        let (Place::Start(cursor) | Place::After(cursor)) = place;
        let is_late = self.late.concern(names, cursor.sequence());
        let continued = Continued { hub, history, epochs, epoch, base, now: None, is_late };
        match place {
            Place::Start(now) if !is_late && continued.contains(now) => {
                Continued { now: Some(now.sequence()), ..continued }.subscribe(what.clone())
            }
            _ => continued.subscribe(what.clone().start(Start::After(cursor))),
        }
    }
}
