use std::time::{Duration, Instant};

use super::actions::{Actions, NoEffect};
use super::input::Validity;
use super::phase::{Phase, Registration, SessionKind};
use super::timers::SessionTimer;
use super::{FLUSH, Lifecycle};
use crate::endpoint::body::BodyError;
use crate::endpoint::session::SessionEnd;

/// The authorization of a session: its end, and its renewal.
impl Lifecycle {
    pub(super) fn revoke(&mut self, now: Instant, actions: &mut Actions) {
        if self.is_shut() {
            return actions.skip(NoEffect::Ended);
        }
        self.reason = Some(SessionEnd::Revoked);
        self.timers.disarm_all();
        actions.takes_stream = true;
        if self.kind == SessionKind::Stream {
            self.phase = Phase::Flushing(BodyError::Revoked);
            self.timers.arm_after(SessionTimer::Flush, now, FLUSH);
        } else {
            self.phase = Phase::Revoked;
        }
        self.wake_or_end(SessionEnd::Revoked, actions);
    }

    pub(super) fn expire(&mut self, now: Instant, actions: &mut Actions) {
        match self.has_expired(now) {
            true => self.revoke(now, actions),
            false => actions.skip(NoEffect::Ended),
        }
    }

    /// Sets the time at which the authorization of a stream or a WebSocket expires. The answer of a publisher that was
    /// asked before has no effect.
    pub(super) fn extend(&mut self, validity: Validity, now: Instant, actions: &mut Actions) {
        if self.phase != Phase::Open || !self.is_long_lived() {
            return actions.skip(NoEffect::Ended);
        }
        self.is_renewing = false;
        if self.has_expired(now) {
            self.revoke(now, actions);
            return actions.skip(NoEffect::Ended);
        }
        self.timers.arm(SessionTimer::Expiry, validity.expires);
        self.arm_renewal(validity.renew_before);
    }

    pub(super) fn renewed(&mut self, validity: Option<Validity>, now: Instant, actions: &mut Actions) {
        match validity {
            Some(validity) if self.is_renewing => self.extend(validity, now, actions),
            _ => self.is_renewing = false,
        }
    }

    /// Begins to watch the authorization of a session that has joined.
    pub(super) fn begin_authorization(&mut self, renew_before: Duration) {
        // The application may have extended the authorization in `joined`.
        let is_known = self.is_long_lived() && self.timers.is_armed(SessionTimer::Renewal);
        if self.phase == Phase::Open && self.can_expire() && !is_known {
            self.arm_renewal(renew_before);
        }
    }

    fn arm_renewal(&mut self, renew_before: Duration) {
        if let (true, Some(expires)) = (self.is_long_lived(), self.expires()) {
            self.timers.arm(SessionTimer::Renewal, expires.checked_sub(renew_before).unwrap_or(self.begin()));
        }
    }

    /// Asks the publisher, unless the session ends in order before its authorization expires.
    pub(super) fn renewal_is_due(&mut self, actions: &mut Actions) {
        let Some(expires) = self.expires() else { return };
        let ends_before = |timer| self.timers.get(timer).is_some_and(|at| at <= expires);
        if self.phase == Phase::Open && !ends_before(SessionTimer::MaxAge) && !ends_before(SessionTimer::Drain) {
            self.is_renewing = true;
            actions.renews = true;
            actions.wakes = true;
        }
    }

    /// Returns whether an answer of the publisher would renew the authorization.
    pub(in crate::endpoint::session) fn is_renewing(&self) -> bool {
        self.is_renewing && self.phase == Phase::Open
    }

    /// Returns whether the session is a stream or a WebSocket. The handler of a poll compares the time with the end of
    /// the poll's own authorization.
    fn is_long_lived(&self) -> bool {
        matches!(self.kind, SessionKind::Stream | SessionKind::WebSocket)
    }

    /// Returns whether the alarm renews the authorization, and revokes the session when it expires.
    pub(super) fn is_renewable(&self) -> bool {
        self.registration == Registration::Joined && self.is_long_lived()
    }

    fn has_expired(&self, now: Instant) -> bool {
        self.expires().is_some_and(|at| at <= now)
    }

    pub(in crate::endpoint::session) fn can_expire(&self) -> bool {
        self.timers.is_armed(SessionTimer::Expiry)
    }

    /// Returns the end of the authorization, unless the session has ended or was revoked before.
    pub(in crate::endpoint::session) fn expires(&self) -> Option<Instant> {
        self.timers.get(SessionTimer::Expiry)
    }
}
