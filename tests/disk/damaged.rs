//! Damaged files: a typed error at the open, a gap, or every event. Never a loss without a gap, and no end of the process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;
use tidings::Cursor;

use crate::files::{Directory, copy, cut_zeros, files, written_part};
use crate::follower::{Follower, Followers, Item, TRANSPORTS};
use crate::load::{Load, TOPICS, topic_of};
use crate::process::{Server, connection};
use crate::server::Options;
use crate::{pause, rounds, row};

/// Number of the last event, which is also its sequence.
const LAST: u64 = 600;
/// Limit of the address space, in KiB.
const SPACE: &str = "export MALLOC_ARENA_MAX=2; ulimit -v 1048576";

/// Directory of a killed process, with events in tables and in a journal, and cursors of clients.
struct Original {
    directory: Directory,
    /// Sequences after which clients resume, each with its cursor.
    cursors: Vec<(u64, String)>,
}

/// Outcome of an open and of all reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Intact,
    ErrorAtOpen,
    GapOfSome,
    NewEpoch,
}

impl Original {
    async fn write() -> Self {
        let (directory, copied, load) = (Directory::new(), Directory::new(), Load::default());
        let mut cursors = Vec::new();
        for half in 0..2 {
            let server = Server::start(&Options::new(&directory.0)).await.unwrap();
            load.publish(&mut connection(server.address).await.unwrap(), LAST / 2).await.unwrap();
            let cursor: Cursor = server.cursor().await.parse().unwrap();
            let resumed = LAST / 2 * half + LAST / 5;
            cursors.push((resumed, Cursor::new(cursor.epoch(), resumed).to_string()));
            if half == 0 { server.stop().await } else { server.kill().await }
        }
        assert!(load.outcomes().acknowledged.iter().all(|(number, sequence)| Some(*number) == *sequence));
        copy(&directory.0, &copied.0);
        cut_zeros(&copied.0);
        Self { directory: copied, cursors }
    }

    /// Opens a copy that was changed, and lets clients of all transports resume.
    async fn outcome(&self, change: impl FnOnce(&Path)) -> Outcome {
        let damaged = Directory::new();
        copy(&self.directory.0, &damaged.0);
        change(&damaged.0);
        let options = Options { memory: 10, ..Options::new(&damaged.0) };
        let server = match Server::limited(&options, SPACE).await {
            Ok(server) => server,
            Err(refused) => {
                assert!(matches!(&*refused.kind, "Damaged" | "Io"), "{refused:?}");
                return Outcome::ErrorAtOpen;
            }
        };
        let (mut followers, load) = (Followers::none(), Load::default());
        for (_, cursor) in &self.cursors {
            followers.add(&TRANSPORTS, &TOPICS, Some(cursor));
            followers.add(&TRANSPORTS, &["b"], Some(cursor));
        }
        followers.connect(server.address);
        load.outcomes().sent = LAST;
        load.publish(&mut connection(server.address).await.unwrap(), 3).await.unwrap();
        for error in load.outcomes().refused.values() {
            assert!(error.contains("damaged") || error.contains("failed"), "{error}");
        }
        let mut outcome = Outcome::Intact;
        for (place, follower) in followers.all.iter().enumerate() {
            let marker = load.outcomes().last_of(&follower.topics);
            if let Some(marker) = marker {
                follower.until("gets a new event", |ledger| ledger.ends_with(marker)).await;
            } else {
                let is_done = |cursor: &str| cursor.parse::<Cursor>().is_ok_and(|cursor| cursor.sequence() >= LAST);
                follower
                    .until("reads history", |ledger| {
                        ledger.gaps().count() > 0 || ledger.cursor.as_deref().is_some_and(is_done)
                    })
                    .await;
                pause(Duration::from_millis(300)).await;
            }
            let (after, _) = self.cursors[place / (2 * TRANSPORTS.len())];
            outcome = outcome.max(audit(follower, after));
        }
        followers.assert_undisturbed();
        assert!(server.loss.is_none() || outcome == Outcome::NewEpoch, "{:?} {outcome:?}", server.loss);
        server.kill().await;
        outcome
    }
}

/// Checks that no event after a sequence is missing without a gap.
fn audit(follower: &Follower, after: u64) -> Outcome {
    let (name, ledger) = (follower.name(), follower.ledger());
    let (mut outcome, mut last, mut excused) = (Outcome::Intact, after, 0);
    for item in &ledger.items {
        match item {
            Item::Event { sequence, number } => {
                assert!(*number > LAST || number == sequence, "{name}: {item:?}");
                assert!(follower.topics.contains(&topic_of(*number)), "{name}: {item:?}");
                let missing = (last + 1..(*sequence).min(LAST + 1))
                    .filter(|&number| number > excused && follower.topics.contains(&topic_of(number)));
                let missing: Vec<_> = missing.collect();
                assert!(missing.is_empty(), "{name}: {missing:?} before {item:?}, after {last}");
                assert!(*sequence > last || outcome == Outcome::NewEpoch, "{name}: {item:?} after {last}");
                last = *sequence;
            }
            Item::Gap { reason, .. } if reason == "epoch" => {
                assert!(outcome < Outcome::NewEpoch, "{name}: a second gap");
                // The client begins again, and parts of the history may be lost.
                (outcome, last, excused) = (Outcome::NewEpoch, 0, u64::MAX);
            }
            Item::Gap { sequence, reason, .. } => {
                assert_eq!(reason, "evicted", "{name}");
                outcome = outcome.max(Outcome::GapOfSome);
                excused = excused.max(*sequence);
            }
            Item::Other(other) => panic!("{name}: {other:?}"),
        }
    }
    let missing = (last + 1..=LAST).find(|&number| number > excused && follower.topics.contains(&topic_of(number)));
    assert_eq!(missing, None, "{name}: {:?}", ledger.items);
    outcome
}

/// Prints the number of cases of each outcome.
fn report(outcomes: impl IntoIterator<Item = Outcome>) {
    let mut counts = BTreeMap::<_, usize>::new();
    outcomes.into_iter().for_each(|outcome| *counts.entry(outcome).or_default() += 1);
    println!("{counts:?}");
    assert!(counts.len() > 1, "some of the damage is found");
}

fn name(path: &Path, directory: &Path) -> PathBuf {
    path.strip_prefix(directory).unwrap().to_owned()
}

#[test]
fn files_truncated() {
    row("files_truncated", async |mut rng| {
        let original = Original::write().await;
        assert_eq!(original.outcome(|_| {}).await, Outcome::Intact);
        let mut outcomes = Vec::new();
        for path in files(&original.directory.0) {
            let name = name(&path, &original.directory.0);
            let written = written_part(&fs::read(&path).unwrap());
            for _ in 0..rounds(1, 10) {
                let length = rng.usize(..=written);
                println!("{} with {written} bytes to {length}", name.display());
                let truncate = |directory: &Path| {
                    let file = fs::File::options().write(true).open(directory.join(&name)).unwrap();
                    file.set_len(length as u64).unwrap();
                };
                outcomes.push(original.outcome(truncate).await);
                println!("{:?}", outcomes.last());
            }
        }
        report(outcomes);
    });
}

#[test]
fn byte_flipped() {
    row("byte_flipped", async |mut rng| {
        let original = Original::write().await;
        let mut outcomes = Vec::new();
        for round in 0..rounds(10, 100) {
            let (path, at) = place(&original.directory.0, round % 2 == 0, &mut rng);
            let name = name(&path, &original.directory.0);
            println!("byte {at} of {}", name.display());
            let bit = 1 << rng.u8(..8);
            let flip = |directory: &Path| {
                let path = directory.join(&name);
                let mut bytes = fs::read(&path).unwrap();
                bytes[at] ^= bit;
                fs::write(path, bytes).unwrap();
            };
            outcomes.push(original.outcome(flip).await);
            println!("{:?}", outcomes.last());
        }
        report(outcomes);
    });
}

/// Returns a random place of all bytes, or of a random file.
fn place(directory: &Path, is_of_all: bool, rng: &mut Rng) -> (PathBuf, usize) {
    let sized = |path: PathBuf| (written_part(&fs::read(&path).unwrap()), path);
    let files: Vec<_> = files(directory).into_iter().map(sized).filter(|(size, _)| *size > 0).collect();
    if !is_of_all {
        let (size, path) = &files[rng.usize(..files.len())];
        return (path.clone(), rng.usize(..*size));
    }
    let mut at = rng.usize(..files.iter().map(|(size, _)| size).sum::<usize>());
    for (size, path) in files {
        if at < size {
            return (path, at);
        }
        at -= size;
    }
    panic!("a place beyond all files");
}
