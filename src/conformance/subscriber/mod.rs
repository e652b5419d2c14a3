//! Cases of subscribers.

mod cancel;
mod cases;
mod encoded;
mod follow;
mod probe;
mod skip;
mod source;

pub(super) use cases::run_cases;
pub use source::{SourceUnderTest, subscriber};
