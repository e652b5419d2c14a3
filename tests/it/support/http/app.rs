use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings::subscriber::{BoxSubscriber, SubscriberExt};
use tidings::{
    Accepted, Endpoint, EndpointBuilder, Event, LocalHub, Message, Overflow, Pattern, Publisher, Rejection, Retention,
    Session, SessionEnd, Start, Subscribe, SubscribeRequest, Topic, Transport,
};

use super::observed::Observed;
use super::session_log::SessionLog;
use crate::support::http::SessionEvent;

/// An application with a hub, whose publisher the request controls. It records its calls.
///
/// The path of a request decides its answer: `/busy`, `/never`, `/forbidden`, `/gone`, `/unauthorized`, `/absent` and
/// `/broken` are rejected, `/panic` panics, `/wait` never answers, and others are accepted. A message is answered by the
/// path too, or by `?say=`; with `?closing` its rejection closes a WebSocket. A message `panic` panics, and a message `no`
/// is rejected and closes.
///
/// The parameters of the query: `topic` names topics, `news` without any; `pattern` adds a pattern; `key` is the limit key,
/// see [`App::with_limit_key`]; `lifetime` is that of the authorization in milliseconds; `user` is the session's data;
/// `oldest` starts at the oldest events instead of now; `overflow=disconnect` ends slow subscriptions, `overflow=latest`
/// conflates; `throttle` is the least time between two deliveries in milliseconds; `panic` lets the subscriber panic at an
/// event that contains `panic`.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) hub: LocalHub,
    calls: Arc<Calls>,
    pub(super) sessions: Arc<SessionLog>,
    limit_key: Option<&'static str>,
}

#[derive(Default)]
struct Calls {
    subscribes: AtomicUsize,
    last: Mutex<Option<(Transport, Start, Vec<String>)>>,
    messages: Mutex<Vec<(Option<u64>, Message)>>,
}

impl App {
    /// Returns an application without a limit key for requests without `?key=`.
    pub(crate) fn new() -> Self {
        Self::with_hub(LocalHub::new())
    }

    /// Returns an application with one limit key for all requests without `?key=`, except those with `?anonymous`.
    pub(crate) fn with_limit_key() -> Self {
        Self { limit_key: Some("shared"), ..Self::new() }
    }

    /// Returns an application with a limit key and a history of two events.
    pub(crate) fn with_short_history() -> Self {
        let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
        Self { hub, ..Self::with_limit_key() }
    }

    pub(crate) fn with_hub(hub: LocalHub) -> Self {
        Self { hub, calls: Arc::default(), sessions: Arc::default(), limit_key: None }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.builder().build()
    }

    pub(crate) fn builder(&self) -> EndpointBuilder {
        Endpoint::builder(self.clone())
    }

    /// Publishes an event to `news`. Returns its cursor.
    pub(crate) fn publish(&self, text: &str) -> String {
        self.hub.publish_now("news", text).unwrap().cursor().unwrap().to_string()
    }

    /// Returns the number of calls of `subscribe`.
    pub(crate) fn subscribes(&self) -> usize {
        self.calls.subscribes.load(Ordering::Relaxed)
    }

    /// Returns the transport, start and topics of the last call of `subscribe`.
    pub(crate) fn last_subscribe(&self) -> (Transport, Start, Vec<String>) {
        self.calls.last.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.session_messages().into_iter().map(|(_, message)| message).collect()
    }

    /// Returns the messages, each with the id of its session.
    pub(crate) fn session_messages(&self) -> Vec<(Option<u64>, Message)> {
        self.calls.messages.lock().unwrap().clone()
    }

    /// Lets `joined` and `left` panic from now on, after they are recorded.
    pub(crate) fn panic_in_hooks(&self) {
        self.sessions.panic_in_hooks();
    }

    /// Calls a function at the end of each `joined`.
    pub(crate) fn on_joined(&self, run: impl Fn(&Session) + Send + Sync + 'static) {
        self.sessions.on_joined(run);
    }

    /// Calls a function whenever a subscriber has events, before it returns them.
    pub(crate) fn on_delivery(&self, run: impl Fn() + Send + Sync + 'static) {
        self.sessions.on_delivery(run);
    }

    /// Returns the calls of `joined` and `left`.
    pub(crate) fn session_events(&self) -> Vec<SessionEvent> {
        self.sessions.events()
    }

    /// Returns the sessions that left, with the reasons.
    pub(crate) fn left(&self) -> Vec<(u64, SessionEnd)> {
        let left = |event| match event {
            SessionEvent::Left(id, why) => Some((id, why)),
            SessionEvent::Joined(_) => None,
        };
        self.session_events().into_iter().filter_map(left).collect()
    }

    /// Returns the reason for which the only session left.
    pub(crate) fn end_reason(&self) -> SessionEnd {
        match self.session_events()[..] {
            [SessionEvent::Joined(id), SessionEvent::Left(other, why)] if id == other => why,
            ref events => panic!("{events:?}"),
        }
    }

    /// Returns the number of deliveries at each call of `joined` and `left`, and now.
    pub(crate) fn deliveries(&self) -> (Vec<usize>, usize) {
        self.sessions.deliveries()
    }

    async fn answer(&self, path: &str) -> Result<(), Rejection> {
        match path {
            "/busy" => Err(Rejection::Busy { retry_after: Duration::from_millis(2500) }),
            "/never" => Err(Rejection::Busy { retry_after: Duration::MAX }),
            "/forbidden" => Err(Rejection::Forbidden),
            "/gone" => Err(Rejection::Gone),
            "/unauthorized" => Err(Rejection::Unauthorized),
            "/absent" => Err(Rejection::NotFound),
            "/broken" => Err(Rejection::internal("the database's password is hunter2")),
            "/panic" => panic!("on request"),
            "/wait" => pending().await,
            _ => Ok(()),
        }
    }
}

impl Publisher for App {
    type Subscriber = BoxSubscriber;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        let shared = self.limit_key.filter(|_| request.query("anonymous").is_none());
        request.query("key").map(|key| key.into_owned()).or_else(|| shared.map(str::to_owned))
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        assert!(request.session().is_none());
        self.calls.subscribes.fetch_add(1, Ordering::Relaxed);
        let topics = request.topics().iter().map(ToString::to_string).collect();
        *self.calls.last.lock().unwrap() = Some((request.transport(), request.start(), topics));
        self.answer(request.path()).await?;
        let subscriber =
            Observed::new(self.hub.subscribe(subscribe(&request))?, self, request.query("panic").is_some());
        let mut accepted = Accepted::new(subscriber.boxed());
        if let Some(lifetime) = request.query("lifetime") {
            accepted = accepted.with_lifetime(Duration::from_millis(lifetime.parse().unwrap()));
        }
        if let Some(throttle) = request.query("throttle") {
            accepted = accepted.with_throttle(Duration::from_millis(throttle.parse().unwrap()));
        }
        if let Some(user) = request.query("user") {
            accepted = accepted.with_data(user.into_owned());
        }
        Ok(accepted)
    }

    async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let path = request.query("say").map_or_else(|| request.path().to_owned(), |say| format!("/{say}"));
        let answer = self.answer(&path).await;
        match request.query("closing") {
            Some(_) => answer.map_err(Rejection::closing)?,
            None => answer?,
        }
        match &message {
            Message::Text(text) if text == "panic" => panic!("in receive"),
            Message::Text(text) if text == "no" => return Err(Rejection::Forbidden.closing()),
            _ => {}
        }
        let session = request.session().map(|session| session.id().get());
        self.calls.messages.lock().unwrap().push((session, message));
        Ok(None)
    }

    fn joined(&self, session: &Session) {
        self.sessions.joined(session);
    }

    fn left(&self, session: &Session, why: SessionEnd) {
        self.sessions.left(session, why);
    }
}

/// Returns the subscription that a request describes.
fn subscribe(request: &SubscribeRequest) -> Subscribe {
    let mut patterns: Vec<_> = request.topics().iter().cloned().map(Pattern::from).collect();
    patterns.extend(request.query("pattern").map(|pattern| Pattern::new(pattern).unwrap()));
    if patterns.is_empty() {
        patterns.push(Topic::new("news").unwrap().into());
    }
    let subscribe = Subscribe::patterns(patterns).start(match request.start() {
        Start::Now if request.query("oldest").is_some() => Start::Oldest,
        start => start,
    });
    match request.query("overflow").as_deref() {
        Some("disconnect") => subscribe.overflow(Overflow::Disconnect),
        Some("latest") => subscribe.overflow(Overflow::Latest),
        _ => subscribe,
    }
}
