//! A full disk: a small tmpfs, where the machine allows to mount one.

use std::fs;
use std::process::Command;

use super::support::{ALL, Directory, event, topic, written};
use crate::disk::store::{DiskError, Store};
use crate::model::Retention;

/// Mounted tmpfs, which is unmounted when the test ends.
struct Tmpfs(Directory);

impl Tmpfs {
    fn mount(options: &str) -> Option<Self> {
        let directory = Directory::new();
        fs::create_dir_all(&directory.0).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&directory.0).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        println!("a tmpfs cannot be mounted here: nothing to test");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0.0).output();
    }
}

#[test]
fn write_to_a_full_disk_is_an_error_and_continues_when_there_is_space() {
    let Some(disk) = Tmpfs::mount("size=160m") else { return };
    let directory = disk.0.0.join("store");
    let options = written(Retention::count(usize::MAX).bytes(usize::MAX));
    let (store, _) = Store::open(&directory, &options, 1).unwrap();
    // Another file takes the space that is left.
    let ballast = disk.0.0.join("ballast");
    let mut random = fastrand::Rng::with_seed(1);
    let mut payload = || std::iter::repeat_with(|| random.alphanumeric()).take(1 << 18).collect::<String>();
    let (mut last, mut errors) = (0, 0);
    while errors < 20 {
        if last == 80 && !ballast.exists() {
            let error = fs::write(&ballast, vec![1; 200 << 20]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        }
        assert!(last < 2_000, "the disk is full at last");
        match store.write(&[event(last + 1, "a", payload())]) {
            Ok(()) => last += 1,
            Err(error) => {
                assert!(
                    matches!(error, DiskError::Full(_) | DiskError::Io(_) | DiskError::Damaged { .. }),
                    "{error:?}"
                );
                if errors == 0 {
                    println!("after {last} events: {error}");
                }
                errors += 1;
            }
        }
    }
    println!("{last} events were acknowledged");
    fs::remove_file(ballast).unwrap();
    for _ in 0..10 {
        store.write(&[event(last + 1, "a", payload())]).unwrap();
        last += 1;
    }
    let page = store.read(&topic("a"), 0, u64::MAX, ALL).unwrap();
    assert_eq!(super::support::sequences(&page.records), (1..=last).collect::<Vec<_>>());
    store.close().unwrap();
    let (_, opened) = Store::open(&directory, &options, 2).unwrap();
    assert_eq!((opened.head, opened.lost), (last, None));
}

#[test]
fn directory_that_cannot_be_written_is_an_error() {
    let Some(disk) = Tmpfs::mount("size=160m") else { return };
    let options = written(Retention::default());
    let (store, _) = Store::open(&disk.0.0, &options, 1).unwrap();
    store.write(&[event(1, "a", "x")]).unwrap();
    store.close().unwrap();
    drop(store);
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0.0).output().unwrap();
    assert!(remounted.status.success(), "{remounted:?}");
    let error = Store::open(&disk.0.0, &options, 2).unwrap_err();
    assert!(matches!(error, DiskError::ReadOnly(_)), "{error:?}");
}

#[test]
fn drop_on_a_full_disk_leaves_the_topic_as_it_was_and_succeeds_when_there_is_space() {
    let Some(disk) = Tmpfs::mount("size=160m") else { return };
    let (directory, ballast) = (disk.0.0.join("store"), disk.0.0.join("ballast"));
    let options = written(Retention::count(usize::MAX).bytes(usize::MAX));
    let (store, _) = Store::open(&directory, &options, 1).unwrap();
    // Each event has a row of its own, so that the changes of the drop need a new page of the journal.
    for sequence in 1..=600 {
        store.write(&[event(sequence, ["a", "b"][usize::from(sequence > 500)], "x")]).unwrap();
    }
    let (head, row) = (store.writer().head, store.topics(None, 1).unwrap());
    let error = fs::write(&ballast, vec![1; 200 << 20]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    let error = store.drop_topic(&topic("a"), 600).unwrap_err();
    assert!(matches!(error, DiskError::Full(_)), "{error:?}");
    assert_eq!((store.writer().head, store.topics(None, 1).unwrap()), (head, row));
    assert_eq!(store.read(&topic("a"), 0, u64::MAX, ALL).unwrap().records.len(), 500);
    fs::remove_file(ballast).unwrap();
    store.drop_topic(&topic("a"), 600).unwrap();
    let page = store.read(&topic("a"), 0, u64::MAX, ALL).unwrap();
    assert_eq!((page.records, page.trimmed), (vec![], 500));
    store.write(&[event(601, "a", "x")]).unwrap();
    store.close().unwrap();
    let (store, opened) = Store::open(&directory, &options, 2).unwrap();
    assert_eq!((opened.head, opened.lost), (601, None));
    let page = store.read(&topic("a"), 0, u64::MAX, ALL).unwrap();
    assert_eq!((super::support::sequences(&page.records), page.trimmed), (vec![601], 500));
    assert_eq!(store.read(&topic("b"), 0, u64::MAX, ALL).unwrap().records.len(), 100);
}
