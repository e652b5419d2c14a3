//! Close of a hub during other operations.

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd};
use tidings::{Event, Retention, Subscribe};

use super::support::{hub, publish, read, topic};

#[test]
fn close_during_wait_delivers_the_event_before_the_end() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let other = hub.clone();
        let closer = thread::spawn(move || {
            publish(&other, "a");
            other.close();
        });
        assert_eq!(read(&mut subscription, 1), [1]);
        assert!(matches!(block_on(subscription.next()), Delivery::End(SubscriptionEnd::Closed)));
        closer.join().unwrap();
    });
}

#[test]
fn close_during_wait_ends_a_subscription_of_two_topics() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let other = hub.clone();
        let closer = thread::spawn(move || other.close());
        assert!(matches!(block_on(subscription.next()), Delivery::End(SubscriptionEnd::Closed)));
        closer.join().unwrap();
    });
}

#[test]
fn close_during_publish_delivers_exactly_the_accepted_events() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let (publishing, closing) = (hub.clone(), hub.clone());
        let publisher = thread::spawn(move || publishing.publish_now(&topic("a"), Event::text("")).is_ok());
        let closer = thread::spawn(move || closing.close());
        let mut delivered = false;
        loop {
            match block_on(subscription.next()) {
                Delivery::Events(_) => delivered = true,
                Delivery::End(SubscriptionEnd::Closed) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(publisher.join().unwrap(), delivered, "delivered exactly if accepted");
        closer.join().unwrap();
    });
}

#[test]
fn subscribe_during_close_ends_the_subscription() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let other = hub.clone();
        let closer = thread::spawn(move || other.close());
        if let Ok(mut subscription) = hub.subscribe(Subscribe::topics(["a"])) {
            assert!(matches!(block_on(subscription.next()), Delivery::End(SubscriptionEnd::Closed)));
        }
        closer.join().unwrap();
    });
}
