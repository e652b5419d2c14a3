use std::time::{Duration, Instant};

/// A timer of a session.
///
/// Of two timers that are due at the same time, the one that stands first here fires first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::endpoint::session) enum SessionTimer {
    // The first two are looked at with each delivery.
    /// The next check whether the client takes what was written. See
    /// [`WriteProgress`](super::progress::WriteProgress).
    Check,
    /// The session's time in a drain.
    Drain,
    /// The authorization ends.
    Expiry,
    /// The session is as old as it may become.
    MaxAge,
    /// No poll of a poll session came for too long. Only a poll session has this timer.
    Silence,
    /// The last bytes of a stream had their time to leave, so the stream can break off.
    Flush,
    /// A stream that should have ended by itself is cut off.
    Cutoff,
    /// The publisher is to be asked to renew the authorization. A poll session has [`Silence`](Self::Silence) in its
    /// place.
    Renewal,
}

impl SessionTimer {
    pub(in crate::endpoint::session) const ALL: [Self; 8] =
        [Self::Check, Self::Drain, Self::Expiry, Self::MaxAge, Self::Silence, Self::Flush, Self::Cutoff, Self::Renewal];

    /// Number of places in a table. Two timers that no session has both share one.
    const PLACES: usize = 7;

    fn place(self) -> usize {
        match self {
            Self::Renewal => Self::Silence as usize,
            timer => timer as usize,
        }
    }
}

/// The timers of one session: a time for each that is armed.
///
/// A time is kept as nanoseconds after the session's begin, in half the memory of an `Option<Instant>`.
#[derive(Debug, Clone)]
#[repr(C)]
pub(in crate::endpoint::session) struct TimerTable {
    // First: a delivery looks at the first of them.
    times: [u64; SessionTimer::PLACES],
    begin: Instant,
}

/// The time of a timer that is not armed.
const UNARMED: u64 = u64::MAX;

impl TimerTable {
    pub(in crate::endpoint::session) fn new(begin: Instant) -> Self {
        Self { times: [UNARMED; SessionTimer::PLACES], begin }
    }

    /// Returns the begin of the session.
    pub(in crate::endpoint::session) fn begin(&self) -> Instant {
        self.begin
    }

    pub(in crate::endpoint::session) fn arm(&mut self, timer: SessionTimer, at: Instant) {
        self.times[timer.place()] = nanos(at.saturating_duration_since(self.begin));
    }

    /// Arms a timer for `now + wait`, or for 584 years after the session's begin if that is later.
    pub(in crate::endpoint::session) fn arm_after(&mut self, timer: SessionTimer, now: Instant, wait: Duration) {
        let now = now.saturating_duration_since(self.begin);
        self.times[timer.place()] = nanos(now.saturating_add(wait));
    }

    pub(in crate::endpoint::session) fn disarm(&mut self, timer: SessionTimer) {
        self.times[timer.place()] = UNARMED;
    }

    pub(in crate::endpoint::session) fn disarm_all(&mut self) {
        self.times = [UNARMED; SessionTimer::PLACES];
    }

    #[inline]
    pub(in crate::endpoint::session) fn is_armed(&self, timer: SessionTimer) -> bool {
        self.times[timer.place()] != UNARMED
    }

    pub(in crate::endpoint::session) fn is_any_armed(&self) -> bool {
        // Every bit of every time is set if none is armed.
        self.times.iter().fold(UNARMED, |all, time| all & time) != UNARMED
    }

    /// Returns the time of a timer that is armed and can be reached.
    pub(in crate::endpoint::session) fn get(&self, timer: SessionTimer) -> Option<Instant> {
        let time = self.times[timer.place()];
        if time == UNARMED { None } else { self.begin.checked_add(Duration::from_nanos(time)) }
    }

    /// Returns the armed timer with the earliest time, of those that `counts` selects. It must select at most one timer
    /// of a place.
    pub(in crate::endpoint::session) fn next(
        &self,
        counts: impl Fn(SessionTimer) -> bool,
    ) -> Option<(SessionTimer, Instant)> {
        if !self.is_any_armed() {
            return None;
        }
        let armed = SessionTimer::ALL.into_iter().filter(|&timer| self.is_armed(timer) && counts(timer));
        let timer = armed.min_by_key(|&timer| self.times[timer.place()])?;
        Some((timer, self.get(timer)?))
    }

    /// Disarms and returns the timer that is due first, of those that `counts` selects.
    pub(in crate::endpoint::session) fn take_due(
        &mut self,
        now: Instant,
        counts: impl Fn(SessionTimer) -> bool,
    ) -> Option<SessionTimer> {
        let (timer, _) = self.next(counts).filter(|&(_, at)| at <= now)?;
        self.disarm(timer);
        Some(timer)
    }
}

/// Returns a duration in nanoseconds, and never [`UNARMED`].
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(UNARMED).min(UNARMED - 1)
}
