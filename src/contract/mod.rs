//! Traits between the floors, and the values in their signatures: subscribers, formats, hubs.

mod batch;
mod encoder;
mod format;
mod head;
mod hub;
mod message;
mod rejection;
mod subscribe;
mod subscribe_options;
mod subscriber;
mod transport;

pub use batch::{Batch, EventRef};
pub(crate) use batch::{Entry, Run};
pub(crate) use encoder::Encoder;
pub(crate) use format::place;
pub use format::{APPLICATION_SLOTS, Format};
pub use head::Head;
pub use hub::{Hub, PublishError, Receipt};
pub use message::Message;
pub use rejection::Rejection;
pub use subscribe::{Start, Subscribe, SubscribeError};
pub use subscribe_options::SubscribeOptions;
pub use subscriber::{BoxSubscriber, Delivery, EncodedBatch, EncodedDelivery, Subscriber, SubscriptionEnd};
pub use transport::Transport;
