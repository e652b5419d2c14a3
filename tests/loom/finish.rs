//! The end of a topic during other operations.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd};
use tidings::{EndReason, Event, LocalHub, PublishError, Retention, Start, Subscribe, Subscriber, Subscription};

use super::support::{hub, publish, topic, wait};

/// Ends a topic. Returns the sequence of the end.
fn finish(hub: &LocalHub, name: &str) -> u64 {
    hub.finish(&topic(name), EndReason::Done).unwrap().cursor.sequence()
}

/// Publishes an event, unless the topic has ended. Returns its sequence.
fn try_publish(hub: &LocalHub, name: &str) -> Option<u64> {
    match hub.publish_now(&topic(name), Event::text("")) {
        Ok(receipt) => Some(receipt.cursor().unwrap().sequence()),
        Err(PublishError::Finished(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Deliveries of a subscription up to its end.
#[derive(Debug, Default, PartialEq)]
struct Read {
    events: Vec<u64>,
    /// Name, cursor, and whether it is the last, of each end of a topic.
    ends: Vec<(String, u64, bool)>,
}

impl Read {
    /// Reads up to the end, which it returns.
    fn all(subscription: &mut Subscription) -> (Self, SubscriptionEnd) {
        Self::all_by(subscription, |subscription| block_on(subscription.next()))
    }

    fn all_by(
        subscription: &mut Subscription,
        next: impl Fn(&mut Subscription) -> Delivery,
    ) -> (Self, SubscriptionEnd) {
        let mut read = Self::default();
        loop {
            let before = subscription.cursor().unwrap();
            match next(subscription) {
                Delivery::Events(batch) => {
                    assert!(batch.iter().all(|event| read.is_behind(event.cursor.unwrap().sequence())), "{read:?}");
                    read.events.extend(batch.iter().map(|event| event.cursor.unwrap().sequence()));
                }
                Delivery::TopicEnd(end) => {
                    assert!(
                        before.sequence() < end.cursor.sequence() && read.is_behind(end.cursor.sequence()),
                        "{read:?} {end:?}"
                    );
                    assert_eq!(subscription.cursor(), Some(end.cursor));
                    read.ends.push((end.topic.to_string(), end.cursor.sequence(), end.is_last));
                }
                Delivery::End(end) => return (read, end),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Returns whether everything so far precedes a sequence.
    fn is_behind(&self, sequence: u64) -> bool {
        let ends = self.ends.iter().map(|(_, at, _)| at);
        self.events.iter().chain(ends).all(|at| *at < sequence)
    }
}

/// Returns the end of the only topic of a subscription.
fn only(name: &str, sequence: u64) -> Vec<(String, u64, bool)> {
    vec![(name.to_owned(), sequence, true)]
}

#[test]
fn finish_during_publish_delivers_the_accepted_event_before_the_end() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let (publishing, finishing) = (hub.clone(), hub.clone());
        let publisher = thread::spawn(move || try_publish(&publishing, "a"));
        let finisher = thread::spawn(move || finish(&finishing, "a"));
        let (read, end) = Read::all(&mut subscription);
        assert_eq!(end, SubscriptionEnd::Finished);
        assert_eq!(read.events, Vec::from_iter(publisher.join().unwrap()));
        assert_eq!(read.ends, only("a", finisher.join().unwrap()));
    });
}

#[test]
fn two_finishes_of_one_topic_agree_and_deliver_one_end() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let other = hub.clone();
        let finisher = thread::spawn(move || other.finish(&topic("a"), EndReason::Failed).unwrap());
        let end = hub.finish(&topic("a"), EndReason::Done).unwrap();
        assert_eq!(finisher.join().unwrap(), end);
        assert_eq!(Read::all(&mut subscription).0.ends, only("a", 1));
    });
}

#[test]
fn finish_during_a_batch_refuses_all_of_it_or_follows_it() {
    loom::model(|| {
        // Logs are dropped as soon as they have no subscription, and made again.
        let hub = hub(Retention::count(0));
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            let batch = ["a", "b"].map(|name| (topic(name), Event::text("")));
            other.publish_batch(batch).is_ok()
        });
        publish(&hub, "b");
        let end = finish(&hub, "b");
        let accepted = publisher.join().unwrap();
        assert_eq!((hub.stats().published, hub.cursor().sequence()), (1 + 2 * u64::from(accepted), end));
        assert_eq!((hub.stats().topics, hub.stats().finished_topics), (0, 1));
    });
}

#[test]
fn subscribe_during_finish_yields_the_end_once() {
    loom::model(|| {
        let hub = hub(Retention::default());
        publish(&hub, "a");
        let other = hub.clone();
        let finisher = thread::spawn(move || (finish(&other, "a"), publish(&other, "b")));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let cursor = subscription.cursor().unwrap();
        let (read, end) = Read::all(&mut subscription);
        assert_eq!((read.events, read.ends.len(), end), (Vec::new(), 1, SubscriptionEnd::Finished));
        // A client that resumes at the first cursor gets the end, and one that has it does not.
        let resume = |cursor| hub.subscribe(Subscribe::topics(["a"]).start(Start::After(cursor))).unwrap();
        assert_eq!(Read::all(&mut resume(cursor)).0.ends, only("a", 2));
        assert_eq!(Read::all(&mut resume(subscription.cursor().unwrap())), (Read::default(), end));
        finisher.join().unwrap();
    });
}

#[test]
fn finish_during_register_and_release_loses_no_wake() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let other = hub.clone();
        let finisher = thread::spawn(move || {
            publish(&other, "a");
            finish(&other, "a")
        });
        let (read, end) = Read::all_by(&mut subscription, |subscription| {
            subscription.release();
            block_on(poll_fn(|cx| match subscription.register(cx) {
                true => Poll::Pending,
                false => subscription.poll_next(cx),
            }))
        });
        assert_eq!((read.events, read.ends, end), (vec![1], only("a", 2), SubscriptionEnd::Finished));
        finisher.join().unwrap();
    });
}

#[test]
fn close_during_finish_ends_as_finished_exactly_if_the_topic_has_ended() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let (finishing, closing) = (hub.clone(), hub.clone());
        let finisher = thread::spawn(move || finishing.finish(&topic("a"), EndReason::Done).is_ok());
        let closer = thread::spawn(move || closing.close());
        let (read, end) = Read::all(&mut subscription);
        let expected = match finisher.join().unwrap() {
            true => (1, SubscriptionEnd::Finished),
            false => (0, SubscriptionEnd::Closed),
        };
        assert_eq!((read.ends.len(), end), expected);
        closer.join().unwrap();
    });
}

#[test]
fn finish_during_unsubscribe_leaves_the_end_and_no_topic() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        wait(&mut subscription);
        let other = hub.clone();
        let finisher = thread::spawn(move || finish(&other, "a"));
        drop(subscription);
        finisher.join().unwrap();
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.topics, stats.finished_topics), (0, 0, 1));
        assert_eq!(try_publish(&hub, "a"), None);
    });
}

#[test]
fn finish_with_a_notifier_that_stops_loses_no_wake() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let (finishing, notifying) = (hub.clone(), hub.clone());
        let finisher = thread::spawn(move || finish(&finishing, "a"));
        let notifier = thread::spawn(move || drop(notifying.notifier().unwrap()));
        assert_eq!(Read::all(&mut subscription).0.ends, only("a", 1));
        finisher.join().unwrap();
        notifier.join().unwrap();
    });
}

/// Ends two topics of a waiting subscription at the same time.
fn two_topics_end(hub: LocalHub) {
    let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
    wait(&mut subscription);
    let other = hub.clone();
    let finisher = thread::spawn(move || finish(&other, "a"));
    let b = finish(&hub, "b");
    let (read, end) = Read::all(&mut subscription);
    assert_eq!((read.events, end), (Vec::new(), SubscriptionEnd::Finished));
    let mut expected = vec![("a".to_owned(), finisher.join().unwrap(), false), ("b".to_owned(), b, false)];
    expected.sort_by_key(|(_, sequence, _)| *sequence);
    expected[1].2 = true;
    assert_eq!(read.ends, expected);
}

#[test]
fn two_topics_that_end_at_once_finish_a_subscription_of_both_in_order() {
    loom::model(|| two_topics_end(hub(Retention::default())));
}

#[test]
fn two_topics_that_end_with_late_marks_finish_a_subscription_of_both_in_order() {
    loom::model(|| two_topics_end(hub(Retention::default()).marking_late()));
}

#[test]
fn end_of_one_topic_and_event_of_another_come_in_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let other = hub.clone();
        let finisher = thread::spawn(move || finish(&other, "a"));
        let event = publish(&hub, "b");
        finish(&hub, "b");
        let (read, end) = Read::all(&mut subscription);
        let a = ("a".to_owned(), finisher.join().unwrap(), false);
        assert_eq!((read.events, read.ends.len(), end), (vec![event], 2, SubscriptionEnd::Finished));
        assert!(read.ends.iter().any(|(name, sequence, _)| (name, sequence) == (&a.0, &a.1)), "{:?}", read.ends);
        assert!(read.ends[1].2 && !read.ends[0].2);
    });
}

#[test]
fn forgotten_end_during_subscribe_is_delivered_or_the_topic_is_open() {
    loom::model(|| {
        let hub = hub(Retention::default().age(Duration::ZERO));
        finish(&hub, "a");
        let sweeping = hub.clone();
        let sweeper = thread::spawn(move || sweeping.sweep());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let accepted = try_publish(&hub, "a");
        sweeper.join().unwrap();
        hub.close();
        let (read, end) = Read::all(&mut subscription);
        match accepted {
            Some(sequence) => {
                assert_eq!((read.events, read.ends, end), (vec![sequence], vec![], SubscriptionEnd::Closed))
            }
            None => assert_eq!((read.events.len(), read.ends.len(), end), (0, 1, SubscriptionEnd::Finished)),
        }
    });
}

#[test]
fn forgotten_end_during_the_last_read_opens_the_topic() {
    loom::model(|| {
        let hub = hub(Retention::default().age(Duration::ZERO));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        finish(&hub, "a");
        let sweeping = hub.clone();
        let sweeper = thread::spawn(move || sweeping.sweep());
        let (read, end) = Read::all(&mut subscription);
        assert_eq!((read.ends, end), (only("a", 1), SubscriptionEnd::Finished));
        sweeper.join().unwrap();
        assert!(try_publish(&hub, "a").is_some());
        assert_eq!(Read::all(&mut subscription), (Read::default(), SubscriptionEnd::Finished));
    });
}

#[test]
fn close_while_a_forgotten_end_is_read_ends_a_new_subscription() {
    loom::model(|| {
        let hub = hub(Retention::default().age(Duration::ZERO));
        let mut slow = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        finish(&hub, "a");
        hub.sweep();
        let closing = hub.clone();
        let closer = thread::spawn(move || closing.close());
        let reader = thread::spawn(move || Read::all(&mut slow));
        if let Ok(mut subscription) = hub.subscribe(Subscribe::topics(["a"])) {
            let (read, end) = Read::all(&mut subscription);
            let expected = if read.ends.is_empty() { SubscriptionEnd::Closed } else { SubscriptionEnd::Finished };
            assert_eq!(end, expected);
        }
        assert_eq!(reader.join().unwrap(), (Read { events: vec![], ends: only("a", 1) }, SubscriptionEnd::Finished));
        closer.join().unwrap();
    });
}

#[test]
fn subscribe_during_the_drop_of_a_finished_topic_yields_the_end() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let leaving = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        finish(&hub, "a");
        let other = hub.clone();
        let leaver = thread::spawn(move || drop((leaving, other)));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        assert_eq!(
            Read::all(&mut subscription),
            (Read { events: vec![], ends: only("a", 1) }, SubscriptionEnd::Finished)
        );
        leaver.join().unwrap();
        assert_eq!(try_publish(&hub, "a"), None);
    });
}
