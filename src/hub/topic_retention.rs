use std::iter::once;
use std::sync::Arc;

#[cfg(feature = "http")]
use crate::hub::local::LocalHub;
use crate::hub::log::eviction::Swept;
use crate::hub::log::keyed_state::KeyedState;
use crate::hub::log::log::Log;
use crate::hub::shared::Shared;
use crate::hub::topics::registry::Registry;
use crate::model::{Retention, Topic};

/// Retention of one topic.
impl Shared {
    /// Drops the history of a topic, and forgets its [own retention](Registry::retain_topic) and its end. Connected
    /// subscriptions that are behind read on from the live buffer. Returns values that the caller drops without a lock:
    /// they are the user's.
    pub(crate) fn drop_history(&self, topic: &Topic) -> impl Sized + use<> {
        let (now, none, mut freed) = (self.now(), Arc::new(Retention::count(0)), Vec::new());
        let (log, state) = self.registry.begin_drop(topic, &none)?;
        let swept = loop {
            match log.sweep(now, &mut freed) {
                Swept::Partly => {}
                swept => break swept,
            }
        };
        self.registry.end_drop(topic, &log, &none);
        let released = if swept == Swept::Idle { self.registry.release_all(once(&log)) } else { Vec::new() };
        Some((freed, released, state))
    }
}

#[cfg(feature = "http")]
impl LocalHub {
    /// Returns whether a topic keeps the newest event of each key. The call creates no topic.
    pub(crate) fn keeps_state(&self, topic: &Topic) -> bool {
        self.shared().registry.is_keyed(topic)
    }
}

/// Retention of one topic.
impl Registry {
    /// Gives a topic its own retention, in place of the hub's, until its history is [dropped](Shared::drop_history). Each
    /// log of the topic until then has it. The retention keeps no newest event of each key: subscriptions look for states by
    /// the hub's retentions.
    pub(crate) fn retain_topic(&self, topic: &Topic, retention: Retention) {
        debug_assert!(retention.state.is_none(), "a topic's own retention keeps a state");
        let retention = Arc::new(retention);
        let mut topics = self.topics.write();
        let dropped = topics.named(topic).and_then(|log| log.retain(&retention));
        topics.own_retentions.insert(topic.clone(), retention);
        drop(topics);
        drop(dropped);
    }

    /// Forgets a topic's own retention and its end. Returns its log, which retains nothing from now on, and its state.
    fn begin_drop(&self, topic: &Topic, none: &Arc<Retention>) -> Option<(Arc<Log>, Option<Box<KeyedState>>)> {
        let mut topics = self.topics.write();
        topics.own_retentions.remove(topic);
        topics.forget_end(topic);
        let log = topics.named(topic)?;
        let state = log.retain(none);
        Some((log, state))
    }

    /// Returns the log to the hub's retention, unless the topic has got its own meanwhile.
    fn end_drop(&self, topic: &Topic, log: &Log, none: &Arc<Retention>) {
        let topics = self.topics.write();
        let is_dropping = Arc::ptr_eq(&log.state().retention, none);
        if is_dropping {
            let _none = log.retain(&self.retention_of(&topics, topic));
        }
    }
}

impl Log {
    /// Sets the retention. The next publish or sweep evicts by it. Returns the state of a topic
    /// that is not keyed any more. The caller drops it without a lock.
    fn retain(&self, retention: &Arc<Retention>) -> Option<Box<KeyedState>> {
        let (mut state, mut dropped) = (self.state(), None);
        state.retention = Arc::clone(retention);
        self.keyed.set(retention.state.is_some());
        if let Some(history) = &mut state.history {
            history.due = 0;
            if retention.state.is_none() {
                dropped = history.state.take();
            }
        }
        dropped
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;
    use crate::contract::{Delivery, PublishError, Start, Subscribe, Subscriber};
    use crate::hub::local::LocalHub;
    use crate::model::{EndReason, GapReason};

    fn topic() -> Topic {
        Topic::new("runs/1").expect("a name")
    }

    /// Returns a hub that retains nothing.
    fn hub() -> LocalHub {
        LocalHub::builder().retain(Retention::count(0)).build()
    }

    fn publish(hub: &LocalHub, events: usize) {
        (0..events).for_each(|n| _ = hub.publish_now(topic(), n.to_string()).expect("room"));
    }

    fn next(subscription: &mut impl Subscriber) -> Poll<Delivery> {
        subscription.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn own_retention_precedes_that_of_the_hub_for_each_log_of_the_topic() {
        let (hub, other) = (hub(), Topic::new("other").unwrap());
        let before = hub.subscribe(Subscribe::topics([topic()])).unwrap();
        hub.retain_topic(&topic(), Retention::count(3));
        publish(&hub, 5);
        hub.publish_now(&other, "").unwrap();
        assert_eq!((hub.stats().retained, hub.stats().topics), (3, 1), "a log that was there before");
        drop(before);
        hub.retain_topic(&topic(), Retention::count(2));
        hub.sweep();
        assert_eq!(hub.stats().retained, 2);
        hub.retain_topic(&topic(), Retention::count(0));
        hub.sweep();
        assert_eq!(hub.stats().topics, 0, "the log is dropped");
        hub.retain_topic(&topic(), Retention::count(4));
        publish(&hub, 5);
        assert_eq!(hub.stats().retained, 4, "the next log has it");
    }

    /// The topic was dropped while it had its own retention.
    #[test]
    fn dropped_topic_with_its_own_retention_has_no_state_in_a_hub_of_keyed_topics() {
        let hub = LocalHub::builder().retain(Retention::latest_per_key()).build();
        let start = Start::After(hub.cursor());
        hub.retain_topic(&topic(), Retention::count(0));
        publish(&hub, 1);
        hub.sweep();
        assert_eq!(hub.stats().topics, 0);
        let mut back = hub.subscribe(Subscribe::patterns(["runs/*"]).start(start)).unwrap();
        let Poll::Ready(Delivery::Gap(gap)) = next(&mut back) else { panic!("no gap") };
        assert!(!gap.snapshot && gap.topic == Some(topic()), "{gap:?}");
        assert!(!hub.subscribe(Subscribe::topics([topic()])).unwrap().info().keeps_state());
    }

    #[test]
    fn own_retention_determines_how_long_the_end_is_remembered() {
        let hub = hub();
        hub.retain_topic(&topic(), Retention::default().age(Duration::ZERO));
        hub.finish(topic(), EndReason::Done).unwrap();
        hub.sweep();
        assert_eq!(hub.stats().finished_topics, 0);
    }

    #[test]
    fn dropped_history_leaves_a_tombstone_and_a_topic_that_is_as_new() {
        let hub = hub();
        let start = hub.cursor();
        hub.retain_topic(&topic(), Retention::default());
        publish(&hub, 600);
        hub.finish(topic(), EndReason::Done).unwrap();
        drop(hub.drop_history(&topic()));
        let stats = hub.stats();
        assert_eq!((stats.topics, stats.tombstones, stats.retained, stats.finished_topics), (0, 1, 0, 0));
        assert_eq!((stats.evicted, stats.evicted_by_budget, stats.bytes), (600, 0, 0));
        let mut back = hub.subscribe(Subscribe::topics([topic()]).start(Start::After(start))).unwrap();
        let Poll::Ready(Delivery::Gap(gap)) = next(&mut back) else { panic!("no gap") };
        assert_eq!((gap.reason, gap.cursor.sequence()), (GapReason::Evicted, 600));
        assert!(next(&mut back).is_pending());
        publish(&hub, 1);
        assert_eq!(hub.stats().retained, 0, "the retention of the hub applies");
        assert!(matches!(next(&mut back), Poll::Ready(Delivery::Events(_))));
        drop(hub.drop_history(&Topic::new("unknown").unwrap()));
    }

    #[test]
    fn reader_that_is_behind_a_dropped_history_reads_it_and_its_end() {
        let hub = hub();
        hub.retain_topic(&topic(), Retention::default());
        let mut behind = hub.subscribe(Subscribe::topics([topic()])).unwrap();
        publish(&hub, 600);
        hub.finish(topic(), EndReason::Done).unwrap();
        drop(hub.drop_history(&topic()));
        assert!(!hub.has_history(&topic()));
        assert!(matches!(hub.publish_now(topic(), ""), Err(PublishError::Finished(_))), "the end is not read");
        let mut read = 0;
        while let Poll::Ready(Delivery::Events(batch)) = next(&mut behind) {
            read += batch.len();
            if read == 600 {
                break;
            }
        }
        assert_eq!(read, 600);
        assert!(matches!(next(&mut behind), Poll::Ready(Delivery::TopicEnd(end)) if end.is_last));
        publish(&hub, 1);
    }
}
