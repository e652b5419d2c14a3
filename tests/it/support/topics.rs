use std::fmt::Display;

use tidings::{LocalHub, Topic};

/// Returns the topic with this name.
pub(crate) fn topic(name: impl Display) -> Topic {
    Topic::new(name.to_string()).unwrap()
}

/// Returns the topic `topic/{name}`, which the pattern `topic/*` matches.
pub(crate) fn subtopic(name: impl Display) -> Topic {
    topic(format_args!("topic/{name}"))
}

/// Publishes a text to a topic. Returns the number of subscriptions that follow the topic.
pub(crate) fn publish_text(hub: &LocalHub, name: &str, text: &(impl ToString + ?Sized)) -> usize {
    hub.publish_now(topic(name), text.to_string()).unwrap().subscribers()
}
