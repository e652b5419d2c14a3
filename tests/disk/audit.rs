//! Checks of clients: each got every event, once and in order.

use std::collections::BTreeMap;

use crate::follower::{Followers, Item};
use crate::load::{Load, topic_of};
use crate::process::{Server, connection};

/// Publishes an event to each topic, and waits until each client has it.
pub(crate) async fn finish(load: &Load, server: &Server, followers: &Followers) {
    let first = load.outcomes().sent + 1;
    load.publish(&mut connection(server.address).await.unwrap(), 3).await.unwrap();
    for follower in &followers.all {
        let number = (first..first + 3).rev().find(|&number| follower.topics.contains(&topic_of(number))).unwrap();
        follower.until("has the last event", |ledger| ledger.ends_with(number)).await;
    }
}

/// Checks that each client has every acknowledged event of its topics, without a gap, once, and in the order of sequences; and
/// that an event that was not acknowledged is at each client or at none. Returns the number of those that are.
pub(crate) fn check(load: &Load, followers: &Followers) -> usize {
    followers.assert_undisturbed();
    let outcomes = load.outcomes();
    let mut all = BTreeMap::new();
    for follower in &followers.all {
        let (name, ledger, mut last) = (follower.name(), follower.ledger(), 0);
        for item in &ledger.items {
            let Item::Event { sequence, number } = *item else { panic!("{name}: {item:?} after {last}") };
            assert!(sequence > last, "{name}: {sequence} after {last}");
            assert!(number <= outcomes.sent, "{name}: {number} was not published");
            assert!(follower.topics.contains(&topic_of(number)), "{name}: {number}");
            let known = *all.entry(number).or_insert(sequence);
            assert_eq!(known, sequence, "{name}: {number} has two sequences");
            last = sequence;
        }
    }
    for (number, sequence) in &outcomes.acknowledged {
        let delivered = all.get(number);
        assert!(delivered.is_some(), "{number} was acknowledged and no client has it");
        assert!(sequence.is_none() || sequence.as_ref() == delivered, "{number}: {sequence:?} {delivered:?}");
    }
    for number in outcomes.refused.keys() {
        assert!(!all.contains_key(number), "{number} was refused, and a client has it");
    }
    for follower in &followers.all {
        let expected = all.iter().filter(|(number, _)| follower.topics.contains(&topic_of(**number)));
        let mut expected: Vec<_> = expected.map(|(number, sequence)| (*sequence, *number)).collect();
        expected.sort_unstable();
        let ledger = follower.ledger();
        let mut got = ledger.numbers();
        // Both are in the order of sequences, so the first difference is an event that is missing, or one too many.
        for (place, (_, number)) in expected.iter().enumerate() {
            assert_eq!(got.next(), Some(*number), "{}: event {place} of {}", follower.name(), expected.len());
        }
        assert_eq!(got.next(), None, "{}: more than {} events", follower.name(), expected.len());
    }
    all.len() - outcomes.acknowledged.len()
}
