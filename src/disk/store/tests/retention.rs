use std::sync::Arc;
use std::time::Duration;

use super::support::{ALL, Directory, event, sequences, topic, written};
use crate::disk::store::{Record, Store, StoreOptions};
use crate::model::{EndReason, Event, Retention, StateLimits};

fn trim(store: &Store, now: u64) {
    while store.trim(now, 100).unwrap() {}
}

fn open(directory: &Directory, retention: Retention) -> Store {
    Store::open(&directory.0, &written(retention), 1).unwrap().0
}

#[test]
fn events_are_trimmed_by_age_and_by_their_time_to_live() {
    let directory = Directory::new();
    let store = open(&directory, Retention::default().age(Duration::from_millis(10)));
    let short = Event::text("short").with_ttl(Duration::from_millis(2));
    store.write(&[event(1, "a", short.clone()), event(2, "a", "x"), event(3, "a", short), event(4, "b", "x")]).unwrap();
    for (now, left) in [(2, vec![1, 2, 3]), (3, vec![2, 3]), (11, vec![2, 3]), (12, vec![])] {
        trim(&store, now);
        assert_eq!(sequences(&store.read(&topic("a"), 0, 9, ALL).unwrap().records), left, "{now}");
    }
    assert_eq!(sequences(&store.read(&topic("b"), 0, 9, ALL).unwrap().records), [4]);
    assert_eq!(store.read(&topic("a"), 0, 9, ALL).unwrap().trimmed, 3);
    assert_eq!((store.trimmed(2, None, |_| true).unwrap(), store.trimmed(3, None, |_| true).unwrap()), (3, 0));
    assert_eq!(store.trimmed(0, None, |topic| topic.as_str() == "b").unwrap(), 0);
}

#[test]
fn byte_budget_removes_the_oldest_events_of_all_topics() {
    let directory = Directory::new();
    let options = StoreOptions { max_bytes: 20_000, ..written(Retention::count(1_000)) };
    let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
    for sequence in 1..=600 {
        store.write(&[event(sequence, ["a", "b", "c"][sequence as usize % 3], "x".repeat(40))]).unwrap();
    }
    trim(&store, 600);
    assert!(store.bytes() <= 20_000);
    let left = sequences(&store.read_all(0, u64::MAX, ALL, |_| true).unwrap().records);
    assert_eq!(left, (left[0]..=600).collect::<Vec<_>>());
    assert!(store.bytes() > 20_000 - 64 * 100, "at most one step too much: {}", store.bytes());
}

#[test]
fn trimming_is_done_in_bounded_steps() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(10));
    for sequence in 1..=200 {
        store.write(&[event(sequence, "a", "x")]).unwrap();
    }
    let mut steps = 0;
    let mut before = 0;
    while store.trim(200, 7).unwrap() {
        let trimmed = store.read(&topic("a"), 0, 1, ALL).unwrap().trimmed;
        assert!(trimmed - before <= 7 + 1, "{before} {trimmed}");
        before = trimmed;
        steps += 1;
    }
    assert!(steps >= 190 / 8, "{steps}");
    assert_eq!(sequences(&store.read(&topic("a"), 0, 999, ALL).unwrap().records).len(), 10);
}

#[test]
fn epoch_leaves_the_list_when_events_after_it_are_trimmed() {
    let directory = Directory::new();
    let options = written(Retention::count(2));
    for epoch in 1..=3 {
        let (store, opened) = Store::open(&directory.0, &options, epoch).unwrap();
        store.write(&[event(opened.head + 1, "a", "x"), event(opened.head + 2, "a", "x")]).unwrap();
    }
    let (store, opened) = Store::open(&directory.0, &options, 4).unwrap();
    assert_eq!(opened.epochs, [(1, 2), (2, 4), (3, 6), (4, 6)]);
    trim(&store, 6);
    // Sequences 1 to 4 are trimmed. A cursor at 4 has missed nothing.
    drop(store);
    assert_eq!(Store::open(&directory.0, &options, 5).unwrap().1.epochs, [(2, 4), (3, 6), (4, 6), (5, 6)]);
}

#[test]
fn newest_event_of_a_key_is_read_as_state_and_not_as_history_after_it_was_trimmed() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(1).state_limits(StateLimits::default()));
    let keyed = |sequence, key| event(sequence, "s", Event::text("x").with_key(key).unwrap());
    store.write(&[keyed(1, "one"), keyed(2, "two"), keyed(3, "one"), keyed(4, "three")]).unwrap();
    trim(&store, 4);
    store.close().unwrap();
    let store = open(&directory, Retention::count(1).state_limits(StateLimits::default()));
    let read = |store: &Store| {
        let mut states = store.states().unwrap();
        sequences(&store.next_states(&mut states, 99).unwrap())
    };
    assert_eq!(read(&store), [2, 3, 4]);
    let page = store.read(&topic("s"), 0, 99, ALL).unwrap();
    assert_eq!((sequences(&page.records), page.trimmed), (vec![4], 3));
    store.write(&[keyed(5, "two")]).unwrap();
    assert_eq!(read(&store), [3, 4, 5]);
    let removal = event(6, "s", Event::removal("one").unwrap());
    store.write(&[removal, event(7, "s", Event::removal("unknown").unwrap())]).unwrap();
    assert_eq!(read(&store), [4, 5, 6]);
}

#[test]
fn state_of_a_topic_that_keeps_none_any_more_is_removed_and_begins_empty_again() {
    let directory = Directory::new();
    let keyed = Retention::count(1).state_limits(StateLimits::default());
    let of = |sequence, key: &str| event(sequence, "s", Event::text("x").with_key(key).unwrap());
    let store = open(&directory, keyed);
    store.write(&[of(1, "one"), of(2, "two"), event(3, "s", Event::removal("two").unwrap()), of(4, "three")]).unwrap();
    trim(&store, 4);
    drop(store);
    let store = open(&directory, Retention::count(1));
    store.forget_states().unwrap();
    store.write(&[of(5, "one")]).unwrap();
    trim(&store, 5);
    drop(store);
    let store = open(&directory, keyed);
    store.forget_states().unwrap();
    assert_eq!(store.kept(None, 0, 99, ALL, |_| true).unwrap().records, []);
    store.write(&[of(6, "two")]).unwrap();
    let mut states = store.states().unwrap();
    assert_eq!(sequences(&store.next_states(&mut states, 99).unwrap()), [6]);
    assert_eq!(states.forgotten, []);
}

#[test]
fn end_of_a_topic_outlives_its_events_until_its_own_time() {
    let directory = Directory::new();
    let retention = Retention::count(0).age(Duration::from_millis(100));
    let store = open(&directory, retention);
    let end = Record::End { sequence: 2, topic: topic("a"), at: 2, reason: EndReason::Stopped };
    store.write(&[event(1, "a", "x"), end.clone()]).unwrap();
    trim(&store, 50);
    assert_eq!(store.ends().unwrap(), std::slice::from_ref(&end));
    // A cursor after the last event has missed nothing, and reads the end.
    let page = store.read(&topic("a"), 1, 99, ALL).unwrap();
    assert_eq!((page.trimmed, page.records), (1, vec![end]));
    trim(&store, 102);
    assert_eq!(store.ends().unwrap(), []);
    assert_eq!(store.bytes(), 0);
}

#[test]
fn topic_that_was_forgotten_counts_its_trimmed_events_for_all_unknown_topics() {
    let directory = Directory::new();
    let options = StoreOptions {
        max_topics: 2,
        retention: Arc::new(|topic| Retention::count(usize::from(topic.as_str() != "none"))),
        ..written(Retention::default())
    };
    let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
    store.write(&[event(1, "a", "x"), event(2, "none", "x"), event(3, "b", "x")]).unwrap();
    trim(&store, 3);
    trim(&store, 3);
    let names = store.topics(None, 99).unwrap().into_iter().map(|row| row.topic).collect::<Vec<_>>();
    assert_eq!(names, [topic("a"), topic("b")]);
    assert_eq!(store.read(&topic("none"), 0, 9, ALL).unwrap().trimmed, 2);
    assert_eq!(store.read(&topic("a"), 0, 9, ALL).unwrap().trimmed, 0);
    store.write(&[event(4, "none", "y")]).unwrap();
    let page = store.read(&topic("none"), 0, 9, ALL).unwrap();
    assert_eq!((sequences(&page.records), page.trimmed), (vec![4], 2));
}

#[test]
fn topic_that_forgot_a_removal_is_forgotten_and_its_removal_counts_for_all_unknown_topics() {
    let directory = Directory::new();
    let limits = StateLimits::default().removals(0);
    let options = StoreOptions {
        max_topics: 0,
        retention: Arc::new(move |topic| Retention::count(usize::from(topic.as_str() != "s")).state_limits(limits)),
        ..written(Retention::default())
    };
    let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
    let keyed = Event::text("x").with_key("one").unwrap();
    store.write(&[event(1, "s", keyed), event(2, "s", Event::removal("one").unwrap()), event(3, "a", "x")]).unwrap();
    (0..3).for_each(|_| trim(&store, 3));
    let names = store.topics(None, 99).unwrap().into_iter().map(|row| row.topic).collect::<Vec<_>>();
    assert_eq!(names, [topic("a")]);
    for only in [Some([&topic("s")].as_slice()), None] {
        assert_eq!(store.forgotten(only, 1, |_| true).unwrap(), [(None, 2)]);
        assert_eq!(store.forgotten(only, 2, |_| true).unwrap(), []);
    }
    assert_eq!(store.read(&topic("s"), 0, 9, ALL).unwrap().trimmed, 2);
}
