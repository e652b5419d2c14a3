//! Damaged files: an error, a loss that is reported, or all events. Never a panic, and never fewer events in silence.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::support::{Directory, copy, copy_killed, event, files, read_pages, text, topic, written, written_part};
use crate::disk::store::error::no_panic;
use crate::disk::store::journals::Journals;
use crate::disk::store::rows::Rows;
use crate::disk::store::{DiskError, Limit, Loss, Record, Store};
use crate::model::Retention;

const TOPICS: [&str; 3] = ["a", "b", "c"];
const LAST: u64 = 3_000;

/// Outcome of reading a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Intact,
    ErrorAtOpen,
    ErrorAtRead,
    Lost,
}

/// Returns a directory with events in tables and in the journal.
fn written_directory() -> Directory {
    let directory = Directory::new();
    for (epoch, range) in [(1, 1..=LAST / 2), (2, LAST / 2 + 1..=LAST)] {
        let (store, _) = directory.open(epoch);
        let records = range.map(|sequence| event(sequence, TOPICS[sequence as usize % 3], text(sequence)));
        for batch in records.collect::<Vec<_>>().chunks(100) {
            store.write(batch).unwrap();
        }
        if epoch == 2 {
            return copy_killed(&directory);
        }
    }
    directory
}

/// Opens a store and reads all topics, each way, as a client that has read nothing. All that is read is checked.
fn read(directory: &Path) -> Outcome {
    let options = written(Retention::count(usize::MAX).bytes(usize::MAX));
    let (store, opened) = match Store::open(directory, &options, 9) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(matches!(error, DiskError::Damaged { .. } | DiskError::Io(_)), "{error:?}");
            return Outcome::ErrorAtOpen;
        }
    };
    assert!(opened.head >= LAST || opened.lost.is_some(), "{opened:?}");
    if opened.lost.is_some() {
        assert_eq!(opened.epochs.len(), 1, "no older cursor is valid");
    }
    let limit = Limit { events: 500, bytes: 1 << 20 };
    let mut outcome = if opened.lost.is_some() { Outcome::Lost } else { Outcome::Intact };
    let mut check = |records: Result<Vec<Record>, DiskError>, expected: &dyn Fn(u64) -> bool| match records {
        Ok(records) => {
            for record in &records {
                let sequence = record.sequence();
                assert_eq!(*record, event(sequence, TOPICS[sequence as usize % 3], text(sequence)));
            }
            let all = (1..=LAST).filter(|&sequence| expected(sequence)).count();
            assert!(records.len() == all || opened.lost.is_some(), "{} of {all} without an error", records.len());
        }
        Err(error) => {
            assert!(matches!(error, DiskError::Damaged { .. } | DiskError::Io(_)), "{error:?}");
            outcome = outcome.max(Outcome::ErrorAtRead);
        }
    };
    for (place, name) in TOPICS.iter().enumerate() {
        let records = read_pages(|after| store.read(&topic(name), after, u64::MAX, limit), 0);
        check(records, &|sequence| sequence as usize % 3 == place);
    }
    check(read_pages(|after| store.read_all(after, u64::MAX, limit, |_| true), 0), &|_| true);
    let next = opened.head + 1;
    if store.write(&[event(next, "d", "x")]).is_ok() {
        store.trim(next, 1_000).map_or_else(drop, drop);
        let read = store.read(&topic("d"), 0, u64::MAX, limit);
        assert!(read.is_err() || read.is_ok_and(|page| page.records.len() == 1));
    }
    let _ = store.close();
    outcome
}

/// Changes a copy of a directory, once for each case, and prints the outcomes of each kind of file.
fn damage(cases: usize, change: impl Fn(usize, &Path)) {
    let original = written_directory();
    assert_eq!(
        {
            let copied = Directory::new();
            copy(&original.0, &copied.0);
            read(&copied.0)
        },
        Outcome::Intact
    );
    let mut outcomes = std::collections::BTreeMap::<Outcome, usize>::new();
    for case in 0..cases {
        let copied = Directory::new();
        copy(&original.0, &copied.0);
        change(case, &copied.0);
        *outcomes.entry(read(&copied.0)).or_default() += 1;
    }
    println!("{outcomes:?}");
    assert!(outcomes.len() > 1, "some of the damage is found: {outcomes:?}");
}

fn random(seed: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed)
}

#[test]
fn flipped_byte_at_random_places_is_found_or_costs_nothing() {
    let cases = if std::env::var_os("TIDINGS_DISK_DEEP").is_some() { 2_000 } else { 100 };
    damage(cases, |case, directory| {
        let mut random = random(case as u64);
        let files = files(directory).into_iter().filter(|path| fs::metadata(path).unwrap().len() > 0);
        let files = files.collect::<Vec<_>>();
        // Half of the places are in all bytes, half in all files.
        let sizes = files.iter().map(|path| written_part(&fs::read(path).unwrap())).collect::<Vec<_>>();
        let (path, at) = if case % 2 == 0 {
            let mut at = random.usize(..sizes.iter().sum::<usize>());
            let place = sizes
                .iter()
                .position(|&size| {
                    if at < size {
                        true
                    } else {
                        at -= size;
                        false
                    }
                })
                .unwrap();
            (&files[place], at)
        } else {
            let place = random.usize(..files.len());
            (&files[place], random.usize(..sizes[place].max(1)))
        };
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1 << random.u8(..8);
        println!("case {case}: byte {at} of {}", path.strip_prefix(directory).unwrap().display());
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn truncated_file_is_found_or_costs_nothing() {
    damage(40, |case, directory| {
        let mut random = random(case as u64);
        let files = files(directory);
        let path = &files[case % files.len()];
        let bytes = fs::read(path).unwrap();
        let to = random.usize(..=written_part(&bytes));
        println!("case {case}: {} to {to}", path.strip_prefix(directory).unwrap().display());
        fs::write(path, &bytes[..to]).unwrap();
    });
}

#[test]
fn removed_file_is_found_or_costs_nothing() {
    damage(24, |case, directory| {
        let files = files(directory);
        let path = &files[case % files.len()];
        println!("case {case}: {}", path.strip_prefix(directory).unwrap().display());
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn damaged_journal_before_a_complete_one_is_reported() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    let journal = |directory: &Directory, name: &str| directory.0.join("rows").join(name);
    let mut ends = Vec::new();
    for sequence in 1..=20 {
        store.write(&[event(sequence, "a", text(sequence))]).unwrap();
        ends.push(written_part(&fs::read(journal(&directory, "0.jnl")).unwrap()));
    }
    // The journal becomes two, as if the first had reached its size after event 10.
    let parts = copy_killed(&directory);
    let bytes = fs::read(journal(&parts, "0.jnl")).unwrap();
    fs::write(journal(&parts, "0.jnl"), &bytes[..ends[9]]).unwrap();
    fs::write(journal(&parts, "1.jnl"), &bytes[ends[9]..]).unwrap();
    // The lower half of the number of the last batch, after the kind and the count of items. It is greater than the
    // numbers of the next journal then, and each of the two journals may be the damaged one.
    let ambiguous = ends[8] + 5..ends[8] + 9;
    let places = (0..ends[9]).step_by(23).chain(ends[8]..ends[8] + 13).collect::<BTreeSet<_>>();
    for at in [None].into_iter().chain(places.into_iter().map(Some)) {
        let damaged = Directory::new();
        copy(&parts.0, &damaged.0);
        if let Some(at) = at {
            let mut bytes = bytes[..ends[9]].to_vec();
            bytes[at] ^= 0xff;
            fs::write(journal(&damaged, "0.jnl"), bytes).unwrap();
        }
        if at.is_some_and(|at| ambiguous.contains(&at)) {
            let journals = || ["0.jnl", "1.jnl"].map(|name| fs::read(journal(&damaged, name)).unwrap());
            let before = journals();
            let error = Store::open(&damaged.0, &written(Retention::default()), 2).unwrap_err();
            assert!(matches!(error, DiskError::Damaged { .. }), "{at:?} {error}");
            assert!(journals() == before, "{at:?}: a journal was changed");
            continue;
        }
        if at.is_some_and(|at| at % 2 == 0) {
            // The process ends after fjall has cut the journal, and before the loss is noted.
            let database = damaged.0.join("rows");
            Journals::check(&database, &damaged.0).unwrap();
            let _ = no_panic(|| Rows::open(&database, &written(Retention::default())));
        }
        let (store, opened) = damaged.open(2);
        assert_eq!((opened.head, opened.lost), (20, at.map(|_| Loss::Journal)), "{at:?}");
        let page = store.read(&topic("a"), 0, 99, Limit { events: 99, bytes: 9_999 });
        assert_eq!(page.is_ok_and(|page| page.records.len() == 20), at.is_none());
    }
}

#[test]
fn incomplete_batch_at_the_end_of_the_last_journal_costs_nothing() {
    let directory = Directory::new();
    let (store, _) = directory.open(1);
    store.write(&[event(1, "a", text(1))]).unwrap();
    let journal = directory.0.join("rows/0.jnl");
    let head = fs::read(directory.0.join("head")).unwrap();
    let before = written_part(&fs::read(&journal).unwrap());
    store.write(&[event(2, "a", text(2)), event(3, "a", text(3))]).unwrap();
    let directory = copy_killed(&directory);
    let bytes = fs::read(directory.0.join("rows/0.jnl")).unwrap();
    let end = bytes.len();
    // Every block of the last batch may be missing after a power loss.
    for at in (before..end).step_by(7) {
        let torn = Directory::new();
        copy(&directory.0, &torn.0);
        fs::write(torn.0.join("head"), &head).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..(at + 40).min(end)].fill(0);
        fs::write(torn.0.join("rows/0.jnl"), bytes).unwrap();
        let (store, opened) = torn.open(2);
        assert_eq!((opened.head, opened.lost), (1, None), "{at}");
        store.write(&[event(2, "a", text(2))]).unwrap();
        assert_eq!(store.read(&topic("a"), 0, 9, Limit { events: 9, bytes: 999 }).unwrap().records.len(), 2);
    }
}
