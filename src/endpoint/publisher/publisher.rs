use std::future::{Future, ready};
use std::time::Duration;

use crate::contract::{Message, Rejection, Subscriber};
use crate::endpoint::accepted::{Accepted, IntoAccepted};
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::session::{Session, SessionEnd};
use crate::model::{Event, Gap};
use crate::subscriber::Snapshot;

/// Interface between an [`Endpoint`](crate::Endpoint) and the application, which authorizes subscriptions, receives
/// messages and loads snapshots.
///
/// Only [`subscribe`](Self::subscribe) is required. A closure that returns a subscriber is a publisher, too.
/// [`Endpoint::public`](crate::Endpoint::public) and [`Endpoint::from_fn`](crate::Endpoint::from_fn) need no publisher.
///
/// ```
/// use tidings::{Accepted, Endpoint, LocalHub, Publisher, Rejection, SubscribeRequest, Subscription, Topic};
///
/// struct Inbox {
///     hub: LocalHub,
/// }
///
/// impl Publisher for Inbox {
///     type Subscriber = Subscription;
///
///     async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
///         let user = request.header("x-user").ok_or(Rejection::Unauthorized)?; // set by a proxy that authenticates
///         let inbox = Topic::from_segments(["users", user, "inbox"])?;
///         Ok(Accepted::new(self.hub.subscribe(request.subscribe_to([inbox]))?))
///     }
/// }
///
/// # #[cfg(feature = "full")]
/// let events = Endpoint::new(Inbox { hub: LocalHub::new() });
/// ```
pub trait Publisher: Send + Sync + 'static {
    /// Type of the subscribers that [`subscribe`](Self::subscribe) returns.
    type Subscriber: Subscriber;

    /// Returns the key that the limits per client count by, such as the user or the address. The endpoint calls it
    /// first, for every request. Default: `None`, to which no limit per key applies.
    ///
    /// A session name (`?session=`) joins polls and POSTs only with sessions of the same key, and has no effect without
    /// a key. Clients that share a key, such as users behind one address, can name each other's sessions. Even then
    /// [`snapshot`](Self::snapshot) gets the [data](Session::data) of the poll that it is for, and
    /// [`receive`](Self::receive) gets no data for a POST. Return a key for each user if that is not enough.
    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        let _ = request;
        None
    }

    /// Authorizes the client and returns its subscriber. The endpoint calls it for each request that subscribes, polls
    /// included, and drops the future if the client leaves or the [timeout](crate::EndpointBuilder::subscribe_timeout)
    /// passes. It also calls it if a WebSocket client [changes its
    /// topics](crate::transport::websocket#changing-topics): the request then has a
    /// [session](SubscribeRequest::session).
    ///
    /// # Errors
    ///
    /// A [`Rejection`] refuses the request with its status. The `?` operator converts any error into a rejection.
    fn subscribe(
        &self,
        request: SubscribeRequest,
    ) -> impl Future<Output = Result<Accepted<Self::Subscriber>, Rejection>> + Send;

    /// Receives a message from the client: a WebSocket message or a POST. Default: a POST gets 405, and WebSocket
    /// messages are ignored and counted
    /// ([`EndpointStats::ignored_messages`](crate::stats::EndpointStats::ignored_messages)), because client libraries
    /// send heartbeats of their own.
    ///
    /// `Ok(Some(event))` answers the sender alone. The answer has no cursor and is not repeated after a reconnect.
    ///
    /// | message | answer |
    /// |---|---|
    /// | POST | 200 with the event object, without `id` and `topic`: `{"event":"name","data":…}`; 204 for `None` |
    /// | WebSocket, `tidings.v1` | a text frame with the same object |
    /// | WebSocket, raw frames | a frame with the payload |
    ///
    /// Messages of one WebSocket are handled one after another, and answered in that order. The order between an answer
    /// and the events of the subscription is undefined, even for events that this call publishes. The next message is
    /// handled after the last answer was written to the connection. A client that sends and does not read is therefore
    /// stopped, and the [write timeout](crate::EndpointBuilder::write_timeout) ends it. An answer is dropped if its
    /// session ends first.
    ///
    /// [`subscribe`](Self::subscribe) does not authorize a POST: authenticate it by its own headers, also if it names a
    /// session.
    ///
    /// At most [`max_concurrent_calls`](crate::EndpointBuilder::max_concurrent_calls) of these run at a time. A further
    /// POST gets 503. A further WebSocket message waits, and its connection is not read meanwhile. A call has no timeout.
    ///
    /// ```
    /// use tidings::{Accepted, Event, LocalHub, Message, Publisher, Rejection, SubscribeRequest, Subscription};
    ///
    /// struct Chat {
    ///     hub: LocalHub,
    /// }
    ///
    /// impl Publisher for Chat {
    ///     type Subscriber = Subscription;
    ///
    ///     async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
    ///         Ok(self.hub.subscribe(request.subscribe_to(["chat"]))?.into())
    ///     }
    ///
    ///     async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
    ///         request.header("x-user").ok_or(Rejection::Unauthorized)?; // set by a proxy that authenticates
    ///         let Message::Text(text) = message else { return Err(Rejection::invalid("send text")) };
    ///         self.hub.publish("chat", text).await?;
    ///         Ok(None)
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`Rejection`] refuses a POST with its status. It leaves a WebSocket open, unless it is
    /// [closing](Rejection::is_closing). A panic closes a WebSocket with 1011.
    fn receive(
        &self,
        request: &SubscribeRequest,
        message: Message,
    ) -> impl Future<Output = Result<Option<Event>, Rejection>> + Send {
        let _ = (request, message);
        ready(Err(Rejection::Unsupported))
    }

    /// Returns the application's state for a client that has a gap, or `None` if there is none. Default: `None`. It is
    /// not called for a [`TooLarge`](crate::GapReason::TooLarge) gap.
    ///
    /// The session names the client: by [`data`](Session::data), to which [`subscribe`](Self::subscribe) gave the user with
    /// [`Accepted::with_data`], or by [`topics`](Session::topics).
    ///
    /// After `None` the client gets the gap alone. Raw WebSocket frames cannot carry a gap, so the connection is then
    /// closed with 1013.
    ///
    /// The gap may be of one topic, but the state must be of all topics that the session follows, and must include the
    /// missing events: change the state before you publish the event, or do both under one lock. The client waits for
    /// the state, a short poll included.
    ///
    /// It is not called for a session with [keyed](crate::Retention::latest_per_key) topics, whose states the hub sends. A gap of
    /// another topic of the session is sent alone. Clients follow topics that need snapshots by a session of their own.
    ///
    /// A call counts against [`max_concurrent_calls`](crate::EndpointBuilder::max_concurrent_calls). Above that limit,
    /// and after the [timeout](crate::EndpointBuilder::subscribe_timeout), the client gets the gap alone. The future is
    /// dropped if the client leaves. A panic ends the session.
    ///
    /// ```
    /// use tidings::{
    ///     Accepted, Event, Gap, LocalHub, Publisher, Rejection, Session, Snapshot, SubscribeRequest, Subscription, Topic,
    /// };
    ///
    /// struct Scores {
    ///     hub: LocalHub,
    /// }
    ///
    /// impl Scores {
    ///     /// Loads the scores from the database.
    ///     async fn load(&self) -> Option<String> {
    ///         Some(r#"{"home":1,"guest":0}"#.to_owned())
    ///     }
    /// }
    ///
    /// impl Publisher for Scores {
    ///     type Subscriber = Subscription;
    ///
    ///     async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
    ///         Ok(self.hub.subscribe(request.subscribe_to(["scores"]))?.into())
    ///     }
    ///
    ///     async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
    ///         let scores = Event::json_text(self.load().await?).ok()?;
    ///         Some(Snapshot::new([(Topic::new("scores").ok()?, scores)]))
    ///     }
    /// }
    /// ```
    fn snapshot(&self, session: &Session, gap: &Gap) -> impl Future<Output = Option<Snapshot>> + Send {
        let _ = (session, gap);
        ready(None)
    }

    /// Renews the authorization of a session that is about to expire: returns the time after which it expires, from now
    /// on, or `None`. Default: `None`.
    ///
    /// The endpoint calls it for a stream or a WebSocket whose authorization has a [lifetime](Accepted::with_lifetime),
    /// a tenth of the lifetime before its end, but at most 30 s. It adds a random time of up to half of that, so that
    /// sessions which began together are not renewed together. A renewed authorization is renewed again. An
    /// authorization that outlasts [`max_session_age`](crate::EndpointBuilder::max_session_age) is not, since the
    /// session ends before. Polls are authorized one by one.
    ///
    /// If there is no answer when the authorization expires, the session ends as by
    /// [`revoke`](crate::Endpoint::revoke). Nothing revives it: an answer that comes later has no effect, nor has one
    /// that comes after [`extend`](crate::Endpoint::extend).
    ///
    /// A call counts against [`max_concurrent_calls`](crate::EndpointBuilder::max_concurrent_calls), and waits for a
    /// place. After the [timeout](crate::EndpointBuilder::subscribe_timeout) and after a panic the authorization is not
    /// renewed. The future is polled by the task of the session, and dropped if the session ends. The HTTP stack does
    /// not poll a stream whose client takes nothing, so such a stream may expire without an answer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings::{Accepted, LocalHub, Publisher, Rejection, Session, SubscribeRequest, Subscription};
    ///
    /// struct App {
    ///     hub: LocalHub,
    /// }
    ///
    /// impl App {
    ///     /// Asks the user database.
    ///     async fn is_active(&self, _user: &str) -> bool {
    ///         true
    ///     }
    /// }
    ///
    /// const LIFETIME: Duration = Duration::from_secs(3_600);
    ///
    /// impl Publisher for App {
    ///     type Subscriber = Subscription;
    ///
    ///     async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
    ///         let user = request.header("x-user").ok_or(Rejection::Unauthorized)?; // set by a proxy that authenticates
    ///         let news = self.hub.subscribe(request.subscribe_to(["news"]))?;
    ///         Ok(Accepted::new(news).with_data(user.to_owned()).with_lifetime(LIFETIME))
    ///     }
    ///
    ///     async fn renew(&self, session: &Session) -> Option<Duration> {
    ///         let user = session.data::<String>()?;
    ///         self.is_active(user).await.then_some(LIFETIME)
    ///     }
    /// }
    /// ```
    fn renew(&self, session: &Session) -> impl Future<Output = Option<Duration>> + Send {
        let _ = session;
        ready(None)
    }

    /// Handles the begin of a session. The endpoint calls it once for each session, before the first event is sent.
    /// Default: does nothing.
    ///
    /// It is called in the task that answers the request, under no lock, so it may use every method of the endpoint. A
    /// slow call delays one client. A panic has no other effect. A short poll without a session name is no session.
    ///
    /// ```
    /// # use tidings::{Accepted, LocalHub, Publisher, Rejection, Session, SessionEnd, SubscribeRequest, Subscription};
    /// # struct Chat { hub: LocalHub }
    /// impl Publisher for Chat {
    /// #   type Subscriber = Subscription;
    /// #   async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
    /// #       Ok(self.hub.subscribe(request.subscribe_to(["chat"]))?.into())
    /// #   }
    ///     // …
    ///     fn joined(&self, session: &Session) {
    ///         let _ = self.hub.publish_now("chat/joined", session.id().to_string());
    ///     }
    ///
    ///     fn left(&self, session: &Session, _: SessionEnd) {
    ///         let _ = self.hub.publish_now("chat/left", session.id().to_string());
    ///     }
    /// }
    /// ```
    fn joined(&self, session: &Session) {
        let _ = session;
    }

    /// Handles the end of a session. The endpoint calls it once for each session for which [`joined`](Self::joined) was
    /// called, after the last event, when the session is no longer among
    /// [`Endpoint::sessions`](crate::Endpoint::sessions). The session of a poll ends when its answer is ready. Default:
    /// does nothing.
    ///
    /// It is called under no lock, by the code that ended the session: its task, the endpoint's driver, or a call of
    /// [`disconnect`](crate::Endpoint::disconnect). A panic has no other effect. A [drain](crate::Endpoint::drain)
    /// waits for it.
    fn left(&self, session: &Session, why: SessionEnd) {
        let _ = (session, why);
    }
}

/// Publisher that is a closure or function: it authorizes each request and returns its subscriber.
///
/// It takes the request by value, so that its future can own it; clones of a request share its data. The type of a
/// closure's parameter must be written out. [`Endpoint::from_fn`](crate::Endpoint::from_fn) does not need the type, for
/// a closure that returns a [`Subscribe`](crate::Subscribe).
///
/// ```
/// use futures_core::Stream;
/// use tidings::subscriber::from_stream;
/// use tidings::{Endpoint, Event, SubscribeRequest, Topic};
///
/// fn endpoint<T: Stream<Item = Event> + Send + 'static>(tokens: fn() -> T) -> Endpoint {
///     Endpoint::new(move |_: SubscribeRequest| {
///         let tokens = tokens();
///         async { Ok(from_stream(Topic::new("answer")?, tokens)) }
///     })
/// }
/// ```
impl<F, R, A> Publisher for F
where
    F: Fn(SubscribeRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<A, Rejection>> + Send + 'static,
    A: IntoAccepted,
{
    type Subscriber = A::Subscriber;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<A::Subscriber>, Rejection> {
        self(request).await.map(IntoAccepted::into_accepted)
    }
}
