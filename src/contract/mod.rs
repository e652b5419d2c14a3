//! What the floors agree on: who delivers, who encodes, who publishes, and what time it is.

#[cfg(feature = "http")]
mod attach;
mod batch;
mod clock;
mod encoder;
mod following;
mod format;
mod head;
mod hub;
mod mend;
mod mended;
mod message;
#[cfg(feature = "http")]
mod no_publisher;
mod oversize;
#[cfg(feature = "http")]
mod pieces;
#[cfg(feature = "http")]
mod publisher;
#[cfg(feature = "http")]
pub(crate) mod query;
mod rejection;
#[cfg(feature = "http")]
mod request;
#[cfg(feature = "http")]
mod session;
mod snapshot;
mod std_clock;
mod stream;
mod subscribe;
mod subscribe_options;
mod subscriber;
mod transport;

#[cfg(feature = "http")]
pub use attach::{Attach, IntoAttach};
pub use batch::{Batch, Published};
pub(crate) use batch::{Entry, Run};
pub use clock::{Clock, Sleep, Timer};
pub(crate) use encoder::Encoder;
pub(crate) use format::place;
pub use format::{APPLICATION_SLOTS, Format};
pub use head::Head;
pub use hub::{Hub, PublishError, Receipt};
pub use mend::{Mend, Mending};
pub use mended::Mended;
pub use message::Message;
#[cfg(feature = "http")]
pub(crate) use pieces::heeding;
#[cfg(feature = "http")]
pub use publisher::{Publisher, PublisherFn, publisher_fn};
pub use rejection::Rejection;
#[cfg(feature = "http")]
pub use request::SubscribeRequest;
#[cfg(feature = "http")]
pub(crate) use session::Label;
#[cfg(feature = "http")]
pub use session::{Left, Session, SessionId};
pub use snapshot::Snapshot;
pub use std_clock::StdClock;
pub use stream::{FromStream, from_stream};
pub use subscribe::{Start, Subscribe, SubscribeError};
pub use subscribe_options::SubscribeOptions;
pub use subscriber::{BoxSubscriber, Delivery, Encoded, Encoding, End, IntoStream, Next, Subscriber, SubscriberExt};
pub use transport::Transport;
