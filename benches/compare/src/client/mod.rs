//! The load client: one thread that publishes, and counts the deliveries to each of thousands of subscribers.

mod answer;
mod crowd;
mod mark;
mod publisher;
mod subscriber;
mod tally;

pub(crate) use crowd::{Audience, Crowd};
pub(crate) use mark::{MESSAGE, Mark};
pub(crate) use publisher::{Pace, Script, post};
pub(crate) use subscriber::Transport;
pub(crate) use tally::Counts;
