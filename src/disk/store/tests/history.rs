use std::fs;

use super::support::{ALL, Directory, copy, event, sequences, topic, written};
use crate::disk::store::{DiskError, Loss, Store};
use crate::model::Retention;

#[test]
fn cursor_of_earlier_open_is_valid_up_to_the_end_of_its_epoch() {
    let directory = Directory::new();
    for epoch in 1..4 {
        let (store, opened) = directory.open(epoch);
        assert_eq!((opened.head, opened.lost), ((epoch - 1) * 2, None));
        let first = opened.head + 1;
        store.write(&[event(first, "a", "1"), event(first + 1, "b", "2")]).unwrap();
        // Dropped without close.
    }
    let (store, opened) = directory.open(4);
    assert_eq!(opened.epochs, [(1, 2), (2, 4), (3, 6), (4, 6)]);
    assert_eq!(sequences(&store.read(&topic("a"), 0, u64::MAX, ALL).unwrap().records), [1, 3, 5]);
}

#[test]
fn epoch_that_is_in_the_list_is_replaced_by_the_next_number() {
    let directory = Directory::new();
    drop(directory.open(7));
    assert_eq!(directory.open(7).1.epochs, [(7, 0), (8, 0)]);
}

#[test]
fn second_open_fails_and_names_the_process() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    let second = Store::open(&directory.0, &written(Retention::default()), 2);
    let Err(DiskError::InUse { pid, .. }) = second else { panic!("{second:?}") };
    assert_eq!(pid, Some(std::process::id()));
    store.close().unwrap();
    assert!(matches!(store.write(&[event(1, "a", "1")]), Err(DiskError::Closed)));
    assert!(matches!(store.read(&topic("a"), 0, 1, ALL), Err(DiskError::Closed)));
    directory.open(2);
}

#[test]
fn records_out_of_order_are_refused_and_nothing_is_written() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", "1"), event(5, "a", "2")]).unwrap();
    for wrong in [[5, 6], [6, 6], [4, 7]] {
        let error = store.write(&wrong.map(|sequence| event(sequence, "a", "3"))).unwrap_err();
        assert!(error.to_string().contains("the store continues at"), "{error}");
    }
    assert_eq!(sequences(&store.read(&topic("a"), 0, u64::MAX, ALL).unwrap().records), [1, 5]);
}

#[test]
fn restored_rows_below_the_high_water_mark_are_reported_and_no_sequence_is_used_twice() {
    let directory = Directory::new();
    let backup = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", "1")]).unwrap();
    store.close().unwrap();
    copy(&directory.0, &backup.0);
    let (store, _) = directory.open(2);
    store.write(&[event(2, "a", "2"), event(3, "a", "3")]).unwrap();
    store.close().unwrap();
    fs::remove_dir_all(directory.0.join("rows")).unwrap();
    copy(&backup.0.join("rows"), &directory.0.join("rows"));
    let (store, opened) = directory.open(3);
    assert_eq!(opened.lost, Some(Loss::Tail { stored: 1, acknowledged: 3 }));
    assert_eq!((opened.head, opened.epochs), (3, vec![(3, 3)]));
    store.write(&[event(4, "a", "4")]).unwrap();
    assert_eq!(sequences(&store.read(&topic("a"), 0, u64::MAX, ALL).unwrap().records), [1, 4]);
}

#[test]
fn restored_directory_makes_later_cursors_invalid() {
    let directory = Directory::new();
    let backup = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", "1")]).unwrap();
    store.close().unwrap();
    copy(&directory.0, &backup.0);
    let (store, _) = directory.open(2);
    store.write(&[event(2, "a", "2")]).unwrap();
    store.close().unwrap();
    let (_store, opened) = backup.open(3);
    assert_eq!((opened.lost, opened.epochs), (None, vec![(1, 1), (3, 1)]));
}

#[test]
fn older_high_water_mark_is_harmless() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", "1")]).unwrap();
    let older = fs::read(directory.0.join("head")).unwrap();
    store.write(&[event(2, "a", "2")]).unwrap();
    store.close().unwrap();
    fs::write(directory.0.join("head"), older).unwrap();
    let (_, opened) = directory.open(2);
    assert_eq!((opened.head, opened.lost), (2, None));
    assert_eq!(opened.epochs, [(1, 2), (2, 2)]);
}

#[test]
fn missing_files_are_reported() {
    for (missing, lost) in [("rows", Loss::Tail { stored: 0, acknowledged: 1 }), ("head", Loss::Unverified)] {
        let directory = Directory::new();
        let (store, _) = directory.open(1);
        store.write(&[event(1, "a", "1")]).unwrap();
        store.close().unwrap();
        let path = directory.0.join(missing);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        let (_, opened) = directory.open(2);
        assert_eq!((opened.lost, opened.epochs.len()), (Some(lost), 1), "{missing}");
    }
}

#[test]
fn write_after_the_directory_was_removed_is_an_error() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", "1")]).unwrap();
    fs::remove_dir_all(&directory.0).unwrap();
    for _ in 0..2 {
        let error = store.write(&[event(2, "a", "2")]).unwrap_err();
        assert!(matches!(error, DiskError::Damaged { .. }), "{error}");
        assert!(store.trim(9, 9).is_err());
    }
    // Reads of open files still work, or fail with a typed error.
    let _ = store.read(&topic("a"), 0, 9, ALL);
    let _ = store.close();
}

#[test]
fn table_that_was_not_completed_is_no_damage_and_a_table_of_the_manifest_is_checked() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", "1")]).unwrap();
    store.close().unwrap();
    let tables = directory.0.join("rows/keyspaces/1/tables");
    let table = fs::read_dir(&tables).unwrap().next().unwrap().unwrap().path();
    for left in [0, 20, 500] {
        fs::write(tables.join("77"), vec![1; left]).unwrap();
        let (store, opened) = directory.open(2);
        assert_eq!((opened.head, opened.lost), (1, None));
        store.close().unwrap();
    }
    let mut bytes = fs::read(&table).unwrap();
    let end = bytes.len() - 50;
    bytes[end] ^= 1;
    fs::write(&table, bytes).unwrap();
    let error = Store::open(&directory.0, &written(Retention::default()), 2).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}
