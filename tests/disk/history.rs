//! Parts of history that outlive the process, and those that retention removes.

use std::ops::RangeInclusive;

use hyper::StatusCode;

use crate::audit::finish;
use crate::clients::Seen;
use crate::files::Directory;
use crate::follower::{Followers, Item, TRANSPORTS};
use crate::load::{Load, TOPICS, text_of, topic_of};
use crate::process::{Server, connection};
use crate::row;
use crate::server::Options;

#[test]
fn retention_past_the_cursor() {
    row("retention_past_the_cursor", async |_| {
        let directory = Directory::new();
        let options = Options { retain: 50, memory: 5, ..Options::new(&directory.0) };
        let (server, load) = (Server::start(&options).await.unwrap(), Load::default());
        let start = server.cursor().await;
        for _ in 0..10 {
            load.publish(&mut connection(server.address).await.unwrap(), 60).await.unwrap();
        }
        trimmed_to(451, &server, &start).await;
        resumes_after_a_gap(&server, &start, &load).await;
        server.stop().await;
        let server = Server::start(&options).await.unwrap();
        // The check has published one more event of each topic.
        trimmed_to(454, &server, &start).await;
        resumes_after_a_gap(&server, &start, &load).await;
    });
}

/// Waits until the events that exceed the retention are removed. `first` is the number of the first one that is retained.
async fn trimmed_to(first: u64, server: &Server, start: &str) {
    loop {
        let mut client = Followers::none();
        client.add(&TRANSPORTS[2..3], &TOPICS, Some(start));
        client.connect(server.address);
        client.until("gets events", |ledger| ledger.numbers().count() >= 150).await;
        if client.all[0].ledger().numbers().next() == Some(first) {
            return;
        }
    }
}

/// Checks that clients with an old cursor get a gap, and then all that is retained.
async fn resumes_after_a_gap(server: &Server, start: &str, load: &Load) {
    let mut followers = Followers::none();
    followers.add(&TRANSPORTS, &TOPICS, Some(start));
    followers.add(&TRANSPORTS, &["b"], Some(start));
    followers.connect(server.address);
    let retained: Vec<_> = {
        let outcomes = load.outcomes();
        let retained = TOPICS.iter().flat_map(|topic| {
            let numbers = outcomes.acknowledged.keys().rev().filter(move |number| topic_of(**number) == *topic);
            numbers.take(50).copied()
        });
        retained.collect()
    };
    let first = load.outcomes().sent + 1;
    finish(load, server, &followers).await;
    for follower in &followers.all {
        let (name, ledger) = (follower.name(), follower.ledger());
        assert_eq!(ledger.gaps().collect::<Vec<_>>(), ["evicted"], "{name}");
        assert!(matches!(ledger.items[0], Item::Gap { .. }), "{name}: {:?}", ledger.items[0]);
        let mut expected: Vec<_> = retained.iter().copied().chain(first..first + 3).collect();
        expected.retain(|&number| follower.topics.contains(&topic_of(number)));
        expected.sort_unstable();
        assert_eq!(ledger.numbers().collect::<Vec<_>>(), expected, "{name}");
    }
    followers.assert_undisturbed();
}

#[test]
fn ended_topics_survive() {
    row("ended_topics_survive", async |_| {
        let directory = Directory::new();
        let options = Options::new(&directory.0);
        let mut server = Server::start(&options).await.unwrap();
        let start = server.cursor().await;
        publish(&server, 1..=40).await;
        server.finish("b").await;
        publish(&server, 41..=60).await;
        for is_killed in [false, true, false] {
            all_read_the_end(&server, &start).await;
            if is_killed {
                server.kill().await
            } else {
                server.stop().await
            }
            server = Server::start(&options).await.unwrap();
            let error = server.publish("b", "late").await.unwrap_err();
            assert_eq!(error.status, StatusCode::CONFLICT, "{error:?}");
        }
        all_read_the_end(&server, &start).await;
    });
}

/// Publishes events, without those of a topic that has ended.
async fn publish(server: &Server, numbers: RangeInclusive<u64>) {
    for number in numbers.filter(|&number| number <= 40 || topic_of(number) != "b") {
        server.publish(topic_of(number), &text_of(number)).await.unwrap();
    }
}

/// Checks that clients with a cursor get all events, and the end of the topic behind its last event.
async fn all_read_the_end(server: &Server, start: &str) {
    let mut followers = Followers::none();
    followers.add(&TRANSPORTS, &TOPICS, Some(start));
    followers.add(&TRANSPORTS, &["b"], Some(start));
    followers.connect(server.address);
    let numbers = |topics: &[&str], range: RangeInclusive<u64>| -> Vec<_> {
        range.filter(|&number| topics.contains(&topic_of(number))).collect()
    };
    for follower in &followers.all {
        let (before, after) = (
            numbers(&follower.topics, 1..=40),
            match &*follower.topics {
                ["b"] => Vec::new(),
                _ => numbers(&["a", "c"], 41..=60),
            },
        );
        follower.until("reads the end", |ledger| ledger.items.len() > before.len() + after.len()).await;
        let (name, ledger) = (follower.name(), follower.ledger());
        assert_eq!(ledger.numbers().collect::<Vec<_>>(), [before.clone(), after].concat(), "{name}");
        let is_end =
            |item: &Item| matches!(item, Item::Other(Seen::TopicEnd(end)) if end.topic == "b" && end.reason == "done");
        let end = ledger.items.iter().position(is_end).unwrap();
        let last_of_b = Item::Event { sequence: 40, number: 40 };
        assert!(ledger.items[..end].contains(&last_of_b), "{name}: {:?}", ledger.items);
    }
}
