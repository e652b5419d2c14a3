use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::contract::{BoxSubscriber, Hub, Subscribe, SubscribeError, Subscriber};
use crate::subscriber::Snapshot;

/// Acceptance of a request: the subscriber of its client, and settings of the session.
///
/// `Accepted::from(subscriber)` and `subscriber.into()` make one without settings. In the closure of
/// [`Endpoint::from_fn`](crate::Endpoint::from_fn) it has a [`Subscribe`] in place of the subscriber.
///
/// ```
/// use std::time::Duration;
/// use tidings::{Accepted, Endpoint, LocalHub, Rejection, SubscribeRequest};
///
/// # #[cfg(feature = "full")]
/// fn endpoint(hub: &LocalHub) -> Endpoint {
///     Endpoint::from_fn(hub, async |request| {
///         let user = request.header("x-user").ok_or(Rejection::Unauthorized)?.to_owned();
///         let news = request.subscribe_to(["news"]);
///         Ok(Accepted::new(news).with_data(user).with_lifetime(Duration::from_secs(3_600)))
///     })
/// }
/// ```
#[must_use]
pub struct Accepted<S> {
    pub(crate) subscriber: S,
    /// Time until the authorization expires.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    /// Least time between two deliveries.
    pub(crate) throttle: Option<Duration>,
    /// Boxed because most clients have none and the value is moved several times.
    pub(crate) snapshot: Option<Box<Snapshot>>,
}

impl<S> Accepted<S> {
    /// Returns an acceptance with this subscriber and no settings.
    pub fn new(subscriber: S) -> Self {
        Self { subscriber, lifetime: None, data: None, throttle: None, snapshot: None }
    }

    /// Sets the time after which the authorization expires. Default: it does not expire.
    ///
    /// The session then ends as by [`Endpoint::revoke`](crate::Endpoint::revoke): no further event is sent, and the
    /// client gets a request to authenticate again. The authorization of a poll ends with the poll, because each poll
    /// is authorized anew. [`Publisher::renew`](crate::Publisher::renew) and
    /// [`Endpoint::extend`](crate::Endpoint::extend) renew that of a stream or a WebSocket.
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Sets the least time between two deliveries to this session. Default: 0, which delivers each event at once.
    ///
    /// The first event after a quiet interval is delivered at once. Events that are published within the interval after
    /// it are delivered together when the interval has passed. Under [`Overflow::Latest`](crate::Overflow::Latest)
    /// these are the newest events of their keys, so a page that shows positions or prices gets the present ones, at
    /// most once in an interval.
    ///
    /// A delivery is everything that was published before it, in as many parts as
    /// [`max_batch_bytes`](crate::EndpointBuilder::max_batch_bytes) makes of it, gaps and snapshots included. The
    /// interval begins with the last part. If the [subscriber](crate::Subscriber::info) has no head, a delivery is one
    /// batch.
    ///
    /// | transport | effect |
    /// |---|---|
    /// | SSE, chunked streams, WebSockets | deliveries have at least this distance |
    /// | long poll | a reply with events comes this long after its request, up to a tenth more, but no later than the end of the hold; so each poll of a client has its own interval |
    /// | short poll | answered at once; the time to the next poll (`Tidings-Retry-Ms`) is at least the interval, unless more events are ready |
    ///
    /// The endpoint keeps no event for a waiting session: it does not read its subscriber. Unread events stay in the
    /// topic's history and live buffer. A session whose interval is longer than these last falls behind, and
    /// [`Overflow`](crate::Overflow) applies: give it a gap, the newest events, or an end.
    ///
    /// Nothing but deliveries waits: keep-alives, pings, answers to messages, disconnects, drains and revocations take
    /// place as without it. Events that wait are delivered with the orderly end of a session. The end of the last topic
    /// is delivered at once if no event waits before it, and otherwise together with these events. The interval may be
    /// longer than keep-alives and the write timeout, which apply to the bytes that were sent. At most a year counts.
    ///
    /// A [change of topics](crate::transport::websocket#changing-topics) is made and confirmed at once, and the
    /// interval continues: events of the new topics come with the next delivery. The confirmation waits for that
    /// delivery if the state of an added keyed topic precedes it. If the change has a throttle of its own, that is the
    /// session's from then on, counted from the last delivery, and 0 ends it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings::{Accepted, Endpoint, LocalHub, Overflow, Rejection, SubscribeRequest};
    ///
    /// # #[cfg(feature = "full")]
    /// fn prices(hub: &LocalHub) -> Endpoint {
    ///     Endpoint::from_fn(hub, async |request: SubscribeRequest| {
    ///         let prices = request.subscribe_to(["prices"]).overflow(Overflow::Latest);
    ///         // At most four updates a second, each with the newest price of each share.
    ///         Ok::<_, Rejection>(Accepted::new(prices).with_throttle(Duration::from_millis(250)))
    ///     })
    /// }
    /// ```
    pub fn with_throttle(self, interval: Duration) -> Self {
        Self { throttle: Some(interval), ..self }
    }

    /// Sets a value of the application, such as the user, that the session keeps for
    /// [`Session::data`](crate::Session::data).
    ///
    /// In a poll session, [`snapshot`](crate::Publisher::snapshot) gets the data of the poll that the snapshot is for.
    /// All other methods get the data of the first poll.
    pub fn with_data<T: Any + Send + Sync>(self, data: T) -> Self {
        Self { data: Some(Arc::new(data)), ..self }
    }

    /// Sets a snapshot that is sent before the first event.
    ///
    /// Subscribe first and load the snapshot afterwards, so that no event is missed between the two. The application
    /// must change its state before it publishes the event, or do both under one lock.
    ///
    /// Give a snapshot only to a client whose start is [`Start::Now`](crate::Start::Now): it has no cursor, and does not ask
    /// for history by `?last=` or `?start=`. With a snapshot for each request, every poll gets the whole snapshot, and a
    /// long poll is answered at once.
    ///
    /// ```
    /// use tidings::{
    ///     Accepted, Event, LocalHub, Publisher, Rejection, Snapshot, Start, SubscribeRequest, Subscription, Topic,
    /// };
    ///
    /// struct Scores {
    ///     hub: LocalHub,
    /// }
    ///
    /// impl Scores {
    ///     /// Loads the scores from the database.
    ///     async fn load(&self) -> String {
    ///         "1 : 0".to_owned()
    ///     }
    /// }
    ///
    /// impl Publisher for Scores {
    ///     type Subscriber = Subscription;
    ///
    ///     async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
    ///         let subscription = self.hub.subscribe(request.subscribe_to(["scores"]))?; // first
    ///         if request.start() != Start::Now {
    ///             return Ok(subscription.into()); // the client has a cursor, or asks for history
    ///         }
    ///         let scores = Snapshot::new([(Topic::new("scores")?, Event::from(self.load().await))]);
    ///         Ok(Accepted::new(subscription).with_snapshot(scores))
    ///     }
    /// }
    /// ```
    pub fn with_snapshot(self, snapshot: Snapshot) -> Self {
        Self { snapshot: Some(Box::new(snapshot)), ..self }
    }
}

impl<S: Subscriber> Accepted<S> {
    /// Takes the least time between two deliveries of a new session, if there is one.
    pub(crate) fn take_throttle(&mut self) -> Option<Duration> {
        self.throttle.take().filter(|interval| !interval.is_zero())
    }

    /// Boxes the subscriber.
    pub(crate) fn boxed(self) -> Accepted<BoxSubscriber> {
        let Self { subscriber, lifetime, data, throttle, snapshot } = self;
        Accepted { subscriber: Box::new(subscriber), lifetime, data, throttle, snapshot }
    }
}

impl<S: Subscriber> From<S> for Accepted<S> {
    fn from(subscriber: S) -> Self {
        Self::new(subscriber)
    }
}

/// Subscriber, or an [`Accepted`] with one: the result of a publisher that is a closure, and the argument of
/// [`Endpoint::respond`](crate::Endpoint::respond).
pub trait IntoAccepted: sealed::Sealed {
    /// Type of the subscriber.
    type Subscriber: Subscriber;

    /// Returns the acceptance.
    #[doc(hidden)]
    fn into_accepted(self) -> Accepted<Self::Subscriber>;
}

impl<S: Subscriber> IntoAccepted for S {
    type Subscriber = S;

    fn into_accepted(self) -> Accepted<S> {
        Accepted::new(self)
    }
}

impl<S: Subscriber> IntoAccepted for Accepted<S> {
    type Subscriber = S;

    fn into_accepted(self) -> Self {
        self
    }
}

/// [`Subscribe`] for the hub `H`, or an [`Accepted`] with one: the result of the closure of
/// [`Endpoint::from_fn`](crate::Endpoint::from_fn).
pub trait IntoSubscription<H: Hub>: sealed::Sealed {
    /// Subscribes on the hub.
    #[doc(hidden)]
    fn subscribe_on(self, hub: &H) -> Result<Accepted<H::Subscription>, SubscribeError>;
}

impl<H: Hub> IntoSubscription<H> for Subscribe {
    fn subscribe_on(self, hub: &H) -> Result<Accepted<H::Subscription>, SubscribeError> {
        Accepted::new(self).subscribe_on(hub)
    }
}

impl<H: Hub> IntoSubscription<H> for Accepted<Subscribe> {
    fn subscribe_on(self, hub: &H) -> Result<Accepted<H::Subscription>, SubscribeError> {
        let Self { subscriber, lifetime, data, throttle, snapshot } = self;
        Ok(Accepted { subscriber: hub.subscribe(subscriber)?, lifetime, data, throttle, snapshot })
    }
}

mod sealed {
    use super::{Accepted, Subscribe, Subscriber};

    #[expect(unnameable_types, reason = "seals the traits")]
    pub trait Sealed {}

    impl<S: Subscriber> Sealed for S {}
    impl<S> Sealed for Accepted<S> {}
    impl Sealed for Subscribe {}
}

impl<S: fmt::Debug> fmt::Debug for Accepted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("subscriber", &self.subscriber)
            .field("lifetime", &self.lifetime)
            .field("throttle", &self.throttle)
            .finish_non_exhaustive()
    }
}
