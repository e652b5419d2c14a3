mod actions;
mod authorization;
mod input;
mod phase;
mod progress;
#[cfg(test)]
mod tests;
mod timers;

use std::time::{Duration, Instant};

pub(super) use actions::Actions;
pub(crate) use actions::NoEffect;
pub(crate) use input::{Input, Timeouts, Validity};
pub(super) use phase::SessionKind;
pub(crate) use phase::{Phase, Registration};
use progress::{Checked, WriteProgress};
use timers::{SessionTimer, TimerTable};

use super::{SessionEnd, SessionState};
use crate::endpoint::body::BodyError;

/// State machine of one session, from its place in the session table to its end.
///
/// It performs no I/O, takes no lock, wakes no task and reads no clock: [`handle`](Self::handle) takes an [`Input`] and
/// the time, and returns the [`Actions`] that the caller performs. The caller then sets the session's one alarm to
/// [`alarm`](Self::alarm).
///
/// # Invariants
///
/// - The first reason of the end counts. A revocation replaces it.
/// - `left` is due once, after `joined` returned.
/// - A session that is [shut](Self::is_shut) stays shut: not one more event goes out.
/// - A timer that is not armed does not fire. A session that has ended has no timer.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Lifecycle {
    // First what a delivery touches: up to the first timers.
    phase: Phase,
    kind: SessionKind,
    registration: Registration,
    reason: Option<SessionEnd>,
    /// Number of polls of a poll session that are under way.
    polls: u8,
    /// Number of checks in a row that found no progress.
    stuck: u8,
    /// Whether the publisher was asked to renew the authorization and has not answered.
    is_renewing: bool,
    progress: WriteProgress,
    timers: TimerTable,
}

/// Time between a stream's last bytes and its error. An error that follows at once takes the bytes along, on HTTP/1 and on
/// HTTP/2.
pub(crate) const FLUSH: Duration = Duration::from_millis(100);

impl Lifecycle {
    /// Number of ready pieces that a stream yields before its last item: enough for the events that were published before
    /// a drain, and an end for a topic that is never quiet.
    pub(super) const LAST_PIECES: u8 = 8;

    /// Number of polls of one poll session that may be under way: the tabs of one browser.
    pub(super) const MAX_POLLS: u8 = 16;

    /// Returns a session that is [outside](Registration::Outside) the table, or [enters](Registration::Joining) it. A poll
    /// session begins with its first poll.
    pub(super) fn new(kind: SessionKind, begin: Instant, expires: Option<Instant>, registration: Registration) -> Self {
        let mut timers = TimerTable::new(begin);
        if let Some(at) = expires {
            timers.arm(SessionTimer::Expiry, at);
        }
        Self {
            phase: Phase::Open,
            kind,
            registration,
            reason: None,
            polls: u8::from(kind == SessionKind::PollSession),
            stuck: 0,
            is_renewing: false,
            progress: WriteProgress::default(),
            timers,
        }
    }

    pub(super) fn handle(&mut self, input: Input, now: Instant, timeouts: &Timeouts) -> Actions {
        let mut actions = Actions { before: self.state(), ..Actions::default() };
        match input {
            Input::NoPlace => self.registration = Registration::Outside,
            Input::Joined { max_age, renew_before } => self.joined(max_age, renew_before, now, &mut actions),
            Input::DrainAt(at) => self.drain_at(at),
            Input::Leave(why) => self.leave(why, now, timeouts, &mut actions),
            Input::Revoke => self.revoke(now, &mut actions),
            Input::Expire => self.expire(now, &mut actions),
            Input::Extend(validity) => self.extend(validity, now, &mut actions),
            Input::Renewed(validity) => self.renewed(validity, now, &mut actions),
            Input::Cut(why) => self.cut(why, &mut actions),
            Input::Note(why) => self.note(why),
            Input::Piece => self.count_piece(),
            Input::BreakOff(error) => self.break_off(error, now),
            Input::Finish => self.finish(),
            Input::Watch => self.watch(now, timeouts),
            Input::BeginPoll => self.begin_poll(&mut actions),
            Input::EndPoll => self.end_poll(now, timeouts, &mut actions),
            Input::GiveWay => self.give_way(&mut actions),
            Input::Alarm { is_unread } => self.alarm_went_off(is_unread, now, timeouts, &mut actions),
            Input::End(why) => self.end(why, &mut actions),
        }
        actions.after = self.state();
        actions
    }

    /// Counts bytes that the stream yielded. Returns whether the client is to be [watched](Input::Watch) from now on.
    #[inline(always)]
    pub(super) fn wrote(&mut self, bytes: usize) -> bool {
        self.progress.wrote(bytes);
        !self.timers.is_armed(SessionTimer::Check) && self.can_watch()
    }

    fn can_watch(&self) -> bool {
        self.phase == Phase::Open && !self.timers.is_armed(SessionTimer::Drain)
    }

    fn watch(&mut self, now: Instant, timeouts: &Timeouts) {
        if self.can_watch() {
            self.timers.arm_after(SessionTimer::Check, now, timeouts.write / WriteProgress::CHECKS.into());
        }
    }

    fn joined(&mut self, max_age: Option<Duration>, renew_before: Duration, now: Instant, actions: &mut Actions) {
        match self.registration {
            Registration::Joining => {
                self.registration = Registration::Joined;
                if let Some(age) = max_age.filter(|_| self.phase == Phase::Open) {
                    self.timers.arm_after(SessionTimer::MaxAge, now, age);
                }
                self.begin_authorization(renew_before);
            }
            Registration::EndedWhileJoining => self.left(actions),
            Registration::Outside | Registration::Joined | Registration::Left => {}
        }
        // The other polls of a poll session wait for this.
        actions.wakes |= self.kind == SessionKind::PollSession;
    }

    fn drain_at(&mut self, at: Instant) {
        if self.phase == Phase::Open {
            self.timers.disarm(SessionTimer::Check);
            if self.kind == SessionKind::PollSession {
                self.timers.disarm(SessionTimer::Silence);
            }
            self.timers.arm(SessionTimer::Drain, at);
        }
    }

    fn leave(&mut self, why: SessionEnd, now: Instant, timeouts: &Timeouts, actions: &mut Actions) {
        if self.phase != Phase::Open {
            return actions.skip(NoEffect::Ended);
        }
        self.note(why);
        self.phase = Phase::Leaving(Self::LAST_PIECES);
        self.disarm_open();
        if self.kind == SessionKind::Stream {
            // A stream whose client takes nothing is not polled, so it cannot end by itself.
            self.timers.arm_after(SessionTimer::Cutoff, now, timeouts.write);
        }
        self.wake_or_end(why, actions);
    }

    fn cut(&mut self, why: SessionEnd, actions: &mut Actions) {
        let is_stalled = why == SessionEnd::Stalled;
        self.phase = match self.phase {
            Phase::Over => Phase::Over,
            Phase::Flushing(error) | Phase::Broken(error) | Phase::Cut(error) => Phase::Cut(error),
            _ => Phase::Cut(if is_stalled { BodyError::Stalled } else { BodyError::Ended }),
        };
        actions.stalls_body |= is_stalled;
        actions.wakes = true;
        self.end(why, actions);
    }

    /// Wakes the session's tasks, or ends a session that has none.
    fn wake_or_end(&mut self, why: SessionEnd, actions: &mut Actions) {
        match self.is_idle() {
            true => self.end(why, actions),
            false => actions.wakes = true,
        }
    }

    fn end(&mut self, why: SessionEnd, actions: &mut Actions) {
        self.note(why);
        self.timers.disarm_all();
        if !matches!(self.phase, Phase::Cut(_)) {
            self.phase = Phase::Over;
        }
        actions.sent += self.progress.take_fresh();
        actions.takes_stream = true;
        actions.ends = true;
        match self.registration {
            Registration::Joined => self.left(actions),
            Registration::Joining => self.registration = Registration::EndedWhileJoining,
            Registration::Outside | Registration::EndedWhileJoining | Registration::Left => {}
        }
    }

    fn left(&mut self, actions: &mut Actions) {
        self.registration = Registration::Left;
        actions.left = Some(self.reason.unwrap_or(SessionEnd::Gone));
    }

    fn note(&mut self, why: SessionEnd) {
        self.reason.get_or_insert(why);
    }

    fn count_piece(&mut self) {
        if let Phase::Leaving(pieces) = &mut self.phase {
            *pieces = pieces.saturating_sub(1);
        }
    }

    fn break_off(&mut self, error: BodyError, now: Instant) {
        if matches!(self.phase, Phase::Open | Phase::Leaving(_)) {
            self.phase = Phase::Flushing(error);
            self.disarm_open();
            self.timers.disarm(SessionTimer::Cutoff);
            self.timers.arm_after(SessionTimer::Flush, now, FLUSH);
        }
    }

    /// Ends the stream. A body that is not dropped after that is still cut off, if that was due.
    fn finish(&mut self) {
        self.phase = Phase::Over;
        self.disarm_open();
        self.timers.disarm(SessionTimer::Expiry);
        self.timers.disarm(SessionTimer::Flush);
    }

    /// Disarms the timers that only an open session needs.
    fn disarm_open(&mut self) {
        use SessionTimer::{Check, Drain, MaxAge, Renewal, Silence};
        for timer in [Check, Drain, MaxAge, Silence, Renewal] {
            self.timers.disarm(timer);
        }
    }

    fn begin_poll(&mut self, actions: &mut Actions) {
        if self.phase != Phase::Open || self.reason.is_some() {
            return actions.skip(NoEffect::Ended);
        }
        if self.polls >= Self::MAX_POLLS {
            return actions.skip(NoEffect::TooManyPolls);
        }
        self.polls += 1;
        self.timers.disarm(SessionTimer::Silence);
    }

    fn end_poll(&mut self, now: Instant, timeouts: &Timeouts, actions: &mut Actions) {
        self.polls = self.polls.saturating_sub(1);
        if self.polls > 0 {
            return;
        }
        let is_registered = matches!(self.registration, Registration::Joining | Registration::Joined);
        if self.phase != Phase::Open || self.reason.is_some() || !is_registered {
            return self.end(SessionEnd::Gone, actions);
        }
        if !self.timers.is_armed(SessionTimer::Drain) {
            self.timers.arm_after(SessionTimer::Silence, now, timeouts.poll_session);
        }
    }

    fn give_way(&mut self, actions: &mut Actions) {
        if self.is_idle() && self.phase == Phase::Open {
            self.end(SessionEnd::Silent, actions);
        }
    }

    fn alarm_went_off(&mut self, is_unread: bool, now: Instant, timeouts: &Timeouts, actions: &mut Actions) {
        while let Some(timer) = self.take_due(now) {
            match timer {
                SessionTimer::Expiry => self.revoke(now, actions),
                SessionTimer::Renewal => self.renewal_is_due(actions),
                SessionTimer::Check => self.check(is_unread, now, timeouts, actions),
                SessionTimer::Drain => self.leave(SessionEnd::Drained, now, timeouts, actions),
                SessionTimer::MaxAge => self.leave(SessionEnd::Disconnected, now, timeouts, actions),
                SessionTimer::Silence => self.give_way(actions),
                SessionTimer::Flush => self.flushed(now, timeouts, actions),
                SessionTimer::Cutoff => {
                    // The client takes nothing, or the HTTP stack would have asked for the end.
                    actions.stalls_body = true;
                    self.cut(SessionEnd::Gone, actions);
                }
            }
        }
        // An input of a timer's, if any.
        actions.no_effect = None;
    }

    fn check(&mut self, is_unread: bool, now: Instant, timeouts: &Timeouts, actions: &mut Actions) {
        let (checked, fresh) = self.progress.check(&mut self.stuck, is_unread);
        actions.sent += fresh;
        match checked {
            Checked::Reading => {}
            Checked::Unread => self.watch(now, timeouts),
            Checked::Stalled => {
                actions.counts_stall = true;
                self.cut(SessionEnd::Stalled, actions);
            }
        }
    }

    fn flushed(&mut self, now: Instant, timeouts: &Timeouts, actions: &mut Actions) {
        if let Phase::Flushing(error) = self.phase {
            self.phase = Phase::Broken(error);
            // The HTTP stack may never poll again.
            self.timers.arm_after(SessionTimer::Cutoff, now, timeouts.write);
            actions.wakes = true;
        }
    }

    fn take_due(&mut self, now: Instant) -> Option<SessionTimer> {
        let has_alarm = self.has_alarm();
        self.timers.take_due(now, has_alarm)
    }

    /// Returns whether a timer is armed.
    pub(super) fn has_timer(&self) -> bool {
        self.timers.is_any_armed()
    }

    /// Returns the time that the alarm is to be set to.
    pub(super) fn alarm(&self) -> Option<Instant> {
        self.timers.next(self.has_alarm()).map(|(_, at)| at)
    }

    /// Returns which timers the alarm is for.
    fn has_alarm(&self) -> impl Fn(SessionTimer) -> bool + use<> {
        let (is_poll_session, is_renewable) = (self.kind == SessionKind::PollSession, self.is_renewable());
        move |timer| match timer {
            SessionTimer::Expiry | SessionTimer::Renewal => is_renewable,
            SessionTimer::Silence => is_poll_session,
            _ => true,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn begin(&self) -> Instant {
        self.timers.begin()
    }

    /// Returns the reason of the end, if it is known.
    pub(super) fn reason(&self) -> Option<SessionEnd> {
        self.reason
    }

    /// Returns whether `joined` is still running.
    pub(super) fn is_joining(&self) -> bool {
        matches!(self.registration, Registration::Joining | Registration::EndedWhileJoining)
    }

    /// Returns whether the session is a poll session between two polls, which has no task.
    pub(super) fn is_idle(&self) -> bool {
        self.kind == SessionKind::PollSession && self.polls == 0
    }

    /// Returns whether not one more event may go out.
    #[inline]
    pub(super) fn is_shut(&self) -> bool {
        match self.phase {
            Phase::Open | Phase::Leaving(_) => false,
            Phase::Flushing(error) | Phase::Broken(error) => error == BodyError::Revoked,
            Phase::Revoked | Phase::Cut(_) | Phase::Over => true,
        }
    }

    /// Returns how the session is counted, while it is in the table.
    pub(super) fn state(&self) -> Option<SessionState> {
        match self.registration {
            Registration::Outside | Registration::Left => None,
            _ if self.phase != Phase::Open => Some(SessionState::Leaving),
            _ if self.is_idle() => Some(SessionState::Idle),
            _ => Some(SessionState::Open),
        }
    }
}
