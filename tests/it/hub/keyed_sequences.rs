//! Random sequences of all operations of a hub with keyed topics, against the naive reference.

use std::time::Duration;

use proptest::prelude::*;
use tidings::{LocalHubBuilder, Overflow, Retention, StateLimits};

use super::keyed_reference::{NAMES, TOPICS};
use super::keyed_world::World;

#[derive(Debug, Clone, Copy)]
pub(super) struct Config {
    pub(super) plain: Retention,
    pub(super) keyed: Retention,
    pub(super) live_buffer: usize,
    pub(super) budget: usize,
    pub(super) overflow: Overflow,
}

/// Event of a topic. Without a payload it removes the key.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) topic: usize,
    pub(super) key: String,
    pub(super) payload: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Begin {
    Now,
    Oldest,
    Last(usize),
    Nowhere,
    OtherEpoch,
    Ahead,
    Unreadable,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Publish(Vec<Change>),
    Subscribe { names: Vec<&'static str>, begin: Begin },
    Poll { index: usize, times: usize },
    PollEncoded { index: usize, max: usize },
    Drain { index: usize },
    Resume { index: usize, moment: Option<usize>, added: Option<usize> },
    Release { index: usize },
    Advance { millis: u64 },
    Sweep,
}

fn change() -> impl Strategy<Value = Change> {
    let topic = prop_oneof![4 => Just(0), 2 => Just(1), 1 => 2..TOPICS.len()];
    let payload = prop_oneof![2 => (0..40_usize).prop_map(|len| Some("x".repeat(len))), 1 => Just(None)];
    (topic, 0..12_u8, payload).prop_map(|(topic, key, payload)| Change { topic, key: format!("key {key}"), payload })
}

/// Many keys, so that the state has several segments.
fn many() -> impl Strategy<Value = Vec<Change>> {
    let change = |key: usize| Change { topic: 0, key: format!("many {key}"), payload: Some("y".to_owned()) };
    (0..400_usize, 1..400_usize).prop_map(move |(start, count)| (start..start + count).map(change).collect())
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => Just(vec!["k/a"]),
        4 => prop::sample::subsequence(TOPICS.to_vec(), 1..=4).prop_shuffle(),
        3 => prop::sample::subsequence(NAMES.to_vec(), 1..=4).prop_shuffle(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let begin = prop_oneof![
        4 => Just(Begin::Now),
        1 => Just(Begin::Oldest),
        1 => (0..3_usize).prop_map(Begin::Last),
        1 => Just(Begin::Nowhere),
        1 => Just(Begin::OtherEpoch),
        1 => Just(Begin::Ahead),
        1 => Just(Begin::Unreadable),
    ];
    let resume = (any::<usize>(), prop::option::of(any::<usize>()), prop::option::weighted(0.2, 0..TOPICS.len()));
    prop_oneof![
        12 => change().prop_map(|change| Step::Publish(vec![change])),
        4 => prop::collection::vec(change(), 0..30).prop_map(Step::Publish),
        1 => many().prop_map(Step::Publish),
        4 => (names(), begin).prop_map(|(names, begin)| Step::Subscribe { names, begin }),
        6 => (any::<usize>(), 1..4_usize).prop_map(|(index, times)| Step::Poll { index, times }),
        6 => (any::<usize>(), 0..200_usize).prop_map(|(index, max)| Step::PollEncoded { index, max }),
        2 => any::<usize>().prop_map(|index| Step::Drain { index }),
        5 => resume.prop_map(|(index, moment, added)| Step::Resume { index, moment, added }),
        2 => any::<usize>().prop_map(|index| Step::Release { index }),
        2 => (0..60_u64).prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Advance { millis: 11_000 }),
        1 => Just(Step::Sweep),
    ]
}

/// Steps of a few clients of patterns that read one event at a time, and fall behind between two of them.
fn step_of_patterns() -> impl Strategy<Value = Step> {
    let names = prop::sample::select(vec![vec!["k/*"], vec!["k/**", "p"], vec!["**"], vec!["k/*", "p"]]);
    let keyed = || change().prop_map(|change| Change { topic: change.topic % 2, ..change });
    prop_oneof![
        6 => keyed().prop_map(|change| Step::Publish(vec![change])),
        2 => prop::collection::vec(keyed(), 20..60).prop_map(Step::Publish),
        1 => names.prop_map(|names| Step::Subscribe { names, begin: Begin::Now }),
        8 => (0..3_usize, 0..20_usize).prop_map(|(index, max)| Step::PollEncoded { index, max }),
        2 => (0..3_usize).prop_map(|index| Step::Drain { index }),
        3 => (0..3_usize, any::<usize>()).prop_map(|(index, moment)| Step::Resume {
            index,
            moment: Some(moment),
            added: None,
        }),
        3 => (0..3_usize).prop_map(|index| Step::Release { index }),
    ]
}

/// Histories of a few events, and limits of a few removals.
fn small_config() -> impl Strategy<Value = Config> {
    (0..12_usize, 0..3_usize).prop_map(|(count, removals)| {
        let keyed = Retention::count(count).state_limits(StateLimits::default().removals(removals));
        Config { keyed, ..Config::default() }
    })
}

fn retention() -> impl Strategy<Value = Retention> {
    let age = prop_oneof![2 => 1..200_u64, 2 => Just(3_600_000)];
    let count = prop_oneof![2 => 0..8_usize, 1 => 0..70_usize];
    (count, 0..1_000_usize, age)
        .prop_map(|(count, bytes, age)| Retention::count(count).bytes(bytes).age(Duration::from_millis(age)))
}

fn limits() -> impl Strategy<Value = StateLimits> {
    let keys = prop_oneof![1 => 3..20_usize, 3 => Just(10_000)];
    let bytes = prop_oneof![1 => 50..400_usize, 3 => Just(1 << 20)];
    let removals = prop_oneof![1 => 0..5_usize, 2 => Just(10_000)];
    let age = prop_oneof![1 => 1..20_000_u64, 2 => Just(864_000_000)];
    (keys, bytes, removals, age).prop_map(|(keys, bytes, removals, age)| {
        let limits = StateLimits::default().keys(keys).bytes(bytes).removals(removals);
        limits.removal_age(Duration::from_millis(age))
    })
}

fn config() -> impl Strategy<Value = Config> {
    let live_buffer = prop_oneof![2 => Just(0), 1 => 1_000..30_000_usize, 1 => Just(LocalHubBuilder::LIVE_BUFFER)];
    let overflow = prop_oneof![3 => Just(Overflow::Gap), 1 => Just(Overflow::Latest), 1 => Just(Overflow::Disconnect)];
    let budget = prop_oneof![3 => Just(1 << 26), 1 => 20_000..400_000_usize];
    (retention(), retention(), limits(), live_buffer, budget, overflow).prop_map(
        |(plain, keyed, limits, live_buffer, budget, overflow)| Config {
            plain,
            keyed: keyed.state_limits(limits),
            live_buffer,
            budget,
            overflow,
        },
    )
}

proptest! {
    #![proptest_config(crate::support::cases(1_000))]

    /// For any operations in any order, a client that applies everything it receives has the state of each keyed topic once
    /// it has read everything, and no event of another topic is lost without a gap.
    #[test]
    fn random_operations_give_every_client_the_state_of_each_keyed_topic(
        config in config(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(config);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }

    #[test]
    fn random_operations_of_patterns_give_every_client_the_states_behind_small_histories(
        config in small_config(),
        steps in prop::collection::vec(step_of_patterns(), 1..120),
    ) {
        let mut world = World::new(config);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}
