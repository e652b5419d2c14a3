//! Topics whose history was dropped.

use super::support::{ALL, Directory, copy_killed, event, sequences, topic};
use crate::disk::store::{Record, Store, TopicRow};
use crate::model::EndReason;

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
