//! A notifier that is created, polled and dropped during publishes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;
use tidings::{LocalHub, Retention, Subscribe};

use super::support::{hub, publish, read};

/// Publishes an event to a waiting reader while `meanwhile` runs. Checks that the reader is woken.
fn woken_while(meanwhile: impl Fn(LocalHub) + Clone + Send + Sync + 'static) {
    loom::model(move || {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let (publishing, other, meanwhile) = (hub.clone(), hub.clone(), meanwhile.clone());
        let publisher = thread::spawn(move || publish(&publishing, "a"));
        let other = thread::spawn(move || meanwhile(other));
        assert_eq!(read(&mut subscription, 1), [1]);
        publisher.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn notifier_dropped_during_publish_loses_no_wake() {
    woken_while(|hub| drop(hub.notifier().unwrap()));
}

#[test]
fn notifier_polled_and_dropped_during_publish_loses_no_wake() {
    woken_while(|hub| {
        let mut notifier = hub.notifier().unwrap();
        let _ = Pin::new(&mut notifier).poll(&mut Context::from_waker(Waker::noop()));
    });
}

#[test]
fn second_notifier_during_publish_loses_no_wake() {
    woken_while(|hub| {
        drop(hub.notifier().unwrap());
        drop(hub.notifier().unwrap());
    });
}

#[test]
fn notifier_wakes_during_publish_and_ends_at_close() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let notifier = hub.notifier().unwrap();
        let running = thread::spawn(move || block_on(notifier));
        let publishing = hub.clone();
        let publisher = thread::spawn(move || publish(&publishing, "a"));
        assert_eq!(read(&mut subscription, 1), [1]);
        publisher.join().unwrap();
        hub.close();
        running.join().unwrap();
    });
}

#[test]
fn notifier_dropped_during_two_publishes_loses_no_wake() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let mut notifier = hub.notifier().unwrap();
        let publishing = hub.clone();
        let publisher = thread::spawn(move || (publish(&publishing, "a"), publish(&publishing, "a")));
        let leaving = thread::spawn(move || {
            let _ = Pin::new(&mut notifier).poll(&mut Context::from_waker(Waker::noop()));
            drop(notifier);
        });
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
        leaving.join().unwrap();
    });
}
