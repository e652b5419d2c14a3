//! A directory that is removed, replaced or opened twice.

use std::fs;
use std::path::Path;

use hyper::StatusCode;

use crate::audit::{check, finish};
use crate::files::{Directory, copy};
use crate::follower::{Followers, Item, TRANSPORTS};
use crate::load::{Load, TOPICS};
use crate::process::{Server, connection};
use crate::row;
use crate::server::Options;

/// Parts of the directory: all of it, the database, and the file with the acknowledged position.
const PARTS: [&str; 3] = ["", "rows", "head"];

#[test]
fn directory_removed() {
    row("directory_removed", async |_| {
        for part in PARTS {
            removed_between_two_opens(part).await;
            removed_while_open(part).await;
        }
    });
}

fn remove(directory: &Path, part: &str) {
    let path = directory.join(part);
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

/// Publishes events that clients of all transports get.
async fn begin(options: &Options) -> (Server, Followers, Load) {
    let server = Server::start(options).await.unwrap();
    let (followers, load) = (Followers::begin(server.address, &[&TOPICS, &["b"]]).await, Load::default());
    load.publish(&mut connection(server.address).await.unwrap(), 300).await.unwrap();
    finish(&load, &server, &followers).await;
    check(&load, &followers);
    (server, followers, load)
}

/// Checks that each client gets a gap of another epoch and then each new event.
async fn begins_again(server: &Server, followers: &Followers) {
    followers.connect(server.address);
    let load = Load::default();
    // None of the numbers of the old history.
    load.outcomes().sent = 1_000;
    load.publish(&mut connection(server.address).await.unwrap(), 90).await.unwrap();
    finish(&load, server, followers).await;
    let outcomes = load.outcomes();
    for follower in &followers.all {
        let (name, ledger) = (follower.name(), follower.ledger());
        assert_eq!(ledger.gaps().collect::<Vec<_>>(), ["epoch"], "{name}");
        let gap = ledger.items.iter().position(|item| matches!(item, Item::Gap { .. })).unwrap();
        let expected = outcomes.acknowledged.iter().map(|(&number, sequence)| (number, sequence.unwrap()));
        let expected: Vec<_> =
            expected.filter(|&(number, _)| follower.topics.contains(&crate::load::topic_of(number))).collect();
        let after = ledger.items[gap + 1..].iter().filter_map(|item| match *item {
            Item::Event { sequence, number } => Some((number, sequence)),
            _ => None,
        });
        // Events that are left of the old history may come first.
        let after: Vec<_> = after.collect();
        assert!(after.ends_with(&expected), "{name}: {after:?}");
    }
}

async fn removed_between_two_opens(part: &str) {
    let directory = Directory::new();
    let options = Options::new(&directory.0);
    let (server, followers, _) = begin(&options).await;
    followers.disconnect();
    server.stop().await;
    remove(&directory.0, part);
    let server = Server::start(&options).await.unwrap();
    begins_again(&server, &followers).await;
}

async fn removed_while_open(part: &str) {
    let directory = Directory::new();
    let options = Options::new(&directory.0);
    let (server, followers, load) = begin(&options).await;
    remove(&directory.0, part);
    for _ in 0..3 {
        let error = server.publish("a", "refused").await.unwrap_err();
        assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE, "{part:?}: {error:?}");
        assert!(error.text.contains("removed"), "{part:?}: {error:?}");
    }
    check(&load, &followers);
    followers.disconnect();
    server.stop().await;
    let server = Server::start(&options).await.unwrap();
    begins_again(&server, &followers).await;
}

#[test]
fn older_copy_restored() {
    row("older_copy_restored", async |_| {
        let (directory, backup) = (Directory::new(), Directory::new());
        let options = Options::new(&directory.0);
        let (server, followers, load) = begin(&options).await;
        let before = server.cursor().await;
        followers.disconnect();
        server.stop().await;
        copy(&directory.0, &backup.0);
        let events = load.outcomes().sent;

        let server = Server::start(&options).await.unwrap();
        followers.connect(server.address);
        load.publish(&mut connection(server.address).await.unwrap(), 300).await.unwrap();
        finish(&load, &server, &followers).await;
        check(&load, &followers);
        followers.disconnect();
        server.stop().await;

        remove(&directory.0, "");
        copy(&backup.0, &directory.0);
        let server = Server::start(&options).await.unwrap();
        let mut earlier = Followers::none();
        earlier.add(&TRANSPORTS, &TOPICS, Some(&before));
        earlier.connect(server.address);
        begins_again(&server, &followers).await;
        // All events of the copy follow the gap of the lost branch.
        for follower in &followers.all {
            let ledger = follower.ledger();
            let gap = ledger.items.iter().position(|item| matches!(item, Item::Gap { .. })).unwrap();
            let copied = ledger.items[gap + 1..]
                .iter()
                .filter(|item| matches!(item, Item::Event { sequence, .. } if *sequence <= events));
            let expected = (1..=events).filter(|&number| follower.topics.contains(&crate::load::topic_of(number)));
            assert_eq!(copied.count(), expected.count(), "{}", follower.name());
        }
        earlier.until("continues", |ledger| ledger.numbers().count() == 93).await;
        earlier.assert_undisturbed();
        for follower in &earlier.all {
            assert_eq!(follower.ledger().gaps().count(), 0, "{}", follower.name());
        }
    });
}

#[test]
fn second_process() {
    row("second_process", async |_| {
        let directory = Directory::new();
        let options = Options::new(&directory.0);
        let (server, followers, load) = begin(&options).await;
        for _ in 0..3 {
            let refused = Server::start(&options).await.err().unwrap();
            assert_eq!(refused.kind, "InUse");
            assert!(refused.error.contains(&format!("process {}:", server.pid())), "{refused:?} {}", server.pid());
        }
        load.publish(&mut connection(server.address).await.unwrap(), 30).await.unwrap();
        finish(&load, &server, &followers).await;
        check(&load, &followers);
        followers.disconnect();
        server.stop().await;
        Server::start(&options).await.unwrap().stop().await;
    });
}
