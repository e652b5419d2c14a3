use std::time::{Duration, Instant};

/// A timer of a session.
///
/// Of two timers that are due at the same time, the one that stands first here fires first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The authorization ends.
    Expiry,
    /// The next check whether the client takes what was written. See [`Progress`](super::progress::Progress).
    Check,
    /// The session's time in a drain.
    Drain,
    /// The session is as old as it may become.
    MaxAge,
    /// No poll of a poll session came for too long.
    Silence,
    /// The last bytes of a stream had their time to leave, so the stream can break off.
    Flush,
    /// A stream that should have ended by itself is cut off.
    Cutoff,
}

impl Timer {
    pub(super) const ALL: [Self; 7] =
        [Self::Expiry, Self::Check, Self::Drain, Self::MaxAge, Self::Silence, Self::Flush, Self::Cutoff];
}

/// The timers of one session: a time for each that is armed.
///
/// A time is kept as nanoseconds after the session's begin, in half the memory of an `Option<Instant>`.
#[derive(Debug, Clone)]
#[repr(C)]
pub(super) struct TimerTable {
    // First: a delivery looks at the first of them.
    times: [u64; Timer::ALL.len()],
    begin: Instant,
}

/// The time of a timer that is not armed.
const UNARMED: u64 = u64::MAX;

impl TimerTable {
    pub(super) fn new(begin: Instant) -> Self {
        Self { times: [UNARMED; Timer::ALL.len()], begin }
    }

    /// Returns the begin of the session.
    pub(super) fn begin(&self) -> Instant {
        self.begin
    }

    pub(super) fn arm(&mut self, timer: Timer, at: Instant) {
        self.times[timer as usize] = nanos(at.saturating_duration_since(self.begin));
    }

    /// Arms a timer for `now + wait`, or for 584 years after the session's begin if that is later.
    pub(super) fn arm_after(&mut self, timer: Timer, now: Instant, wait: Duration) {
        let now = now.saturating_duration_since(self.begin);
        self.times[timer as usize] = nanos(now.saturating_add(wait));
    }

    pub(super) fn disarm(&mut self, timer: Timer) {
        self.times[timer as usize] = UNARMED;
    }

    pub(super) fn disarm_all(&mut self) {
        self.times = [UNARMED; Timer::ALL.len()];
    }

    #[inline]
    pub(super) fn is_armed(&self, timer: Timer) -> bool {
        self.times[timer as usize] != UNARMED
    }

    /// Returns the time of a timer that is armed and can be reached.
    pub(super) fn get(&self, timer: Timer) -> Option<Instant> {
        let time = self.times[timer as usize];
        if time == UNARMED { None } else { self.begin.checked_add(Duration::from_nanos(time)) }
    }

    /// Returns the armed timer with the earliest time, of those that `counts` selects.
    pub(super) fn next(&self, counts: impl Fn(Timer) -> bool) -> Option<(Timer, Instant)> {
        let armed = Timer::ALL.into_iter().filter(|&timer| self.is_armed(timer) && counts(timer));
        let timer = armed.min_by_key(|&timer| self.times[timer as usize])?;
        Some((timer, self.get(timer)?))
    }

    /// Disarms and returns the timer that is due first, of those that `counts` selects.
    pub(super) fn take_due(&mut self, now: Instant, counts: impl Fn(Timer) -> bool) -> Option<Timer> {
        let (timer, _) = self.next(counts).filter(|&(_, at)| at <= now)?;
        self.disarm(timer);
        Some(timer)
    }
}

/// Returns a duration in nanoseconds, and never [`UNARMED`].
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(UNARMED).min(UNARMED - 1)
}
