use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::key::Outcome;
use super::settings::PresenceRule;
use super::table::{KeyChange, KeyName, PresenceTable, PresenceWork};
use crate::contract::PublishError;
use crate::endpoint::catch_panic::catch_panic;
use crate::endpoint::mutex::Mutex;
use crate::endpoint::refused::Refused;
use crate::endpoint::reject::RefusalCause;
use crate::endpoint::session::{Session, drop_catching};
use crate::endpoint::shared::Shared;
use crate::endpoint::time::wheel::{Alarm, Wheel};
use crate::model::Event;
use crate::time::Clock;

/// Most changes that the driver publishes at once, so that other timers are not late when many are due.
const AT_ONCE: usize = 256;
/// Time until it publishes the next ones.
const PAUSE: Duration = Duration::from_millis(5);

/// Presence of an endpoint's sessions. The closure and the hub are called under no lock.
pub(crate) struct Presence {
    rule: PresenceRule,
    locked: Mutex<LockedPresence>,
    /// Number of published changes.
    changes: AtomicU64,
}

struct LockedPresence {
    table: PresenceTable,
    /// Set to the first change that is due.
    alarm: Alarm,
}

/// Waker of the alarm. It does not keep the endpoint alive.
struct PresenceAlarm(Weak<Shared>);

impl Presence {
    pub(crate) fn new(rule: PresenceRule, grace: Duration, wheel: &Wheel) -> Self {
        let locked = LockedPresence { table: PresenceTable::new(grace), alarm: wheel.alarm() };
        Self { rule, locked: Mutex::new(locked), changes: AtomicU64::new(0) }
    }

    /// Returns the number of keys, and of the published changes.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.locked.lock().table.keys(), self.changes.load(Ordering::Relaxed))
    }

    /// Ends presence without removals.
    pub(crate) fn stop(&self) {
        drop_each(self.take_table().into_events());
    }

    fn take_table(&self) -> PresenceTable {
        let mut locked = self.locked.lock();
        locked.alarm.cancel();
        locked.table.stop()
    }

    /// Removes the published keys, because the endpoint and its last session are gone.
    pub(crate) fn remove_all(&self, shared: &Shared) {
        let table = self.take_table();
        table.published().for_each(|name| _ = self.publish(shared, name, None));
        drop_each(table.into_events());
    }

    fn begin(&self, shared: &Arc<Shared>, session: &Session) {
        let refuse = |text: &str| {
            shared.report_refusal(&Refused::new(RefusalCause::Presence, text).of_session(session));
        };
        let Ok(items) = catch_panic(|| (self.rule.present)(session)) else {
            return refuse("closure of the presence panicked");
        };
        let valid = items.into_iter().filter_map(|item| item.map_err(|text| refuse(&text)).ok());
        let present: Vec<_> = valid.collect();
        if !present.is_empty() {
            let now = read_clock(shared);
            self.update(shared, now, |table, work| table.begin(session.id(), present, now, work));
        }
    }

    fn end(&self, shared: &Arc<Shared>, session: &Session) {
        let now = read_clock(shared);
        self.update(shared, now, |table, work| table.end(session.id(), now, work));
    }

    /// Changes the table, and publishes the changes that follow.
    fn update(&self, shared: &Arc<Shared>, now: Instant, input: impl FnOnce(&mut PresenceTable, &mut PresenceWork)) {
        let mut work = PresenceWork::default();
        self.with_table(shared, now, |table| input(table, &mut work));
        while !work.changes.is_empty() {
            let publish = |change: KeyChange| {
                let outcome = self.publish(shared, &change.name, change.event.clone());
                (change, outcome)
            };
            let done: Vec<_> = work.changes.drain(..).map(publish).collect();
            let now = read_clock(shared);
            self.with_table(shared, now, |table| {
                done.into_iter().for_each(|(change, outcome)| table.finish(change, outcome, now, &mut work));
            });
        }
        drop_each(work.dropped.into_iter());
    }

    /// Changes the table, and sets the alarm.
    fn with_table(&self, shared: &Arc<Shared>, now: Instant, change: impl FnOnce(&mut PresenceTable)) {
        let mut locked = self.locked.lock();
        change(&mut locked.table);
        let driver = match locked.table.first_due() {
            Some(at) => {
                let at = if at <= now { now + PAUSE } else { at };
                locked.alarm.set_once(at, || Waker::from(Arc::new(PresenceAlarm(Arc::downgrade(shared)))))
            }
            None => {
                locked.alarm.cancel();
                None
            }
        };
        drop(locked);
        driver.into_iter().for_each(Waker::wake);
    }

    fn publish(&self, shared: &Shared, name: &KeyName, event: Option<Event>) -> Outcome {
        let KeyName { topic, key } = name;
        let published = catch_panic(|| {
            if !self.rule.hub.keeps_state(topic) {
                return Err(PublishError::NotKeyed(topic.clone()));
            }
            let event = event.map_or_else(|| Event::removal(key), Ok);
            // The key was checked before.
            event.map_or(Ok(()), |event| self.rule.hub.publish_now(topic, event).map(drop))
        });
        let refuse = |why: &dyn std::fmt::Display| {
            let text = format!("presence of key `{key}` in topic `{topic}`: {why}");
            shared.report_refusal(&Refused::new(RefusalCause::Presence, &text));
        };
        match published {
            Ok(Ok(())) => {
                self.changes.fetch_add(1, Ordering::Relaxed);
                Outcome::Published
            }
            Ok(Err(error)) => {
                refuse(&error);
                outcome_of(&error)
            }
            Err(_) => {
                refuse(&"a waker or the clock of the hub panicked");
                Outcome::Postponed
            }
        }
    }
}

/// Returns the time. If the application's clock panics, the time is that of the endpoint's begin, so that no session
/// stays in the table after its end: changes that are due later are due at once.
fn read_clock(shared: &Shared) -> Instant {
    let wheel = &shared.runtime.wheel;
    catch_panic(|| wheel.now()).unwrap_or_else(|_| wheel.begin())
}

/// Drops events one by one, since several payloads of the application may panic when they are dropped.
fn drop_each(events: impl Iterator<Item = Event>) {
    events.for_each(drop_catching);
}

/// Returns whether the hub would refuse the change again.
fn outcome_of(error: &PublishError) -> Outcome {
    match error {
        PublishError::StateFull { .. } | PublishError::Full { .. } | PublishError::TooManyTopics { .. } => {
            Outcome::Postponed
        }
        _ => Outcome::Refused,
    }
}

impl Shared {
    /// Notes the begin of a session, if there is presence.
    #[inline]
    pub(crate) fn begin_presence(self: &Arc<Self>, session: &Session) {
        if let Some(presence) = &self.presence {
            presence.begin(self, session);
        }
    }

    /// Notes the end of a session, if there is presence.
    #[inline]
    pub(crate) fn end_presence(self: &Arc<Self>, session: &Session) {
        if let Some(presence) = &self.presence {
            presence.end(self, session);
        }
    }
}

impl Wake for PresenceAlarm {
    /// Called when changes are due, and when there is no driver.
    fn wake(self: Arc<Self>) {
        let Some(shared) = self.0.upgrade() else { return };
        if let Some(presence) = &shared.presence {
            let now = read_clock(&shared);
            presence.update(&shared, now, |table, work| table.run_due(now, AT_ONCE, work));
        }
    }
}
