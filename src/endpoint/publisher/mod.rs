//! The application's side of an endpoint: its publisher, as a trait, a closure or a list of public topics.

mod from_fn;
mod no_publisher;
#[expect(clippy::module_inception, reason = "the trait gives the folder its name")]
mod publisher;

pub use publisher::Publisher;
