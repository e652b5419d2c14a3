//! Rows that cannot be read do not keep others, and are removed when their time comes.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::support::{ALL, Directory, damage, event, files, read_pages, sequences, text, topic, written};
use crate::disk::store::{DiskError, Limit, Record, Store, StoreOptions, keys};
use crate::model::{EndReason, Event, Retention, StateLimits};

fn open(directory: &Directory, retention: Retention) -> Store {
    Store::open(&directory.0, &written(retention), 1).unwrap().0
}

fn trim(store: &Store, now: u64) {
    for round in 0.. {
        assert!(round < 1_000, "trimming ends");
        if !store.trim(now, 100).unwrap() {
            return;
        }
    }
}

fn is_damaged<T>(result: &Result<T, DiskError>) -> bool {
    matches!(result, Err(DiskError::Damaged { .. }))
}

#[test]
fn damaged_row_is_removed_when_the_events_after_it_exceed_the_retention() {
    let by_age = Retention::count(99).age(Duration::from_millis(10));
    let by_bytes = Retention::count(99).bytes(3 * 64);
    for (retention, now, is_over) in
        [(Retention::count(3), 9, true), (Retention::count(8), 9, false), (by_age, 16, true), (by_bytes, 9, true)]
    {
        let directory = Directory::new();
        let store = open(&directory, retention);
        for sequence in 1..=9 {
            store.write(&[event(sequence, "a", text(sequence))]).unwrap();
        }
        store.write(&[event(10, "b", "x")]).unwrap();
        damage(&store, &keys::event(1, 5));
        trim(&store, now);
        let page = store.read(&topic("a"), 0, 99, ALL);
        if !is_over {
            assert!(is_damaged(&page));
            continue;
        }
        let page = page.unwrap();
        assert_eq!(sequences(&page.records), (page.trimmed + 1..=9).collect::<Vec<_>>());
        assert!(page.trimmed >= 5, "{}", page.trimmed);
        let all = store.read_all(0, 99, ALL, |_| true).unwrap();
        assert_eq!(sequences(&all.records), (page.trimmed + 1..=10).collect::<Vec<_>>());
    }
}

#[test]
fn damaged_last_row_does_not_keep_events_from_its_topic() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(3));
    store.write(&[event(1, "a", "x")]).unwrap();
    store.write(&[event(2, "a", "x")]).unwrap();
    damage(&store, &keys::event(1, 2));
    store.close().unwrap();
    let (store, _) = Store::open(&directory.0, &written(Retention::count(3)), 2).unwrap();
    for sequence in 3..=6 {
        store.write(&[event(sequence, "a", "x")]).unwrap();
        trim(&store, 6);
        let page = store.read(&topic("a"), 0, 99, ALL);
        assert!(sequence > 4 || is_damaged(&page), "{sequence}");
    }
    let page = store.read(&topic("a"), 0, 99, ALL).unwrap();
    assert_eq!((sequences(&page.records), page.trimmed), (vec![4, 5, 6], 3));
}

#[test]
fn damaged_row_of_the_order_is_written_again() {
    let directory = Directory::new();
    let options = StoreOptions { max_bytes: 15_000, ..written(Retention::count(999)) };
    let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
    for sequence in 1..=9 {
        store.write(&[event(sequence, ["a", "b"][sequence as usize % 2], text(sequence))]).unwrap();
    }
    damage(&store, &keys::order(2));
    assert!(is_damaged(&store.read_all(0, 99, ALL, |_| true)));
    for sequence in 10..=300 {
        store.write(&[event(sequence, "c", text(sequence))]).unwrap();
    }
    trim(&store, 300);
    assert!(store.bytes() <= 15_000);
    let left = sequences(&store.read_all(0, 999, ALL, |_| true).unwrap().records);
    assert_eq!(left, (left[0]..=300).collect::<Vec<_>>());
}

#[test]
fn damaged_row_of_a_topic_does_not_keep_the_events_of_others() {
    let directory = Directory::new();
    let options = StoreOptions { max_bytes: 15_000, ..written(Retention::count(999)) };
    let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
    store.write(&[event(1, "a", text(1))]).unwrap();
    damage(&store, &keys::topic(1));
    for sequence in 2..=300 {
        store.write(&[event(sequence, "b", text(sequence))]).unwrap();
    }
    trim(&store, 300);
    assert!(store.bytes() <= 15_000);
    let page = store.read(&topic("b"), 0, 999, ALL).unwrap();
    assert!(page.records.len() > 50);
    assert_eq!(sequences(&page.records), (page.trimmed + 1..=300).collect::<Vec<_>>());
    assert!(is_damaged(&store.read(&topic("a"), 0, 99, ALL)));
}

#[test]
fn damaged_removal_is_forgotten() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(1).state_limits(StateLimits::default()));
    let keyed = Event::text("x").with_key("one").unwrap();
    store.write(&[event(1, "s", keyed), event(2, "s", Event::removal("one").unwrap()), event(3, "s", "x")]).unwrap();
    trim(&store, 3);
    damage(&store, &keys::event(1, 2));
    store.write(&[event(4, "s", "x")]).unwrap();
    trim(&store, 4);
    let mut states = store.states().unwrap();
    assert_eq!(states.forgotten, [(topic("s"), 2)]);
    assert_eq!(store.next_states(&mut states, 9).unwrap(), []);
}

#[test]
fn damaged_block_of_a_table_is_removed_when_its_time_comes() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(usize::MAX).bytes(usize::MAX));
    for sequence in 1..=3_000 {
        store.write(&[event(sequence, "a", text(sequence * 7_919 % 3_001))]).unwrap();
    }
    store.close().unwrap();
    let is_table = |path: &std::path::PathBuf| path.parent().is_some_and(|parent| parent.ends_with("tables"));
    let table = files(&directory.0).into_iter().filter(is_table);
    let table = table.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&table).unwrap();
    bytes[60_000] ^= 1;
    fs::write(&table, bytes).unwrap();
    let options = StoreOptions { retention: Arc::new(|_| Retention::count(10)), ..written(Retention::default()) };
    let (store, _) = Store::open(&directory.0, &options, 2).unwrap();
    assert!(is_damaged(&store.read(&topic("a"), 0, u64::MAX, ALL)), "the block is read");
    store.write(&[event(3_001, "a", "x")]).unwrap();
    trim(&store, 3_001);
    let page = store.read(&topic("a"), 0, u64::MAX, ALL).unwrap();
    assert_eq!(sequences(&page.records), (2_992..=3_001).collect::<Vec<_>>());
}

#[test]
fn page_of_several_topics_reads_no_rows_beyond_its_bytes() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(999));
    for sequence in 1..=40 {
        store.write(&[event(sequence, ["a", "b"][sequence as usize % 2], text(sequence))]).unwrap();
    }
    damage(&store, &keys::event(1, 39));
    // A read of all rows would find the damage.
    let limit = Limit { events: 999, bytes: 10 * text(1).len() };
    let page = store.read_all(0, 99, limit, |_| true).unwrap();
    assert_eq!((sequences(&page.records), page.up_to, page.has_more), ((1..=10).collect(), 10, true));
    assert!(is_damaged(&read_pages(|after| store.read_all(after, 99, limit, |_| true), 0)));
}

#[test]
fn read_of_topics_by_name_looks_at_no_other_topic() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(1));
    for (sequence, name) in (1..).zip(["a", "a", "b", "c"]) {
        store.write(&[event(sequence, name, "x")]).unwrap();
    }
    trim(&store, 4);
    damage(&store, &keys::topic(4));
    let names = [topic("a"), topic("b"), topic("none")];
    assert_eq!(store.trimmed(0, Some(&names.each_ref()), |_| true).unwrap(), 1);
    assert_eq!(store.trimmed(1, Some(&names.each_ref()), |_| true).unwrap(), 0);
    assert_eq!(store.trimmed(0, Some(&names.each_ref()), |topic| topic.as_str() != "a").unwrap(), 0);
    assert!(is_damaged(&store.trimmed(0, None, |_| true)));
}

#[test]
fn events_after_damaged_rows_that_the_byte_budget_removed_are_readable() {
    let directory = Directory::new();
    let options = StoreOptions { max_bytes: 15_000, ..written(Retention::count(999)) };
    let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
    store.write(&[event(1, "a", "x")]).unwrap();
    store.write(&[event(2, "a", "x"), event(3, "a", "x"), event(4, "a", "x")]).unwrap();
    damage(&store, &keys::event(1, 4));
    for sequence in 5..=300 {
        store.write(&[event(sequence, "b", text(sequence))]).unwrap();
    }
    trim(&store, 300);
    store.write(&[event(301, "a", "x"), event(302, "a", "x")]).unwrap();
    let page = store.read(&topic("a"), 0, 999, ALL).unwrap();
    assert_eq!((sequences(&page.records), page.trimmed), (vec![301, 302], 4));
}

#[test]
fn topic_continues_after_its_end_was_damaged_and_forgotten() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(9));
    let end = Record::End { sequence: 2, topic: topic("a"), at: 2, reason: EndReason::Done };
    store.write(&[event(1, "a", "x"), end]).unwrap();
    damage(&store, &keys::end(2));
    trim(&store, 2);
    store.write(&[event(3, "a", "x")]).unwrap();
    assert_eq!((store.writer().head.ends, store.ends().unwrap()), (0, vec![]));
}

#[test]
fn damaged_row_whose_order_is_damaged_is_removed() {
    let directory = Directory::new();
    let store = open(&directory, Retention::count(1));
    for sequence in 1..=3 {
        store.write(&[event(sequence, "a", "x")]).unwrap();
    }
    for key in [&keys::event(1, 1)[..], &keys::event(1, 2), &keys::order(1)] {
        damage(&store, key);
    }
    trim(&store, 3);
    assert_eq!(sequences(&store.read(&topic("a"), 0, 9, ALL).unwrap().records), [3]);
    let rows = store.with_view(|view| Ok(view.prefix(&keys::event(1, 0)[..5]).count()));
    assert_eq!(rows.unwrap(), 1);
}
