use std::future::{Future, ready};

use crate::contract::{Message, Rejection, Subscriber};
use crate::endpoint::publisher::{Accepted, IntoAccepted};
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::session::{Session, SessionEnd};
use crate::model::{Event, Gap};
use crate::subscriber::Snapshot;

/// The application's side of an [`Endpoint`](crate::Endpoint): authorises subscriptions, takes messages, gives snapshots.
///
/// A closure that returns a subscriber is a publisher, too. [`Endpoint::public`](crate::Endpoint::public) and
/// [`Endpoint::from_fn`](crate::Endpoint::from_fn) need none.
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
    /// The type of the subscribers that [`subscribe`](Self::subscribe) returns.
    type Subscriber: Subscriber;

    /// Returns the key that the client's limits are counted under: its user, its address. Called first, for every
    /// request. Default: `None`, which counts against no key's limit.
    ///
    /// A session's name (`?session=`) joins polls and POSTs to a session under the same key only, and joins nothing
    /// without a key. Clients that share a key, as users behind one address do, can name each other's sessions: then
    /// [`snapshot`](Self::snapshot) still gets the [data](Session::data) of the poll that it is for, and
    /// [`receive`](Self::receive) of a POST gets none. Return a key for each user where that is not enough.
    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        let _ = request;
        None
    }

    /// Authorises the client and chooses its topics and start. Called for each request that subscribes, polls included,
    /// before the client's cursor is used. A [rejection](Rejection) refuses the request; the `?` operator makes one of any
    /// error.
    fn subscribe(
        &self,
        request: SubscribeRequest,
    ) -> impl Future<Output = Result<Accepted<Self::Subscriber>, Rejection>> + Send;

    /// Takes a message from the client: a WebSocket message, or a POST. Unless implemented, WebSocket messages are ignored
    /// and counted ([`EndpointStats::ignored_messages`](crate::stats::EndpointStats::ignored_messages)), since client libraries
    /// send heartbeats of their own, and a POST is answered with 405.
    ///
    /// `Ok(Some(event))` answers the sender alone. The answer has no cursor and is not repeated after a reconnect.
    ///
    /// | the message came by | the answer is |
    /// |---|---|
    /// | POST | 200 with the event object, without `id` and `topic`: `{"event":"name","data":…}`; 204 for `None` |
    /// | WebSocket, `tidings.v1` | a text frame with the same object |
    /// | WebSocket, raw frames | a frame with the payload |
    ///
    /// Messages of one WebSocket are handled one after another, and answered in that order. There is no order between an
    /// answer and the events of the subscription, those that this call publishes included. The next message is not handled
    /// before the last answer was written to the connection, so a client that sends and does not read stops itself, and is
    /// ended by the [write timeout](crate::EndpointBuilder::write_timeout). An answer is dropped if its session ends first.
    ///
    /// An `Err` does not close a WebSocket, unless it is [closing](Rejection::is_closing): see [`Rejection`]. A panic closes
    /// it with 1011.
    ///
    /// A POST is not authorised by [`subscribe`](Self::subscribe): authenticate it by its own headers, whatever session it
    /// names.
    ///
    /// At most [`max_concurrent_calls`](crate::EndpointBuilder::max_concurrent_calls) are under way. Above that a POST is refused with 503,
    /// and a WebSocket's message waits, while its connection is not read.
    fn receive(
        &self,
        request: &SubscribeRequest,
        message: Message,
    ) -> impl Future<Output = Result<Option<Event>, Rejection>> + Send {
        let _ = (request, message);
        ready(Err(Rejection::Unsupported))
    }

    /// State for a client that arrived with a gap, or ran into one, except for a
    /// [`TooLarge`](crate::GapReason::TooLarge) one. Default: `None`, after which the client gets the gap alone, and
    /// over raw WebSocket, which can't tell it, the connection is closed with 1013.
    ///
    /// The gap may be of one topic; the state is that of all that the session follows. It must have what is missing: an
    /// event is in the state before it is published, or both are done under one lock. The client waits meanwhile, a
    /// short poll too. A call is one of the endpoint's [attaches](crate::EndpointBuilder::max_concurrent_calls): where there
    /// are too many, or after 10 s, it is as if it had said `None`. The future is dropped where its client goes. A panic
    /// ends the session.
    fn snapshot(&self, session: &Session, gap: &Gap) -> impl Future<Output = Option<Snapshot>> + Send {
        let _ = (session, gap);
        ready(None)
    }

    /// A session began: called once for each, before its first event goes out.
    ///
    /// Called in the task that answers the request, under no lock, so it may use everything of the endpoint. A call
    /// that is slow delays one client. A panic affects nothing else. A short poll without a name is no session.
    fn joined(&self, session: &Session) {
        let _ = session;
    }

    /// A session ended: called once for each that [`joined`](Self::joined) was called for, after its last event, when
    /// it is no longer among [`Endpoint::sessions`](crate::Endpoint::sessions); that of a poll when its answer is ready.
    ///
    /// Called under no lock, by the code that ended the session: its task, the endpoint's driver, or a call of
    /// [`disconnect`](crate::Endpoint::disconnect). A panic affects nothing else. A [drain](crate::Endpoint::drain)
    /// waits for it.
    fn left(&self, session: &Session, why: SessionEnd) {
        let _ = (session, why);
    }
}

/// A closure or function that decides the subscription of each request.
///
/// It takes the request by value (clones share it), so that its future may own it. A closure needs the type of its parameter
/// written out; one that returns a [`Subscribe`](crate::Subscribe) for a hub does not, see
/// [`Endpoint::from_fn`](crate::Endpoint::from_fn).
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
