//! Traits that connect the hub, the adapters and the endpoint (subscribers, formats, hubs), with the types in their signatures.

mod batch;
mod encoder;
mod event_filter;
mod format;
mod hub;
mod info;
mod message;
mod rejection;
mod run_error;
mod subscribe;
mod subscribe_options;
mod subscriber;
mod transport;

pub use batch::{Batch, EventRef};
pub(crate) use batch::{Entry, EntryBlock};
pub(crate) use encoder::Encoder;
pub(crate) use event_filter::EventFilter;
pub(crate) use format::place;
pub use format::{Format, Slot};
pub use hub::{Hub, PublishError, Receipt};
pub use info::{EndState, SubscriberInfo};
#[allow(unused_imports, reason = "used by the endpoint")]
pub(crate) use info::{Head, InfoSource};
pub use message::Message;
pub use rejection::Rejection;
pub use run_error::RunError;
pub use subscribe::{Start, Subscribe, SubscribeError};
pub(crate) use subscribe_options::SubscribeOptions;
pub use subscriber::{BoxSubscriber, Delivery, EncodedBatch, EncodedDelivery, Subscriber, SubscriptionEnd};
pub use transport::Transport;
