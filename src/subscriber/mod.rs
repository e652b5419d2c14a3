//! Sources of events: the [`Subscriber`] trait, the batches that it yields, and subscribers that wrap others.

mod ext;
mod following;
mod from_stream;
mod oversize;
#[cfg(feature = "http")]
mod pieces;
mod recover;
mod recovery;
mod snapshot;

pub use ext::{IntoStream, Next, SubscriberExt};
pub use from_stream::{FromStream, from_stream};
#[cfg(feature = "http")]
pub(crate) use pieces::heeding;
pub use recover::Recover;
pub use recovery::Recovery;
#[cfg(feature = "http")]
pub(crate) use recovery::{Recovering, sealed};
pub use snapshot::Snapshot;

pub use crate::contract::{
    Batch, BoxSubscriber, Delivery, EncodedBatch, EncodedDelivery, EventRef, Format, Slot, Subscriber, SubscriberInfo,
    SubscriptionEnd,
};
