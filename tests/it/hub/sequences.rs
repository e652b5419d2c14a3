//! Random sequences of all operations of a hub, against the naive reference.

use std::time::Duration;

use proptest::prelude::*;
use tidings::subscriber::Slot;
use tidings::{LocalHubBuilder, Retention};

use super::sequence_names::{NAMES, TOPICS};
use super::sequence_world::World;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Publish { topic: usize, len: usize, ttl: Option<u64> },
    PublishAll { topics: Vec<usize> },
    Finish { topic: usize },
    Subscribe { names: Vec<&'static str>, from: From },
    Poll { index: usize },
    PollEncoded { index: usize, max: usize, slot: Option<Slot> },
    Drain { index: usize },
    Resume { index: usize, names: Option<Vec<&'static str>> },
    Skip { index: usize, to: u64 },
    Release { index: usize },
    Drop { index: usize },
    Advance { millis: u64 },
    Sweep,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Now,
    Oldest,
    Last(usize),
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(NAMES.to_vec(), 1..=4).prop_shuffle()
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = prop_oneof![4 => Just(None), 1 => (1..40_u64).prop_map(Some)];
    let from = prop_oneof![Just(From::Now), Just(From::Oldest), (0..5_usize).prop_map(From::Last)];
    let slot = prop_oneof![Just(None), Just(Some(Slot::APPLICATION[0])), Just(Some(Slot::APPLICATION[1]))];
    prop_oneof![
        12 => (0..TOPICS.len(), 0..40_usize, ttl).prop_map(|(topic, len, ttl)| Step::Publish { topic, len, ttl }),
        2 => prop::collection::vec(0..TOPICS.len(), 0..90).prop_map(|topics| Step::PublishAll { topics }),
        // Of few topics, so that none of them may have ended.
        2 => (0..TOPICS.len(), 0..40_usize).prop_map(|(topic, len)| Step::PublishAll { topics: vec![topic; len] }),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::Finish { topic }),
        4 => (names(), from).prop_map(|(names, from)| Step::Subscribe { names, from }),
        6 => any::<usize>().prop_map(|index| Step::Poll { index }),
        6 => (any::<usize>(), 0..200_usize, slot).prop_map(|(index, max, slot)| Step::PollEncoded { index, max, slot }),
        3 => any::<usize>().prop_map(|index| Step::Drain { index }),
        3 => (any::<usize>(), prop::option::of(names())).prop_map(|(index, names)| Step::Resume { index, names }),
        2 => any::<(usize, u64)>().prop_map(|(index, to)| Step::Skip { index, to }),
        1 => any::<usize>().prop_map(|index| Step::Release { index }),
        1 => any::<usize>().prop_map(|index| Step::Drop { index }),
        2 => (0..60_u64).prop_map(|millis| Step::Advance { millis }),
        // Longer than the log of a pattern keeps an event, so that its subscriptions read the logs of the topics.
        1 => Just(Step::Advance { millis: 11_000 }),
        1 => Just(Step::Sweep),
    ]
}

fn retention() -> impl Strategy<Value = Retention> {
    let age = prop_oneof![2 => 1..200_u64, 1 => Just(3_600_000)];
    (0..70_usize, 0..600_usize, age)
        .prop_map(|(count, bytes, age)| Retention::count(count).bytes(bytes).age(Duration::from_millis(age)))
}

proptest! {
    #![proptest_config(crate::support::cases(500))]

    /// For any operations in any order, every subscriber gets every event in order and once, or a gap, and the end of each
    /// topic that it names after the topic's last event.
    #[test]
    fn random_operations_deliver_every_event_once_in_order_or_yield_gap(
        retentions in prop::array::uniform3(retention()),
        live_buffer in prop_oneof![2 => Just(0), 1 => 1_000..30_000_usize, 1 => Just(LocalHubBuilder::LIVE_BUFFER)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(retentions, live_buffer, None);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }

    /// With a byte budget that holds a few topics, events are evicted, and ends are not.
    #[test]
    fn random_operations_within_a_tiny_budget_deliver_every_event_once_in_order_or_yield_gap(
        retentions in prop::array::uniform3(retention()),
        budget in 8_000..40_000_usize,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(retentions, 5_000, Some(budget));
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}
