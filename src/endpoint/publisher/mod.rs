//! The application's side of an endpoint: the publisher and the values that it returns.

mod accepted;
mod from_fn;
mod no_publisher;
#[expect(clippy::module_inception, reason = "the trait gives the folder its name")]
mod publisher;

pub use accepted::{Accepted, IntoAccepted, IntoSubscription};
pub use publisher::Publisher;
