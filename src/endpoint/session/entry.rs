use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Waker;
use std::time::Instant;

use atomic_waker::AtomicWaker;

use super::body_hold::BodyHold;
use super::event_stream::EventStream;
use super::instruments::{Countdown, SessionMeter, SessionSpan};
use super::lifecycle::{Input, Lifecycle, Phase, Registration, SessionKind};
use super::live::RareState;
use super::polls::{PollEntry, Polls};
use super::track::Track;
use super::{Session, SessionEnd};
use crate::contract::{Head, Transport};
use crate::endpoint::catch_panic::catch_panic;
use crate::endpoint::mutex::Mutex;
use crate::endpoint::shared::Shared;
use crate::endpoint::time::wheel::Alarm;
use crate::time::Clock;

/// State of one session, shared by its task, the driver and the application.
///
/// The driver calls [`wake`](std::task::Wake::wake) when the session's alarm is due.
// In this order, a delivery touches two cache lines of it: from the middle of the track on to the first timers.
#[repr(C)]
pub(crate) struct SessionEntry {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: Session,
    /// The task of a session that is no poll session. It is woken when the phase changes.
    task: AtomicWaker,
    pub(super) track: Track,
    /// Whether something was there at the last look.
    pub(super) is_behind: AtomicBool,
    is_poll_session: bool,
    /// Whether the session enters the table, so that it can be found and described.
    pub(super) is_listed: bool,
    /// Whether the HTTP stack polled the body after the last piece, at a time when the stream had nothing to do.
    pub(super) is_read: AtomicBool,
    /// Whether the source is not asked before its [throttle](super::throttle::Throttle) allows it.
    pub(super) is_throttled: AtomicBool,
    pub(super) countdown: Countdown,
    /// Bits that are read without the lock, and written under it after each input.
    signals: AtomicU8,
    pub(super) locked: Mutex<LockedEntry>,
    pub(super) span: SessionSpan,
    pub(super) meter: SessionMeter,
}

/// State of a session that is under its lock. No code of the application runs under it.
// First what a delivery touches.
#[repr(C)]
pub(super) struct LockedEntry {
    /// Source of a body's frames, while the body is not polled though it yielded bytes or is new. A body that its client
    /// does not read is not polled, so the source lies where the driver can drop it.
    pub(super) stream: Option<EventStream>,
    pub(super) lifecycle: Lifecycle,
    pub(super) body: BodyHold,
    pub(super) alarm: Alarm,
    /// State that few sessions have.
    pub(super) rare: Option<Box<RareState>>,
    /// Head of the session's source.
    pub(super) head: Option<Arc<dyn Head>>,
}

/// The phase is no longer [`Phase::Open`].
const CHANGED: u8 = 1;
/// Not one more event may go out.
const SHUT: u8 = 2;
/// The authorization has an end, which is to be compared with the clock.
const EXPIRES: u8 = 4;
/// The alarm is set and there is no driver: the session's task is to start one.
const NEEDS_DRIVER: u8 = 8;
/// The task was woken for more than the phase at some time. The bit is never cleared: such a wake may take the waker of
/// a task that has seen its signal before, so each poll registers the task from then on.
pub(super) const REGISTERS: u8 = 16;
/// The publisher was asked to renew the authorization: the session's task is to poll its answer.
pub(super) const RENEWS: u8 = 32;
/// The topics are to be changed: the next poll of the subscriber continues the change.
pub(super) const CHANGES: u8 = 64;
/// A subscriber of the session has a [throttle](super::throttle::Throttle). The bit is never cleared.
pub(super) const THROTTLED: u8 = 128;
/// Bits that an input leaves as they are.
const KEPT: u8 = NEEDS_DRIVER | REGISTERS | RENEWS | CHANGES | THROTTLED;

impl SessionEntry {
    /// Returns the entry of a session. A poll session has its first `poll`.
    #[inline(always)]
    pub(super) fn new(
        shared: &Arc<Shared>,
        session: Session,
        begin: Instant,
        expires: Option<Instant>,
        poll: Option<Arc<PollEntry>>,
        registration: Registration,
    ) -> Self {
        let kind = match session.transport() {
            _ if poll.is_some() => SessionKind::PollSession,
            Transport::Chunked | Transport::Sse => SessionKind::Stream,
            Transport::WebSocket => SessionKind::WebSocket,
            Transport::ShortPoll | Transport::LongPoll => SessionKind::Poll,
        };
        let is_poll_session = poll.is_some();
        Self {
            shared: shared.clone(),
            countdown: Countdown::of(session.id()),
            session,
            task: AtomicWaker::new(),
            track: Track::default(),
            is_behind: AtomicBool::new(false),
            is_poll_session,
            is_listed: registration != Registration::Outside,
            is_read: AtomicBool::new(false),
            is_throttled: AtomicBool::new(false),
            signals: AtomicU8::new(if expires.is_some() { EXPIRES } else { 0 }),
            locked: Mutex::new(LockedEntry {
                stream: None,
                lifecycle: Lifecycle::new(kind, begin, expires, registration),
                body: BodyHold::default(),
                alarm: shared.runtime.wheel.alarm(),
                rare: poll.map(|poll| Box::new(RareState::Polls(Polls::of(poll)))),
                head: None,
            }),
            span: SessionSpan::default(),
            meter: SessionMeter::default(),
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.session.transport()
    }

    pub(crate) fn is_poll_session(&self) -> bool {
        self.is_poll_session
    }

    /// Returns whether the task has more to do than to read events. The task is woken when that becomes so.
    #[inline]
    pub(crate) fn has_signal(&self) -> bool {
        self.signals.load(Ordering::Acquire) & (CHANGED | SHUT | NEEDS_DRIVER | REGISTERS | RENEWS) != 0
    }

    /// Starts a driver if one is needed, and polls the publisher's answer if there is one to come. Returns whether the
    /// phase is no longer [`Phase::Open`].
    #[cold]
    pub(super) fn heed_signal(self: &Arc<Self>, task: &Waker) -> bool {
        let signals = self.signals.load(Ordering::Acquire);
        if signals & NEEDS_DRIVER != 0 {
            self.signals.fetch_and(!NEEDS_DRIVER, Ordering::AcqRel);
            self.shared.runtime.wheel.ensure_driver();
        }
        if signals & RENEWS != 0 {
            self.poll_renewal(task);
        }
        self.is_ending()
    }

    /// Returns whether not one more event may go out.
    #[inline]
    pub(crate) fn is_shut(self: &Arc<Self>) -> bool {
        let signals = self.signals.load(Ordering::Acquire);
        signals & (SHUT | EXPIRES) != 0 && (signals & SHUT != 0 || self.revoke_if_expired())
    }

    /// Returns whether the subscriber's next poll is one of its feed: no change of the topics is under way, and no
    /// throttle is set.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.signals.load(Ordering::Relaxed) & (CHANGES | THROTTLED) == 0
    }

    /// Returns whether the subscriber's next poll continues a change of the topics.
    #[inline]
    pub(super) fn has_change(&self) -> bool {
        self.signals.load(Ordering::Relaxed) & CHANGES != 0
    }

    /// Returns whether the session was shut at the last input. The authorization may have expired since.
    #[inline]
    pub(super) fn is_cut_off(&self) -> bool {
        self.signals.load(Ordering::Acquire) & SHUT != 0
    }

    /// Returns whether the session is no longer open.
    pub(super) fn is_ending(&self) -> bool {
        self.signals.load(Ordering::Acquire) & (CHANGED | SHUT) != 0
    }

    /// Revokes the session if its authorization has expired, and returns whether it has.
    #[cold]
    fn revoke_if_expired(self: &Arc<Self>) -> bool {
        let now = self.shared.runtime.wheel.now();
        let has_expired = self.expires().is_some_and(|at| at <= now);
        // The authorization may be extended in between.
        has_expired && self.give(Input::Expire).is_none()
    }

    /// Returns the end of the authorization, unless the session has ended.
    #[inline]
    pub(super) fn expires(&self) -> Option<Instant> {
        let expires = self.signals.load(Ordering::Acquire) & EXPIRES != 0;
        if expires { self.locked.lock().lifecycle.expires() } else { None }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.locked.lock().lifecycle.phase()
    }

    /// Returns the reason of the end, if it is known.
    pub(crate) fn reason(&self) -> Option<SessionEnd> {
        self.locked.lock().lifecycle.reason()
    }

    /// Notes why the session will have ended, unless that is known.
    #[cold]
    pub(crate) fn note(self: &Arc<Self>, why: SessionEnd) {
        self.give(Input::Note(why));
    }

    /// Notes why the subscriber ended. The end of one poll's subscriber is not that of its poll session.
    pub(crate) fn subscriber_ended(self: &Arc<Self>, why: SessionEnd) {
        if !self.is_poll_session || why == SessionEnd::Panicked {
            self.note(why);
        }
    }

    /// Writes the signals that follow from the state. The caller has the lock.
    pub(super) fn write_signals(&self, lifecycle: &Lifecycle, needs_driver: bool) {
        let is_shut = lifecycle.is_shut();
        let mut signals = self.signals.load(Ordering::Relaxed) & KEPT;
        if needs_driver {
            signals |= NEEDS_DRIVER | REGISTERS;
        }
        for (is_set, signal) in [
            (lifecycle.phase() != Phase::Open, CHANGED),
            (is_shut, SHUT),
            (!is_shut && lifecycle.can_expire(), EXPIRES),
        ] {
            signals |= if is_set { signal } else { 0 };
        }
        self.signals.store(signals, Ordering::Release);
    }

    /// Sets a signal, or clears it. The caller has the lock.
    pub(super) fn set_signal(&self, signal: u8, is_set: bool) {
        match is_set {
            true => self.signals.fetch_or(signal, Ordering::AcqRel),
            false => self.signals.fetch_and(!signal, Ordering::AcqRel),
        };
    }

    /// Registers the task that is woken when the session has a signal, in place of another.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Wakes the session's tasks. The caller has no lock.
    pub(super) fn wake_tasks(&self) {
        if self.is_poll_session {
            let polls = self.locked.lock().polls().map(|polls| polls.under_way());
            polls.iter().flatten().for_each(|poll| poll.task.wake());
        }
        self.task.wake();
    }
}

/// Drops values of the application. A panic of their code ends no more than the session.
pub(crate) fn drop_catching<T>(value: T) {
    let _ = catch_panic(|| drop(value));
}

impl fmt::Debug for SessionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEntry").field("session", &self.session).finish_non_exhaustive()
    }
}

impl fmt::Debug for LockedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedEntry").field("lifecycle", &self.lifecycle).finish_non_exhaustive()
    }
}
