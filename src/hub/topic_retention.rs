use std::iter::once;
use std::panic::resume_unwind;
use std::sync::Arc;

use crate::hub::log::log::Log;
use crate::hub::shared::Shared;
use crate::hub::topics::registry::Registry;
use crate::model::{Retention, Topic};

/// Retention of one topic.
impl Shared {
    /// Drops the history of a topic, and forgets its [own retention](Registry::retain_topic). A topic that has ended stays
    /// finished. Connected subscriptions that are behind read on from the live buffer.
    pub(crate) fn drop_history(&self, topic: &Topic) {
        let none = Arc::new(Retention::count(0));
        let Some(log) = self.registry.begin_drop(topic, &none) else {
            return;
        };
        let (now, mut panicked) = (self.now(), Ok(()));
        let is_idle = self.sweep_whole(&log, now, &mut panicked);
        self.registry.end_drop(topic, &log, &none);
        if is_idle {
            drop(self.registry.release_all(once(&log)));
        }
        if let Err(panic) = panicked {
            resume_unwind(panic);
        }
    }
}

/// Retention of one topic.
impl Registry {
    /// Gives a topic its own retention, in place of the hub's, until its history is [dropped](Shared::drop_history). Each
    /// log of the topic until then has it.
    pub(crate) fn retain_topic(&self, topic: &Topic, retention: Retention) {
        let retention = Arc::new(retention);
        let mut topics = self.topics.write();
        topics.named(topic).into_iter().for_each(|log| log.retain(&retention));
        topics.own_retentions.insert(topic.clone(), retention);
    }

    /// Forgets a topic's own retention. Returns its log, which retains nothing from now on.
    fn begin_drop(&self, topic: &Topic, none: &Arc<Retention>) -> Option<Arc<Log>> {
        let mut topics = self.topics.write();
        topics.own_retentions.remove(topic);
        let log = topics.named(topic)?;
        log.retain(none);
        Some(log)
    }

    /// Returns the log to the hub's retention, unless the topic has got its own meanwhile.
    fn end_drop(&self, topic: &Topic, log: &Log, none: &Arc<Retention>) {
        let topics = self.topics.write();
        let is_dropping = Arc::ptr_eq(&log.state().retention, none);
        if is_dropping {
            log.retain(&self.retention_of(&topics, topic));
        }
    }
}

impl Log {
    /// Sets the retention. The next publish or sweep evicts by it.
    fn retain(&self, retention: &Arc<Retention>) {
        let mut state = self.state();
        state.retention = Arc::clone(retention);
        if let Some(history) = &mut state.history {
            history.due = 0;
        }
    }
}
