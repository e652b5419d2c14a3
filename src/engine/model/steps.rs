use proptest::prelude::*;

use super::nodes::NODES;
use super::sequences::{From, NAMES, TOPICS};

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Nodes publish events.
    Publish {
        node: usize,
        topics: Vec<usize>,
    },
    /// The log pushes some records to a node, in any order.
    Push {
        node: usize,
        places: Vec<usize>,
        is_doubled: bool,
    },
    /// The log pushes all records to a node, in order.
    PushAll {
        node: usize,
    },
    Disconnect {
        node: usize,
    },
    /// The log does not push a record, and does not notice it.
    Withhold {
        place: usize,
    },
    Epoch {
        lost: usize,
        is_wiped: bool,
    },
    Trim {
        topic: usize,
        events: usize,
    },
    Subscribe {
        node: usize,
        names: usize,
        from: From,
        is_filtered: bool,
    },
    Poll {
        client: usize,
        polls: usize,
    },
    PollEncoded {
        client: usize,
        max: usize,
    },
    /// A client resumes, at any node.
    Cut {
        client: usize,
        node: usize,
    },
    Leave {
        client: usize,
    },
    /// The hub of a node is replaced by a new one, as after the restart of its process.
    Restart {
        node: usize,
    },
    Slow {
        polls: u32,
    },
    Fail {
        fails: bool,
    },
    Drive {
        node: usize,
    },
    /// Names without subscriptions are unfollowed.
    Wait,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let from = prop_oneof![Just(From::Now), Just(From::Oldest), (0..4_usize).prop_map(From::Last)];
    let node = || 0..NODES;
    prop_oneof![
        10 => (node(), prop::collection::vec(0..TOPICS.len(), 1..6))
            .prop_map(|(node, topics)| Step::Publish { node, topics }),
        6 => (node(), prop::collection::vec(any::<usize>(), 0..6), any::<bool>())
            .prop_map(|(node, places, is_doubled)| Step::Push { node, places, is_doubled }),
        6 => node().prop_map(|node| Step::PushAll { node }),
        2 => node().prop_map(|node| Step::Disconnect { node }),
        1 => any::<usize>().prop_map(|place| Step::Withhold { place }),
        1 => (prop_oneof![Just(0_usize), 0..6_usize], prop::bool::weighted(0.2))
            .prop_map(|(lost, is_wiped)| Step::Epoch { lost, is_wiped }),
        2 => (0..TOPICS.len(), 1..6_usize).prop_map(|(topic, events)| Step::Trim { topic, events }),
        4 => (node(), 0..NAMES.len(), from, any::<bool>())
            .prop_map(|(node, names, from, is_filtered)| Step::Subscribe { node, names, from, is_filtered }),
        8 => (any::<usize>(), 1..6_usize).prop_map(|(client, polls)| Step::Poll { client, polls }),
        4 => (any::<usize>(), 0..12_usize).prop_map(|(client, max)| Step::PollEncoded { client, max }),
        5 => (any::<usize>(), node()).prop_map(|(client, node)| Step::Cut { client, node }),
        1 => any::<usize>().prop_map(|client| Step::Leave { client }),
        1 => node().prop_map(|node| Step::Restart { node }),
        2 => (0..3_u32).prop_map(|polls| Step::Slow { polls }),
        1 => prop::bool::weighted(0.3).prop_map(|fails| Step::Fail { fails }),
        8 => node().prop_map(|node| Step::Drive { node }),
        1 => Just(Step::Wait),
    ]
}
