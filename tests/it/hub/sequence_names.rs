//! Names of the topics and patterns of random sequences.

use proptest::prelude::*;

pub(super) const TOPICS: [&str; 6] = ["a", "b", "a/x", "a/y", "a/x/1", "b/x"];
/// Names that a subscription may follow: the topics, and patterns of them.
pub(super) const NAMES: [&str; 13] =
    ["a", "b", "a/x", "a/y", "a/x/1", "b/x", "*", "**", "a/*", "a/**", "a/x/*", "b/**", "none/**"];

/// Returns one name, several topics, or several names.
pub(super) fn any_names() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        prop::sample::select(NAMES.to_vec()).prop_map(|name| vec![name]),
        prop::sample::subsequence(TOPICS.to_vec(), 1..=4).prop_shuffle(),
        prop::sample::subsequence(NAMES.to_vec(), 1..=4).prop_shuffle(),
    ]
}

/// Returns the topics that these names follow.
pub(super) fn followed(names: &[&str]) -> impl Iterator<Item = usize> {
    (0..TOPICS.len()).filter(|&topic| names.iter().any(|name| is_for(name, TOPICS[topic])))
}

/// Returns whether a name is the name of this topic or a pattern that matches it.
fn is_for(name: &str, topic: &str) -> bool {
    let (name, topic): (Vec<_>, Vec<_>) = (name.split('/').collect(), topic.split('/').collect());
    match name.split_last() {
        Some((&"**", prefix)) => topic.len() > prefix.len() && topic.starts_with(prefix),
        Some((&"*", prefix)) => topic.len() == prefix.len() + 1 && topic.starts_with(prefix),
        _ => name == topic,
    }
}

/// Returns the topics among these names that no pattern among them covers: a subscriber gets their ends.
pub(super) fn named<'a>(names: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let is_covered = |topic: &str| names.iter().any(|name| *name != topic && is_for(name, topic));
    (0..TOPICS.len()).filter(move |&topic| names.contains(&TOPICS[topic]) && !is_covered(TOPICS[topic]))
}

/// Returns whether a subscriber of these names finishes when all topics have ended.
pub(super) fn can_finish(names: &[&str]) -> bool {
    !names.iter().any(|name| name.ends_with('*'))
}
