//! Topics whose history was dropped.

use super::expected::counters;
use super::support::{ALL, Directory, copy_killed, damage, event, sequences, text, topic, written};
use crate::disk::store::codec::crc;
use crate::disk::store::damage::is_damage;
use crate::disk::store::{Durability, Record, Store, StoreOptions, TopicRow, keys};
use crate::model::{EndReason, Event, Retention, StateLimits};

fn open(directory: &Directory) -> Store {
    directory.open(1).0
}

fn end(sequence: u64, name: &str) -> Record {
    Record::End { sequence, topic: topic(name), at: sequence, reason: EndReason::Done }
}

fn row(store: &Store, name: &str) -> TopicRow {
    let rows = store.topics(None, 99).unwrap();
    rows.into_iter().find(|row| row.topic.as_str() == name).unwrap()
}

fn read(store: &Store, name: &str) -> (Vec<u64>, u64) {
    let page = store.read(&topic(name), 0, u64::MAX, ALL).unwrap();
    (sequences(&page.records), page.trimmed)
}

#[test]
fn dropped_topic_is_as_new_also_after_a_reopen() {
    let directory = Directory::new();
    let store = open(&directory);
    store.write(&[event(1, "a", "one"), event(2, "b", "x"), event(3, "a", "two")]).unwrap();
    store.write(&[event(4, "a", "three"), end(5, "a")]).unwrap();
    let of_a = TopicRow { topic: topic("a"), last: 5, trimmed: 0, dropped: 0, events: 3, bytes: 11 };
    assert_eq!(row(&store, "a"), of_a);
    store.drop_topic(&topic("a"), 9).unwrap();
    let dropped = TopicRow { topic: topic("a"), last: 5, trimmed: 5, dropped: 5, events: 0, bytes: 0 };
    let check = |store: &Store| {
        assert_eq!(row(store, "a"), dropped);
        assert_eq!(read(store, "a"), (vec![], 5));
        assert_eq!(sequences(&store.read_all(0, 9, ALL, |_| true).unwrap().records), [2]);
        assert_eq!(store.ends().unwrap(), []);
        assert_eq!(store.writer().head.ends, 0);
    };
    check(&store);
    let killed = copy_killed(&directory);
    check(&killed.open(2).0);
    store.close().unwrap();
    let store = directory.open(2).0;
    check(&store);
    store.write(&[event(6, "a", "four"), event(7, "a", "fifth")]).unwrap();
    assert_eq!(read(&store, "a"), (vec![6, 7], 5));
    assert_eq!(row(&store, "a"), TopicRow { last: 7, events: 2, bytes: 9, ..dropped });
    let (head, rows) = counters(&store);
    assert_eq!(head, rows, "bytes, retained, ends, topics");
}

#[test]
fn reader_behind_a_dropped_history_has_a_loss_up_to_it() {
    let directory = Directory::new();
    let store = open(&directory);
    store.write(&[event(1, "a", "x"), event(2, "b", "x"), event(3, "a", "x"), event(4, "b", "x")]).unwrap();
    let trims = store.read(&topic("a"), 1, 9, ALL).unwrap().trims;
    store.drop_topic(&topic("a"), 4).unwrap();
    let page = store.read(&topic("a"), 1, 9, ALL).unwrap();
    assert_eq!((page.records, page.trimmed, page.trims), (vec![], 3, trims + 1));
    assert_eq!(store.trimmed(2, None, |_| true).unwrap(), 3);
    assert_eq!(store.trimmed(3, None, |_| true).unwrap(), 0);
    assert_eq!(store.trimmed(0, None, |topic| topic.as_str() == "b").unwrap(), 0);
}

#[test]
fn records_after_the_dropped_sequence_stay() {
    for up_to in 0..=8 {
        let directory = Directory::new();
        let store = open(&directory);
        // The first row contains both sequences before and after some of those.
        let all = [event(1, "a", "x"), event(3, "a", "xx"), event(4, "a", "x"), end(6, "a"), event(8, "a", "xxx")];
        store.write(&all[..3]).unwrap();
        store.write(&all[3..]).unwrap();
        store.drop_topic(&topic("a"), up_to).unwrap();
        let left = [1, 3, 4, 6, 8].into_iter().filter(|&sequence| sequence > up_to).collect::<Vec<_>>();
        let last = [1, 3, 4, 6, 8].into_iter().rfind(|&sequence| sequence <= up_to).unwrap_or(0);
        assert_eq!(read(&store, "a"), (left.clone(), last), "{up_to}");
        let TopicRow { dropped, events, bytes, .. } = row(&store, "a");
        let weights = [(1, 1), (3, 2), (4, 1), (8, 3)].into_iter().filter(|(sequence, _)| *sequence > up_to);
        let expected =
            weights.fold((last, 0, 0), |(last, events, bytes), (_, weight)| (last, events + 1, bytes + weight));
        assert_eq!((dropped, events, bytes), expected, "{up_to}");
        store.write(&[event(9, "a", "x")]).unwrap();
        assert_eq!(read(&store, "a").0, [left, vec![9]].concat(), "{up_to}");
    }
}

#[test]
fn drop_of_an_unknown_topic_changes_nothing() {
    let directory = Directory::new();
    let store = open(&directory);
    store.write(&[event(1, "a", "x")]).unwrap();
    let head = store.writer().head;
    store.drop_topic(&topic("unknown"), 9).unwrap();
    assert_eq!(store.writer().head, head);
    assert_eq!(store.topics(None, 9).unwrap().len(), 1);
}

/// Returns a store with two topics: three rows of one event in each, and the end of `a`.
fn with_rows(directory: &Directory) -> Store {
    let store = open(directory);
    for sequence in 1..=6 {
        store.write(&[event(sequence, ["b", "a"][sequence as usize % 2], text(sequence))]).unwrap();
    }
    store.write(&[end(7, "a")]).unwrap();
    store
}

#[test]
fn damaged_rows_are_dropped() {
    let rows = [1, 3, 5, 7].map(|sequence| keys::event(1, sequence).to_vec());
    let (end, order) = (keys::end(7).to_vec(), keys::order(3).to_vec());
    let all = [&rows[..], &[end.clone(), order.clone()]].concat();
    let cases = rows.iter().map(|row| vec![row.clone()]);
    let cases = cases.chain([rows[1..3].to_vec(), rows[2..].to_vec(), rows.to_vec(), vec![end], vec![order], all]);
    for (case, damaged) in cases.enumerate() {
        for is_reopened in [false, true] {
            let directory = Directory::new();
            let mut store = with_rows(&directory);
            damaged.iter().for_each(|key| damage(&store, key));
            if is_reopened {
                store.close().unwrap();
                store = directory.open(2).0;
            }
            store.drop_topic(&topic("a"), 7).unwrap();
            assert_eq!(read(&store, "a"), (vec![], 7), "{case}");
            let TopicRow { last, dropped, events, bytes, .. } = row(&store, "a");
            assert_eq!((last, dropped, events, bytes), (7, 7, 0, 0), "{case}");
            assert_eq!((store.ends().unwrap(), store.writer().head.ends), (vec![], 0), "{case}");
            store.write(&[event(8, "a", "x"), event(9, "a", "x")]).unwrap();
            assert_eq!(read(&store, "a"), (vec![8, 9], 7), "{case}");
            assert_eq!((row(&store, "a").events, row(&store, "a").bytes), (2, 2), "{case}");
            assert_eq!(read(&store, "b"), (vec![2, 4, 6], 0), "{case}");
            store
                .with_view(|view| {
                    assert_eq!(view.prefix(&keys::event(1, 0)[..5]).count(), 1, "{case}: no row is left");
                    Ok(())
                })
                .unwrap();
        }
    }
}

#[test]
fn readable_events_after_damaged_rows_stay() {
    for up_to in 1..=5 {
        let directory = Directory::new();
        let store = with_rows(&directory);
        damage(&store, &keys::event(1, 3));
        store.drop_topic(&topic("a"), up_to).unwrap();
        if up_to < 3 {
            let error = store.read(&topic("a"), 0, 9, ALL).unwrap_err();
            assert!(is_damage(&error), "the damaged row stays");
            assert_eq!(row(&store, "a").dropped, 1);
            continue;
        }
        let expected = if up_to < 5 { (vec![5, 7], 3) } else { (vec![7], 5) };
        assert_eq!(read(&store, "a"), expected, "{up_to}");
        assert_eq!(row(&store, "a").events, u64::from(up_to < 5), "{up_to}");
        assert_eq!(store.ends().unwrap().len(), 1);
        store.write(&[event(8, "a", "x")]).unwrap();
        assert_eq!(read(&store, "a").0, [&expected.0[..], &[8]].concat(), "{up_to}");
    }
}

#[test]
fn damaged_row_of_the_topic_itself_is_an_error() {
    let directory = Directory::new();
    let store = with_rows(&directory);
    damage(&store, &keys::topic(1));
    let head = store.writer().head;
    assert!(is_damage(&store.drop_topic(&topic("a"), 9).unwrap_err()));
    assert_eq!(store.writer().head, head);
    store.drop_topic(&topic("b"), 9).unwrap();
    assert_eq!(read(&store, "b"), (vec![], 6));
}

#[test]
fn newest_event_of_each_key_is_kept_when_history_is_dropped() {
    let directory = Directory::new();
    let keyed = written(Retention::count(9).state_limits(StateLimits::default()));
    let (store, _) = Store::open(&directory.0, &keyed, 1).unwrap();
    let of = |sequence, key: &str| event(sequence, "s", Event::text("x").with_key(key).unwrap());
    store.write(&[of(1, "one"), of(2, "two"), of(3, "one"), event(4, "s", "x")]).unwrap();
    store.drop_topic(&topic("s"), 4).unwrap();
    assert_eq!(read(&store, "s"), (vec![], 4));
    assert_eq!(sequences(&store.kept(None, 0, 9, ALL, |_| true).unwrap().records), [2, 3]);
    store.write(&[of(5, "two")]).unwrap();
    assert_eq!(read(&store, "s"), (vec![5], 4));
    assert_eq!((row(&store, "s").events, row(&store, "s").bytes), (1, 4));
}

#[test]
fn dropped_topic_is_forgotten_when_there_are_too_many_and_begins_after_it() {
    let directory = Directory::new();
    let options = StoreOptions { max_topics: 1, ..written(Retention::count(9)) };
    let (store, _) = Store::open(&directory.0, &options, 1).unwrap();
    store.write(&[event(1, "a", "x"), event(2, "b", "x"), end(3, "a")]).unwrap();
    store.drop_topic(&topic("a"), 3).unwrap();
    while store.trim(3, 99).unwrap() {}
    assert_eq!(store.topics(None, 9).unwrap().len(), 1);
    store.write(&[event(4, "a", "x")]).unwrap();
    let TopicRow { trimmed, dropped, events, .. } = row(&store, "a");
    assert_eq!((trimmed, dropped, events), (3, 3, 1));
    // A drop forgets a topic that was empty before.
    store.drop_topic(&topic("a"), 4).unwrap();
    store.drop_topic(&topic("a"), 4).unwrap();
    assert_eq!(store.topics(None, 9).unwrap().len(), 1);
    assert_eq!(read(&store, "a"), (vec![], 4));
}

#[test]
fn store_of_an_earlier_format_is_refused_with_a_clear_error() {
    let directory = Directory::new();
    let store = with_rows(&directory);
    store
        .with_rows(|rows| {
            let mut value = rows.view().get(keys::HEAD)?.unwrap().to_vec();
            value[4] = 1;
            let crc = crc(keys::HEAD, &value[4..]);
            value[..4].copy_from_slice(&crc.to_le_bytes());
            let mut batch = rows.batch();
            batch.put(keys::HEAD, value);
            rows.commit(batch, Durability::Written)
        })
        .unwrap();
    store.close().unwrap();
    let error = Store::open(&directory.0, &written(Retention::default()), 2).unwrap_err();
    assert!(error.to_string().contains("written by another version"), "{error}");
}

/// The open of a hub lists them: runs leave a topic each.
#[test]
fn topics_without_records_and_those_whose_row_is_damaged_are_not_listed() {
    let directory = Directory::new();
    let store = open(&directory);
    let names = ["a", "b", "c", "d"];
    for (sequence, name) in (1..).zip(names) {
        store.write(&[event(sequence, name, "x")]).unwrap();
    }
    store.write(&[end(5, "e")]).unwrap();
    store.drop_topic(&topic("b"), 9).unwrap();
    let listed = |store: &Store, after, limit| -> Vec<_> {
        let rows = store.stored_topics(after, limit).unwrap();
        rows.into_iter().map(|(id, row)| (id, row.topic.to_string(), row.events)).collect()
    };
    let row = |id, name: &str, events| (id, name.to_owned(), events);
    assert_eq!(listed(&store, None, 2), [row(1, "a", 1), row(3, "c", 1)]);
    assert_eq!(listed(&store, Some(3), 9), [row(4, "d", 1), row(5, "e", 0)]);
    damage(&store, &keys::topic(3));
    assert_eq!(listed(&store, None, 9), [row(1, "a", 1), row(4, "d", 1), row(5, "e", 0)]);
}
