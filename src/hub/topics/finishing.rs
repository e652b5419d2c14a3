use std::sync::Arc;
use std::time::Duration;

use crate::hub::holds::count_steps;
use crate::hub::log::append::Appended;
use crate::hub::log::end_mark::EndMark;
use crate::hub::log::log::Log;
use crate::hub::log::segment::nanos;
use crate::hub::topics::registry::Registry;
use crate::model::{EndReason, Topic};

/// Longest time for which the end of a topic is remembered: 24 hours.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Result of the end of a topic.
pub(crate) enum Ending {
    /// The topic had ended before.
    Before(EndMark),
    /// The topic has ended now. Its log has registrations to wake, if it is in memory.
    Now(EndMark, Option<(Arc<Log>, Appended)>),
}

/// Ends of topics.
impl Registry {
    /// Ends a topic with this sequence, unless it has ended. Called under the sequencer. `queues`: a notifier wakes the
    /// waiting subscriptions.
    pub(crate) fn finish(&self, topic: &Topic, sequence: u64, reason: EndReason, now: u64, queues: bool) -> Ending {
        let mut topics = self.topics.write();
        topics.forget_if_due(topic, now);
        let log = topics.named(topic);
        let mut state = log.as_ref().map(|log| log.state());
        let known = state.as_ref().and_then(|state| state.end_mark()).or_else(|| topics.ended.get(topic));
        if let Some(mark) = known.cloned() {
            return Ending::Before(mark);
        }
        let mark = EndMark { topic: topic.clone(), sequence, reason };
        let age = state.as_ref().map_or_else(|| self.retention_of(&topics, topic).age, |state| state.retention.age);
        let ended = log.as_ref().zip(state.as_mut());
        let ended = ended.map(|(log, state)| (Arc::clone(log), log.finish(state, mark.clone(), queues)));
        drop(state);
        topics.ended.put(mark.clone(), now.saturating_add(nanos(age.min(LONGEST))));
        if let Some(oldest) = topics.ended.excess().cloned() {
            topics.forget_end(&oldest);
        }
        Ending::Now(mark, ended)
    }

    /// Returns whether a topic has ended. Forgets its end if the time for that has come.
    #[cold]
    pub(crate) fn has_ended(&self, topic: &Topic, now: u64) -> bool {
        let topics = self.topics.read();
        if !topics.ended.is_due(topic, now) {
            return topics.has_ended(topic);
        }
        drop(topics);
        let mut topics = self.topics.write();
        topics.forget_if_due(topic, now);
        topics.has_ended(topic)
    }

    /// Returns the sequence and the reason of the end of a topic, if it has ended. An end that is forgotten counts while a
    /// subscription has not read it.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn end_of(&self, topic: &Topic) -> Option<(u64, EndReason)> {
        let topics = self.topics.read();
        let log = topics.named(topic);
        let state = log.as_ref().map(|log| log.state());
        let mark = state.as_ref().and_then(|state| state.end_mark()).or_else(|| topics.ended.get(topic))?;
        Some((mark.sequence, mark.reason))
    }

    /// Forgets the end of a topic that continues.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn forget_end_of(&self, topic: &Topic) {
        self.topics.write().forget_end(topic);
    }

    /// Forgets ends whose time has come, at most `most` under one hold of the lock. Returns whether there may be more.
    pub(crate) fn forget_ends(&self, now: u64, most: usize) -> bool {
        // Most hubs end no topic: they only read.
        if self.topics.read().ended.first_due(now).is_none() {
            return false;
        }
        let mut topics = self.topics.write();
        for _ in 0..most {
            let Some(topic) = topics.ended.first_due(now).cloned() else {
                return false;
            };
            count_steps(1);
            topics.forget_end(&topic);
        }
        true
    }
}
