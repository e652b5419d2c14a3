//! Inputs of a session, and the actions that follow from them.

use std::sync::{Arc, MutexGuard};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::entry::{LockedEntry, SessionEntry, drop_catching};
use super::event_stream::EventStream;
use super::instruments::Arrival;
use super::lifecycle::{Actions, Input, NoEffect};
use super::session_table::NoPlace;
use super::{SessionEnd, SessionState};
use crate::contract::Transport;
use crate::time::Clock;

impl SessionEntry {
    /// Takes a place in the table and calls the publisher's `joined`. The session must be one that enters the table.
    pub(super) fn join(self: &Arc<Self>, arrival: &Arrival) -> Result<(), NoPlace> {
        let config = &self.shared.config;
        let renew_before = self.lifetime().map_or(Duration::ZERO, |lifetime| config.jittered_renew_before(lifetime));
        let joined = Input::Joined { max_age: config.jittered_lifetime(), renew_before };
        // Before the session is in the table: if the application's clock panics after that, the session never leaves.
        let now = self.time_of(joined);
        if let Err(no_place) = self.shared.sessions.enter(self) {
            self.give(Input::NoPlace);
            return Err(no_place);
        }
        self.begin_instruments(arrival);
        self.call_in_span(|| self.shared.publisher.joined(&self.session));
        self.shared.begin_presence(&self.session);
        let mut locked = self.locked.lock();
        let actions = locked.lifecycle.handle(joined, now, &self.shared.timeouts);
        // Most sessions have no timer and nothing to do.
        if !actions.are_none() || locked.lifecycle.has_timer() {
            self.perform(locked, &actions);
        }
        Ok(())
    }

    /// Ends the session in order at this time of a drain.
    pub(crate) fn drain_at(self: &Arc<Self>, at: Instant) {
        self.give(Input::DrainAt(at));
    }

    /// Ends the session in order. Returns whether it was open.
    pub(crate) fn disconnect(self: &Arc<Self>) -> bool {
        self.give(Input::Leave(SessionEnd::Disconnected)).is_none()
    }

    /// Ends the authorization: not one more event goes out. Returns whether there was one.
    pub(crate) fn revoke(self: &Arc<Self>) -> bool {
        self.give(Input::Revoke).is_none()
    }

    /// Ends the session at once, because a drain is over.
    pub(crate) fn cut(self: &Arc<Self>) {
        self.give(Input::Cut(SessionEnd::Drained));
    }

    /// Ends a poll session that is between two polls, to make room for another session.
    pub(crate) fn give_way(self: &Arc<Self>) {
        self.give(Input::GiveWay);
    }

    /// Gives an input to the state machine and performs its actions. Returns why it has no effect, if so.
    pub(crate) fn give(self: &Arc<Self>, input: Input) -> Option<NoEffect> {
        let now = self.time_of(input);
        let mut locked = self.locked.lock();
        let actions = locked.lifecycle.handle(input, now, &self.shared.timeouts);
        self.perform(locked, &actions)
    }

    /// Returns the time, if the input depends on it. The application's clock is read under no lock.
    pub(super) fn time_of(&self, input: Input) -> Instant {
        let wheel = &self.shared.runtime.wheel;
        if input.depends_on_time() { wheel.now() } else { wheel.begin() }
    }

    /// Performs actions: first those that the lock orders, then it lets go of the lock, then the rest.
    pub(super) fn perform(
        self: &Arc<Self>,
        mut locked: MutexGuard<'_, LockedEntry>,
        actions: &Actions,
    ) -> Option<NoEffect> {
        let &Actions {
            no_effect,
            before,
            after,
            left,
            wakes,
            takes_stream,
            ends,
            counts_stall,
            stalls_body,
            sent,
            renews,
        } = actions;
        let gives_way = self.count(before, after);
        let (driver, needs_driver) = self.set_alarm(&mut locked);
        self.write_signals(&locked.lifecycle, needs_driver);
        let stream = if takes_stream { locked.stream.take() } else { None };
        let head = if ends { locked.head.take() } else { None };
        let unused = self.update_live(&mut locked, renews);
        let reason = locked.lifecycle.reason();
        let connection = if stalls_body { locked.body.stall(&self.shared.counters) } else { None };
        drop(locked);
        driver.into_iter().for_each(Waker::wake);
        gives_way.inspect(Self::give_way);
        connection.inspect(|connection| connection.abort());
        if reason == Some(SessionEnd::Stalled) {
            stream.iter().for_each(EventStream::note_stall);
        }
        if stream.is_some() || head.is_some() || unused.is_some() {
            drop_catching((stream, head, unused));
        }
        self.shared.counters.sent(sent);
        if counts_stall {
            self.shared.counters.stalled();
        }
        if let Some(why) = left {
            self.leave(before, why);
        }
        if wakes || needs_driver {
            self.wake_tasks();
        }
        no_effect
    }

    /// Counts a change of state. The caller has the lock, so that only an idle poll session is listed as idle. Returns a
    /// poll session that gives way.
    fn count(self: &Arc<Self>, before: Option<SessionState>, after: Option<SessionState>) -> Option<Arc<Self>> {
        let (Some(before), Some(after)) = (before, after) else { return None };
        if before == after {
            return None;
        }
        self.shared.sessions.shift(before, after);
        match (before, after) {
            (_, SessionState::Idle) => self.shared.sessions.begin_idle(self),
            (SessionState::Idle, SessionState::Open) => {
                self.shared.sessions.end_idle(self);
                None
            }
            _ => None,
        }
    }

    /// Sets the alarm to the earliest timer. Returns the waker of a driver that sleeps for longer, and whether there is no
    /// driver.
    fn set_alarm(self: &Arc<Self>, locked: &mut LockedEntry) -> (Option<Waker>, bool) {
        let Some(at) = locked.lifecycle.alarm() else {
            locked.alarm.cancel();
            return (None, false);
        };
        let driver = locked.alarm.set_once(at, || self.clone().into());
        // After the alarm is set: a driver that is lost later finds it.
        (driver, !self.shared.runtime.wheel.has_driver())
    }

    /// Leaves the table and calls the publisher's `left`.
    fn leave(&self, state: Option<SessionState>, why: SessionEnd) {
        if self.transport() == Transport::WebSocket {
            self.shared.counters.sent(self.track.bytes());
        }
        self.shared.sessions.remove(self, state, why);
        self.call_in_span(|| self.shared.publisher.left(&self.session, why));
        self.end_instruments(why);
        self.shared.end_presence(&self.session);
        self.shared.sessions.note_left();
    }
}

impl Wake for SessionEntry {
    /// The session's alarm. It is also called when there is no driver, so that the session's task starts one.
    fn wake(self: Arc<Self>) {
        let now = self.shared.runtime.wheel.now();
        let mut locked = self.locked.lock();
        let is_unread = locked.stream.is_some() && !self.is_read();
        let actions = locked.lifecycle.handle(Input::Alarm { is_unread }, now, &self.shared.timeouts);
        self.perform(locked, &actions);
    }
}
