use std::fmt;
use std::sync::{Arc, Mutex};
#[cfg(feature = "disk")]
use std::time::Duration;
use std::time::Instant;

use super::catch::catch_panic;
use super::entry::{Phase, RunEntry};
use super::failure::{FailureCause, FailureHook, RunFailure};
use super::limits::RunLimits;
use super::lock::lock;
use super::run_hub::RunHub;
use super::spawner::SpawnFn;
use super::table::RunTable;
use crate::contract::RunError;
#[cfg(feature = "disk")]
use crate::disk::EndedRun;
use crate::model::Topic;
use crate::time::Timer;
#[cfg(feature = "disk")]
use crate::time::milliseconds_since_1970;

/// State that the handles, the tasks and the readers of the runs share.
pub(crate) struct Shared {
    pub(crate) hub: RunHub,
    pub(crate) limits: RunLimits,
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) spawn: Option<SpawnFn>,
    hook: Option<FailureHook>,
    pub(crate) table: Mutex<RunTable>,
}

impl Shared {
    pub(crate) fn new(
        hub: RunHub,
        limits: RunLimits,
        timer: Arc<dyn Timer>,
        spawn: Option<SpawnFn>,
        hook: Option<FailureHook>,
    ) -> Self {
        let shared = Self { hub, limits, timer, spawn, hook, table: Mutex::default() };
        #[cfg(feature = "disk")]
        {
            shared.add_ended();
            shared.forget_excess();
        }
        shared
    }

    /// Adds the runs of an earlier process, whose ends are on disk.
    #[cfg(feature = "disk")]
    fn add_ended(&self) {
        let (now, today) = (self.timer.now(), milliseconds_since_1970());
        let mut table = lock(&self.table);
        for EndedRun { topic, start, events, bytes, at, reason, .. } in self.hub.take_ended() {
            let age = Duration::from_millis(today.saturating_sub(at));
            // A platform whose instants begin with its start has none that is earlier.
            let at = now.checked_sub(age).unwrap_or(now);
            let entry = RunEntry::ended(topic, at, start, reason);
            entry.add(usize::try_from(events).unwrap_or(usize::MAX), usize::try_from(bytes).unwrap_or(usize::MAX));
            table.add_ended(Arc::new(entry));
        }
    }

    /// Returns the run of a topic, and `true` if this call created it.
    pub(crate) fn begin(self: &Arc<Self>, topic: &Topic) -> Result<(Arc<RunEntry>, bool), RunError> {
        let now = self.timer.now();
        self.prepare(now);
        let mut table = lock(&self.table);
        if let Some(entry) = table.by_topic.get(topic) {
            return match entry.phase() {
                // Another thread drops its history.
                Phase::Forgotten => Err(RunError::Ended(topic.clone())),
                _ => Ok((Arc::clone(entry), false)),
            };
        }
        if table.is_draining {
            return Err(RunError::Draining);
        }
        if table.live >= self.limits.max_live {
            return Err(RunError::Busy { limit: self.limits.max_live });
        }
        if self.hub.has_ended(topic) {
            return Err(RunError::Ended(topic.clone()));
        }
        let entry = Arc::new(RunEntry::new(topic.clone(), now, self.hub.cursor()));
        if !self.hub.retain(topic, self.limits.retention()) {
            return Err(RunError::NotForRuns(topic.clone()));
        }
        table.begin(&entry);
        Ok((entry, true))
    }

    /// Returns the run of a topic, if it is live or its history is kept.
    pub(crate) fn find(self: &Arc<Self>, topic: &Topic) -> Option<Arc<RunEntry>> {
        self.prepare(self.timer.now());
        lock(&self.table).by_topic.get(topic).filter(|entry| entry.phase() != Phase::Forgotten).cloned()
    }

    /// Does what is due for runs that have no task.
    fn prepare(self: &Arc<Self>, now: Instant) {
        #[cfg(feature = "disk")]
        self.retry_ends(now);
        self.forget_expired(now);
    }

    /// Reports a failure to the application.
    pub(crate) fn report(&self, topic: &Topic, cause: FailureCause, text: &str) {
        if let Some(hook) = &self.hook {
            // A panic of the hook has no further effect.
            let _panicked = catch_panic(|| hook(&RunFailure { topic, cause, text }));
        }
    }

    /// Counts published events.
    pub(crate) fn add(&self, entry: &RunEntry, events: usize, bytes: usize) {
        if entry.add(events, bytes) {
            // The run was stopped meanwhile. It is not forgotten before the poll of its task has ended.
            lock(&self.table).ended_bytes += bytes;
        }
    }

    /// Forgets ended runs, the one that ended first before the others, while they are too many or have too many bytes.
    #[cold]
    #[inline(never)]
    pub(crate) fn forget_excess(&self) {
        let is_excess = || {
            let table = lock(&self.table);
            table.ended() > self.limits.max_ended || table.ended_bytes > self.limits.max_ended_bytes
        };
        while is_excess() && self.forget_first(|_| true) {}
    }

    /// Forgets the runs that ended longer ago than readers may still come.
    pub(crate) fn forget_expired(&self, now: Instant) {
        let is_over = |entry: &Arc<RunEntry>| match entry.phase() {
            Phase::Ended(at) => self.limits.linger_end(at).is_some_and(|end| end <= now),
            _ => false,
        };
        let is_due = || lock(&self.table).first_ended().is_some_and(is_over);
        while is_due() && self.forget_first(is_over) {}
    }

    /// Forgets a run that has ended.
    pub(crate) fn forget(&self, entry: &Arc<RunEntry>) {
        self.forget_first(|other| Arc::ptr_eq(other, entry));
    }

    /// Forgets the first ended run for which `is_meant` returns `true`: drops its history, so that its topic is free. Returns
    /// whether there was one.
    fn forget_first(&self, is_meant: impl Fn(&Arc<RunEntry>) -> bool) -> bool {
        let Some(entry) = lock(&self.table).forget_first(is_meant) else { return false };
        // Under no lock, because payloads of the application are dropped. No other run of the topic begins meanwhile.
        if let Err(text) = catch_panic(|| drop(self.hub.drop_history(&entry.topic))) {
            self.report(&entry.topic, FailureCause::Panic, &text);
        }
        lock(&self.table).remove(&entry);
        entry.wake();
        true
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).finish_non_exhaustive()
    }
}
