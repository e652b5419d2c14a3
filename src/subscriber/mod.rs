//! Sources of events: the [`Subscriber`](crate::Subscriber) trait, its deliveries, and subscribers that wrap others.
//!
//! | item | use |
//! |---|---|
//! | [`Subscriber`](crate::Subscriber), [`Delivery`], [`Batch`] | reading events in an application, or implementing a source |
//! | [`SubscriberExt`] | a future and a stream of deliveries, boxing, recovery |
//! | [`Recover`] | snapshots of the application's state in place of gaps |
//! | [`from_stream`] | a source from any `Stream` of events |
//! | [`Format`], [`EncodedDelivery`], [`EncodedBatch`] | writing an adapter with its own bytes |
//!
//! # Example
//!
//! ```
//! use tidings::subscriber::{Delivery, SubscriberExt};
//! use tidings::{LocalHub, Start, Subscribe};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = LocalHub::new();
//! for text in ["first", "second"] {
//!     hub.publish("news", text).await?;
//! }
//! let mut subscription = hub.subscribe(Subscribe::topics(["news"]).start(Start::Oldest))?;
//! hub.close();
//! let mut texts = Vec::new();
//! while let Delivery::Events(batch) = subscription.next().await {
//!     texts.extend(batch.iter().filter_map(|published| published.event.as_str().map(str::to_owned)));
//! }
//! assert_eq!(texts, ["first", "second"]);
//! # Ok(())
//! # }
//! ```

mod ext;
mod fetched;
mod following;
mod from_stream;
mod oversize;
#[cfg(feature = "http")]
mod pieces;
mod recover;
mod recovery;
pub(crate) mod snapshot;
mod stage;

pub use ext::{IntoStream, Next, SubscriberExt};
pub(crate) use fetched::Fetched;
pub use from_stream::{FromStream, from_stream};
#[cfg(feature = "http")]
pub(crate) use pieces::heeding;
pub use recover::Recover;
pub use recovery::Recovery;
#[cfg(feature = "http")]
pub(crate) use recovery::{Recovering, sealed};
pub(crate) use snapshot::Snapshot;

pub use crate::contract::{
    Batch, BoxSubscriber, Delivery, EncodedBatch, EncodedDelivery, EndState, EventRef, Format, Slot, SubscriberInfo,
    SubscriptionEnd,
};
