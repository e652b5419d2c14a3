use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::contract::{BoxSubscriber, Subscriber};
use crate::subscriber::Snapshot;

/// A client's subscriber, with what the mount should know about the client.
///
/// Made of a subscriber alone by `into()`, as long as nothing else is to be said.
#[non_exhaustive]
#[must_use]
pub struct Accepted<S> {
    /// What the client reads from.
    pub subscriber: S,
    /// How long its right lasts.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    /// Boxed, for most have none, and an attach is handed on a few times.
    pub(crate) snapshot: Option<Box<Snapshot>>,
}

impl<S: Subscriber> Accepted<S> {
    /// A client that reads from this.
    pub fn new(subscriber: S) -> Self {
        Self { subscriber, lifetime: None, data: None, snapshot: None }
    }

    /// Ends the client's right after this time: not one more event goes out then, as after
    /// [`Endpoint::revoke`](crate::Endpoint::revoke), and it is told to authenticate anew. That of a poll ends with the
    /// poll: the next one is asked for anew.
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Keeps a value of the application's with the session, such as the user. In
    /// [`snapshot`](crate::Publisher::snapshot) each poll of a run has its own; elsewhere the run has that of its first
    /// poll.
    pub fn data<T: Any + Send + Sync>(self, data: T) -> Self {
        Self { data: Some(Arc::new(data)), ..self }
    }

    /// Begins with the application's state. Subscribe first and load the state then, so that nothing is between them:
    /// this takes that an event is in the state before it is published, or both under one lock.
    pub fn with_snapshot(self, snapshot: Snapshot) -> Self {
        Self { snapshot: Some(Box::new(snapshot)), ..self }
    }

    /// The same, where the subscriber's type must not show.
    pub(crate) fn boxed(self) -> Accepted<BoxSubscriber> {
        let Self { subscriber, lifetime, data, snapshot } = self;
        Accepted { subscriber: Box::new(subscriber), lifetime, data, snapshot }
    }
}

impl<S: Subscriber> From<S> for Accepted<S> {
    fn from(subscriber: S) -> Self {
        Self::new(subscriber)
    }
}

/// What a [`publisher_fn`](crate::endpoint::publisher_fn) may return: a subscriber, or an [`Accepted`] of one.
pub trait IntoAccepted {
    /// What the client reads from.
    type Subscriber: Subscriber;

    /// The attach.
    fn into_attach(self) -> Accepted<Self::Subscriber>;
}

impl<S: Subscriber> IntoAccepted for S {
    type Subscriber = S;

    fn into_attach(self) -> Accepted<S> {
        Accepted::new(self)
    }
}

impl<S: Subscriber> IntoAccepted for Accepted<S> {
    type Subscriber = S;

    fn into_attach(self) -> Self {
        self
    }
}

impl<S: fmt::Debug> fmt::Debug for Accepted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("subscriber", &self.subscriber)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
