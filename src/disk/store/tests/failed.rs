//! A write that failed after its batch was complete in the journal: its records are removed before the next write.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::support::{ALL, Directory, copy_killed, event, fail, sequences, topic, written};
use crate::disk::store::{DiskError, Durability, Record, Store, StoreOptions, keys};
use crate::model::{EndReason, Event, Retention, StateLimits, Topic};

const TOPICS: [&str; 3] = ["a", "b", "s"];

fn options() -> StoreOptions {
    let retention = |topic: &Topic| match topic.as_str() {
        "s" => Retention::count(3).state_limits(StateLimits::default()),
        _ => Retention::count(5),
    };
    StoreOptions { retention: Arc::new(retention), ..written(Retention::default()) }
}

fn records(first: u64, parts: &[(usize, u8, u8)]) -> Vec<Record> {
    let record = |(sequence, &(place, kind, size)): (u64, &(usize, u8, u8))| {
        let (topic, at) = (topic(TOPICS[place]), sequence);
        let key = format!("key {}", kind % 3);
        match kind {
            0 => Record::End { sequence, topic, at, reason: EndReason::Done },
            1..4 if place == 2 => Record::Event { sequence, topic, at, event: Event::removal(&key).unwrap() },
            _ => {
                let event = Event::text("x".repeat(usize::from(size))).with_key(&key).unwrap();
                Record::Event { sequence, topic, at, event }
            }
        }
    };
    (first..).zip(parts).map(record).collect()
}

fn parts() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    proptest::collection::vec((0..3_usize, 0..9_u8, any::<u8>()), 1..20)
}

/// Returns all that a reader may see.
fn contents(store: &Store) -> (Vec<Vec<Record>>, Vec<Record>, Vec<Record>, u64) {
    let of_topics = TOPICS.iter().map(|name| store.read(&topic(name), 0, u64::MAX, ALL).unwrap().records);
    let mut states = store.states().unwrap();
    let mut all = store.read_all(0, u64::MAX, ALL, |_| true).unwrap().records;
    all.extend(store.ends().unwrap());
    (of_topics.collect(), all, store.next_states(&mut states, usize::MAX).unwrap(), store.head())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 32))]

    #[test]
    fn failed_write_is_visible_to_no_one_after_the_next_one_and_after_a_reopen(
        before in proptest::collection::vec(parts(), 0..4),
        failed in parts(),
        next in parts(),
        is_closed: bool,
    ) {
        let (directory, expected) = (Directory::new(), Directory::new());
        let (store, _) = Store::open(&directory.0, &options(), 1).unwrap();
        let (other, _) = Store::open(&expected.0, &options(), 1).unwrap();
        for parts in &before {
            let records = records(store.head() + 1, parts);
            for store in [&store, &other] {
                store.write(&records).unwrap();
                while store.trim(store.head(), 99).unwrap() {}
            }
        }
        // An event after an end forgets the end, which a failed write does not bring back.
        let ended = store.ends().unwrap().iter().map(|end| end.topic().clone()).collect::<Vec<_>>();
        let mut failed = records(store.head() + 1, &failed);
        failed.retain(|record| !ended.contains(record.topic()));
        if !failed.is_empty() {
            fail(&store, &failed);
        }
        if is_closed {
            store.close().unwrap();
            let (store, opened) = Store::open(&directory.0, &options(), 2).unwrap();
            prop_assert_eq!((opened.head, opened.lost), (other.head(), None));
            prop_assert_eq!(contents(&store), contents(&other));
            return Ok(());
        }
        let next = records(store.head() + 1, &next);
        store.write(&next).unwrap();
        other.write(&next).unwrap();
        prop_assert_eq!(contents(&store), contents(&other));
        prop_assert_eq!(store.bytes(), other.bytes());
        let killed = copy_killed(&directory);
        let (store, opened) = Store::open(&killed.0, &options(), 2).unwrap();
        prop_assert_eq!((opened.head, opened.lost), (other.head(), None));
        prop_assert_eq!(contents(&store), contents(&other));
    }
}

#[test]
fn removal_of_an_unknown_key_is_not_in_the_state_after_a_failed_write_of_the_key() {
    let directory = Directory::new();
    let (store, _) = Store::open(&directory.0, &options(), 1).unwrap();
    store.write(&records(1, &[(2, 1, 0)])).unwrap();
    fail(&store, &records(2, &[(2, 4, 0)]));
    store.write(&records(2, &[(0, 0, 0)])).unwrap();
    assert_eq!(contents(&store).2, []);
}

#[test]
fn write_after_a_failure_that_left_nothing_continues() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&records(1, &[(0, 5, 9), (1, 5, 9)])).unwrap();
    store.writer().has_failed = true;
    store.write(&records(3, &[(0, 5, 9)])).unwrap();
    let all = store.read_all(0, u64::MAX, ALL, |_| true).unwrap().records;
    assert_eq!(all, records(1, &[(0, 5, 9), (1, 5, 9), (0, 5, 9)]));
}

/// Moves the folder of the tables away until fjall's thread, which cannot write a table, has ended.
fn stop_fjall(directory: &Directory, store: &Store) {
    let (tables, away) = (directory.0.join("rows/keyspaces/1/tables"), directory.0.join("away"));
    fs::rename(&tables, &away).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut payload = || std::iter::repeat_with(|| random.alphanumeric()).take(1 << 20).collect::<String>();
    // The last one exceeds the size of a memtable. A write after it may find that the thread has ended.
    for _ in 0..16 {
        store.write(&[event(store.head() + 1, "a", payload())]).unwrap();
    }
    let head = store.writer().head.encode();
    let is_open = || {
        store.with_rows(|rows| {
            let mut batch = rows.batch();
            batch.put(keys::HEAD, head.clone());
            rows.commit(batch, Durability::Written)
        })
    };
    let tries = (0..30_000).take_while(|_| {
        thread::park_timeout(Duration::from_millis(1));
        is_open().is_ok()
    });
    assert!(tries.count() < 30_000, "fjall's thread ends");
    fs::rename(&away, &tables).unwrap();
}

#[test]
fn write_after_a_thread_of_fjall_has_ended_is_tried_again_and_stored_once() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", "first")]).unwrap();
    stop_fjall(&directory, &store);
    let last = store.head() + 1;
    store.write(&[event(last, "a", "last")]).unwrap();
    assert!(!store.writer().has_failed);
    let all: Vec<_> = (1..=last).collect();
    let stored = |store: &Store| sequences(&store.read(&topic("a"), 0, u64::MAX, ALL).unwrap().records);
    assert_eq!(stored(&store), all);
    let killed = copy_killed(&directory);
    let (store, opened) = killed.open(2);
    assert_eq!((opened.head, opened.lost), (last, None));
    assert_eq!(stored(&store), all);
}

/// Writes records, and then reports the write as failed with an error after its batch was complete.
fn fail_late(store: &Store, records: &[Record], error: DiskError) -> Result<(), DiskError> {
    let before = store.writer().head;
    store.write(records).unwrap();
    let mut writer = store.writer();
    writer.head = before;
    store.after_failure(&mut writer, records, error)
}

#[test]
fn write_that_failed_when_it_was_complete_is_acknowledged_and_stored_once() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    let all = records(1, &[(0, 5, 9), (1, 5, 9), (0, 5, 9)]);
    store.write(&all[..1]).unwrap();
    fail_late(&store, &all[1..2], DiskError::Io(std::io::Error::other("not synced"))).unwrap();
    assert_eq!((store.head(), store.writer().has_failed), (2, false));
    store.write(&all[2..]).unwrap();
    assert_eq!(store.read_all(0, u64::MAX, ALL, |_| true).unwrap().records, all);
}

#[test]
fn write_to_a_full_disk_is_not_tried_again_and_is_removed_by_the_next_one() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    let all = records(1, &[(0, 5, 9), (1, 5, 9)]);
    store.write(&all[..1]).unwrap();
    let refused = records(2, &[(0, 5, 200)]);
    let full = DiskError::Full(std::io::ErrorKind::StorageFull.into());
    assert!(matches!(fail_late(&store, &refused, full), Err(DiskError::Full(_))));
    assert_eq!((store.head(), store.writer().has_failed), (1, true));
    store.write(&all[1..]).unwrap();
    assert_eq!(store.read_all(0, u64::MAX, ALL, |_| true).unwrap().records, all);
}
