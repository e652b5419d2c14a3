use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidings::subscriber::{BoxSubscriber, SubscriberExt, from_stream};
use tidings::{
    Accepted, Endpoint, EndpointBuilder, Event, Gap, LocalHub, Message, Publisher, Rejection, Session, SessionEnd,
    Snapshot, Start, Subscribe, SubscribeRequest, Topic,
};
use tokio::sync::Semaphore;

use super::scripted::Tagged;
use crate::support::http::{TestClient, settle};

/// An application whose answers depend on the topics that a request names:
///
/// `forbidden` and `busy` are refused, `panic` panics, `never` has no answer, `slow` has it at the fourth poll, `wait` waits for a
/// [release](Self::release), `now` starts at the present whatever the client's cursor, `cursorless` is of a source without
/// cursors, `tagged` of one whose cursors have tags. Other topics are followed. `?key=` is the limit key, `?lifetime=` that of the authorization in milliseconds,
/// `?throttle=` the least time between two deliveries in milliseconds, and
/// `?renew=` decides about its renewal: a number of milliseconds, `no`, `never`, `slow`, `wait` or `panic`.
#[derive(Clone)]
pub(super) struct LiveApp(Arc<Inner>);

struct Inner {
    hub: LocalHub,
    released: Semaphore,
    /// Number of calls that have not returned and were not dropped.
    running: AtomicUsize,
    renewals: AtomicUsize,
    calls: Mutex<Vec<Call>>,
    messages: Mutex<Vec<String>>,
    left: Mutex<Vec<SessionEnd>>,
}

/// A call of `subscribe`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) topics: Vec<String>,
    pub(super) start: Start,
    /// Id of the session that changes its topics.
    pub(super) session: Option<u64>,
}

/// Counts a call as running until it is dropped.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LiveApp {
    pub(super) fn new() -> Self {
        Self::with_hub(LocalHub::new())
    }

    pub(super) fn with_hub(hub: LocalHub) -> Self {
        Self(Arc::new(Inner {
            hub,
            released: Semaphore::new(0),
            running: AtomicUsize::default(),
            renewals: AtomicUsize::default(),
            calls: Mutex::default(),
            messages: Mutex::default(),
            left: Mutex::default(),
        }))
    }

    pub(super) fn builder(&self) -> EndpointBuilder {
        // The clients answer no ping.
        Endpoint::builder(self.clone()).ping(Duration::MAX, Duration::from_secs(10))
    }

    pub(super) fn hub(&self) -> &LocalHub {
        &self.0.hub
    }

    pub(super) fn publish(&self, topic: &str, text: &str) -> String {
        self.0.hub.publish_now(topic, text).unwrap().cursor().unwrap().to_string()
    }

    /// Lets this many calls that wait go on.
    pub(super) async fn release(&self, calls: usize) {
        self.0.released.add_permits(calls);
        settle().await;
    }

    pub(super) fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    pub(super) fn renewals(&self) -> usize {
        self.0.renewals.load(Ordering::Relaxed)
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap().clone()
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.0.messages.lock().unwrap().clone()
    }

    pub(super) fn left(&self) -> Vec<SessionEnd> {
        self.0.left.lock().unwrap().clone()
    }

    /// Is ready at the fourth poll.
    async fn yield_often(&self) {
        let _running = Running::new(&self.0.running);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }

    async fn wait(&self) {
        let _running = Running::new(&self.0.running);
        self.0.released.acquire().await.unwrap().forget();
    }
}

impl Publisher for LiveApp {
    type Subscriber = BoxSubscriber;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        request.query("key").map(|key| key.into_owned())
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        let topics: Vec<_> = request.topics().iter().map(ToString::to_string).collect();
        let session = request.session().map(|session| session.id().get());
        self.0.calls.lock().unwrap().push(Call { topics: topics.clone(), start: request.start(), session });
        for topic in &topics {
            match topic.as_str() {
                "forbidden" => return Err(Rejection::Forbidden),
                "busy" => return Err(Rejection::Busy { retry_after: Duration::from_millis(1_500) }),
                "panic" => panic!("in subscribe"),
                "wait" => self.wait().await,
                "slow" => self.yield_often().await,
                "never" => {
                    let _running = Running::new(&self.0.running);
                    pending::<()>().await;
                }
                "cursorless" => {
                    let stream = futures_util::stream::pending::<Event>();
                    return Ok(Accepted::new(from_stream(Topic::new("cursorless")?, stream).boxed()));
                }
                "tagged" => return Ok(Accepted::new(Tagged.boxed())),
                _ => {}
            }
        }
        let subscribe = match topics.iter().any(|topic| topic == "now") {
            true => Subscribe::topics(request.topics()),
            false => request.subscribe_to(request.topics()),
        };
        let mut accepted = Accepted::new(self.0.hub.subscribe(subscribe)?.boxed());
        if let Some(lifetime) = request.query("lifetime") {
            accepted = accepted.with_lifetime(Duration::from_millis(lifetime.parse().unwrap()));
        }
        if let Some(throttle) = request.query("throttle") {
            accepted = accepted.with_throttle(Duration::from_millis(throttle.parse().unwrap()));
        }
        Ok(accepted.with_data(request.query("renew").unwrap_or_default().into_owned()))
    }

    async fn receive(&self, _: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        self.0.messages.lock().unwrap().push(String::from_utf8_lossy(message.as_bytes()).into_owned());
        Ok(None)
    }

    async fn renew(&self, session: &Session) -> Option<Duration> {
        self.0.renewals.fetch_add(1, Ordering::Relaxed);
        let answer = session.data::<String>().unwrap();
        match answer.as_str() {
            "no" => None,
            "panic" => panic!("in renew"),
            "never" => {
                let _running = Running::new(&self.0.running);
                pending().await
            }
            "slow" => {
                self.yield_often().await;
                Some(Duration::from_secs(100))
            }
            "wait" => {
                self.wait().await;
                Some(Duration::from_secs(1_000))
            }
            millis => millis.parse().ok().map(Duration::from_millis),
        }
    }

    /// Waits if the data is `wait`.
    async fn snapshot(&self, session: &Session, _: &Gap) -> Option<Snapshot> {
        if session.data::<String>()? == "wait" {
            self.wait().await;
        }
        let state = Snapshot::new([(Topic::new("a").ok()?, Event::text("state"))]);
        Some(state.with_cursor(self.0.hub.cursor()))
    }

    fn left(&self, _: &Session, why: SessionEnd) {
        self.0.left.lock().unwrap().push(why);
    }
}

/// Sends the object that changes the topics of a client.
pub(super) async fn change(client: &mut TestClient, topics: &[&str]) {
    let object = json!({ "tidings": "topics", "topics": topics });
    client.send(1, object.to_string().as_bytes()).await;
}

/// Returns the objects of a client after its first, which is `hello`.
pub(super) fn objects(client: &TestClient) -> Vec<Value> {
    let objects = client.objects();
    assert_eq!(objects[0]["tidings"], "hello");
    objects[1..].to_vec()
}

/// Returns the object that confirms a change.
pub(super) fn confirmed(topics: &[&str], cursor: &str) -> Value {
    json!({ "tidings": "topics", "topics": topics, "cursor": cursor })
}

/// Returns the data of the events among objects.
pub(super) fn data(objects: &[Value]) -> Vec<&str> {
    objects.iter().filter_map(|object| object["data"].as_str()).collect()
}
