use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Instant;

use super::catch::wake;
use super::info::RunInfo;
use super::lock::lock;
use crate::model::{Cursor, EndReason, Topic};

/// State of one run, shared by its task, its readers and the application.
#[derive(Debug)]
pub(crate) struct RunEntry {
    pub(crate) topic: Topic,
    pub(crate) began: Instant,
    /// Position of the hub before the first event.
    pub(crate) start: Cursor,
    events: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether the task is being polled, and so may publish. Set under the lock of `state`.
    is_polled: AtomicBool,
    state: Mutex<EntryState>,
}

#[derive(Debug)]
struct EntryState {
    phase: Phase,
    readers: usize,
    /// Number of calls that need the run's topic, see [`hold`](RunEntry::hold).
    holds: usize,
    /// Instant at which the last reader left, or the run began.
    unwatched_since: Instant,
    /// Waker of the task.
    waker: Option<Waker>,
    /// Reason of the end, if it has begun.
    reason: Option<EndReason>,
    /// Instant at which the hub refused the end, if it is to be published again.
    refused: Option<Instant>,
}

/// Phase of a run. It only advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The stream is polled.
    Live,
    /// The end is being published.
    Ending,
    /// The run ended at this instant. Its history is kept for readers.
    Ended(Instant),
    /// The history was dropped, and the topic is free.
    Forgotten,
}

/// State that the task reads when it is polled.
pub(crate) struct Observed {
    pub(crate) phase: Phase,
    /// Instant at which the last reader left, if there is none.
    pub(crate) unwatched_since: Option<Instant>,
    /// Instant at which the hub refused the end.
    pub(crate) refused: Option<Instant>,
}

impl RunEntry {
    /// Returns a live run.
    pub(crate) fn new(topic: Topic, now: Instant, start: Cursor) -> Self {
        Self::of(topic, now, start, Phase::Live, None)
    }

    /// Returns a run that ended at an instant.
    #[cfg(feature = "disk")]
    pub(crate) fn ended(topic: Topic, at: Instant, start: Cursor, reason: EndReason) -> Self {
        Self::of(topic, at, start, Phase::Ended(at), Some(reason))
    }

    fn of(topic: Topic, began: Instant, start: Cursor, phase: Phase, reason: Option<EndReason>) -> Self {
        let (unwatched_since, waker, refused) = (began, None, None);
        let state = EntryState { phase, readers: 0, holds: 0, unwatched_since, waker, reason, refused };
        Self {
            topic,
            began,
            start,
            events: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            is_polled: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        lock(&self.state).phase
    }

    /// Begins a poll of the task: registers its waker and returns the state. Until [`end_poll`](Self::end_poll) the run is
    /// not [forgotten](Self::forget).
    pub(crate) fn begin_poll(&self, cx: &Context<'_>) -> Observed {
        let mut state = lock(&self.state);
        self.is_polled.store(true, Ordering::Relaxed);
        let replaced = match &state.waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => state.waker.replace(cx.waker().clone()),
        };
        let unwatched_since = (state.readers == 0).then_some(state.unwatched_since);
        let observed = Observed { phase: state.phase, unwatched_since, refused: state.refused };
        drop(state);
        drop(replaced);
        observed
    }

    /// Ends a poll of the task: it publishes nothing more before the next one.
    pub(crate) fn end_poll(&self) {
        self.is_polled.store(false, Ordering::Release);
    }

    /// Begins the end of the run. Returns `false` if it has begun already.
    pub(crate) fn begin_end(&self, reason: EndReason) -> bool {
        let mut state = lock(&self.state);
        let is_live = state.phase == Phase::Live;
        if is_live {
            (state.phase, state.reason) = (Phase::Ending, Some(reason));
        }
        is_live
    }

    /// Calls a function unless the end of the run has begun. Until it returns, the end does not begin.
    #[cfg(feature = "disk")]
    pub(crate) fn if_live(&self, call: &mut dyn FnMut()) {
        let state = lock(&self.state);
        if state.phase == Phase::Live {
            call();
        }
    }

    /// Notes that the hub has refused the end.
    pub(crate) fn refuse_end(&self, at: Instant) {
        lock(&self.state).refused = Some(at);
    }

    /// Returns the instant at which the hub refused the end.
    #[cfg(feature = "disk")]
    pub(crate) fn refused(&self) -> Option<Instant> {
        lock(&self.state).refused
    }

    /// Begins the end again if the hub has refused it. Returns its reason.
    pub(crate) fn begin_end_again(&self) -> Option<EndReason> {
        let mut state = lock(&self.state);
        state.refused.take().and(state.reason)
    }

    /// Returns the reason of the end, if the end was published.
    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        let state = lock(&self.state);
        state.reason.filter(|_| state.phase != Phase::Ending)
    }

    /// Completes the end of the run. Returns its bytes so far.
    pub(crate) fn complete_end(&self, now: Instant) -> usize {
        let mut state = lock(&self.state);
        state.phase = Phase::Ended(now);
        self.bytes()
    }

    /// Keeps an ended run from being [forgotten](Self::forget) until [`release`](Self::release). Returns `false` if it is not
    /// an ended one.
    pub(crate) fn hold(&self) -> bool {
        let mut state = lock(&self.state);
        let is_ended = matches!(state.phase, Phase::Ended(_));
        state.holds += usize::from(is_ended);
        is_ended
    }

    /// Ends a [hold](Self::hold).
    pub(crate) fn release(&self) {
        lock(&self.state).holds -= 1;
    }

    /// Marks an ended run as forgotten. Returns `false` if it is not an ended one, if it is [held](Self::hold), or if its
    /// task is being polled.
    pub(crate) fn forget(&self) -> bool {
        let mut state = lock(&self.state);
        let is_used = state.holds > 0 || self.is_polled.load(Ordering::Acquire);
        let is_free = matches!(state.phase, Phase::Ended(_)) && !is_used;
        if is_free {
            state.phase = Phase::Forgotten;
        }
        is_free
    }

    /// Wakes the task.
    pub(crate) fn wake(&self) {
        let waker = lock(&self.state).waker.take();
        waker.into_iter().for_each(wake);
    }

    /// Counts a reader.
    pub(crate) fn enter(&self) {
        lock(&self.state).readers += 1;
    }

    /// Counts a reader less. Returns whether it was the last one of a live run.
    pub(crate) fn leave(&self, now: Instant) -> bool {
        let mut state = lock(&self.state);
        state.readers -= 1;
        let is_last = state.readers == 0;
        if is_last {
            state.unwatched_since = now;
        }
        is_last && state.phase == Phase::Live
    }

    /// Counts published events. Returns whether the end was completed meanwhile, without these bytes.
    pub(crate) fn add(&self, events: usize, bytes: usize) -> bool {
        let state = lock(&self.state);
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        matches!(state.phase, Phase::Ended(_))
    }

    pub(crate) fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns a description of the run, unless it has ended.
    pub(crate) fn info(&self, now: Instant) -> Option<RunInfo> {
        let state = lock(&self.state);
        let (phase, readers) = (state.phase, state.readers);
        drop(state);
        (phase == Phase::Live).then(|| RunInfo {
            topic: self.topic.clone(),
            age: now.saturating_duration_since(self.began),
            events: self.events(),
            bytes: self.bytes(),
            readers,
        })
    }
}
