//! States of keyed topics that are read while events are published.

use std::collections::BTreeMap;

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{Event, LocalHub, Retention, StateLimits, Subscribe, Subscription};

use super::support::{hub_without_live_buffer, publish_event};

/// Returns a hub that keeps the newest event of each key and a history of `count` events. The topic has two keys.
fn keyed_hub(count: usize) -> LocalHub {
    let hub = hub_without_live_buffer(Retention::count(count).state_limits(StateLimits::default()));
    ["1", "2"].iter().for_each(|key| publish_event(&hub, "a", set(key, "old")));
    hub
}

fn set(key: &str, value: &str) -> Event {
    Event::text(value).with_key(key).unwrap()
}

/// Reads up to an event with this value, and applies each event to a copy of the state. Returns the copy.
fn read_to(subscription: &mut Subscription, last: &str) -> BTreeMap<String, String> {
    let mut copy = BTreeMap::new();
    loop {
        let Delivery::Events(batch) = block_on(subscription.next()) else { panic!("no events") };
        for event in batch.iter() {
            let key = event.event.key().unwrap().to_owned();
            match event.event.as_str() {
                Some(value) => _ = copy.insert(key, value.to_owned()),
                None => _ = copy.remove(&key),
            }
            if event.event.as_str() == Some(last) {
                return copy;
            }
        }
    }
}

fn check_newcomer(count: usize, names: &'static [&'static str]) {
    loom::model(move || {
        let hub = keyed_hub(count);
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            publish_event(&other, "a", Event::removal("1").unwrap());
            publish_event(&other, "a", set("3", "last"));
        });
        let mut newcomer = hub.subscribe(Subscribe::patterns(names.iter().copied())).unwrap();
        let copy = read_to(&mut newcomer, "last");
        let expected = [("2", "old"), ("3", "last")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(copy, BTreeMap::from(expected));
        publisher.join().unwrap();
    });
}

#[test]
fn newcomer_of_a_topic_gets_the_state_or_its_changes() {
    check_newcomer(10, &["a"]);
}

#[test]
fn newcomer_of_a_topic_without_history_gets_the_state_or_its_changes() {
    check_newcomer(0, &["a"]);
}

#[test]
fn newcomer_of_a_pattern_gets_the_state_or_its_changes() {
    check_newcomer(0, &["*"]);
}

#[test]
fn two_newcomers_build_one_chain() {
    loom::model(|| {
        let hub = keyed_hub(10);
        let [mut one, mut two] = [(); 2].map(|()| hub.subscribe(Subscribe::topics(["a"])).unwrap());
        let reader = thread::spawn(move || read_to(&mut one, "last").len());
        publish_event(&hub, "a", set("2", "last"));
        assert_eq!((read_to(&mut two, "last").len(), reader.join().unwrap()), (2, 2));
    });
}
