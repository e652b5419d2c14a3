//! Sources of events: the [`Subscriber`] trait, the batches that it yields, and subscribers that wrap others.

mod ext;
mod following;
mod from_stream;
mod mend;
mod oversize;
#[cfg(feature = "http")]
mod pieces;
mod recover;
mod snapshot;

pub use ext::{IntoStream, Next, SubscriberExt};
pub use from_stream::{FromStream, from_stream};
pub use mend::{Mend, Mending};
#[cfg(feature = "http")]
pub(crate) use pieces::heeding;
pub use recover::Recover;
pub use snapshot::Snapshot;

pub use crate::contract::{
    APPLICATION_SLOTS, Batch, BoxSubscriber, Delivery, EncodedBatch, EncodedDelivery, EventRef, Format, Head,
    Subscriber, SubscriptionEnd,
};
