use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidings::{
    Accepted, Endpoint, EndpointBuilder, Event, Gap, Publisher, Rejection, Session, Snapshot, Start, SubscribeRequest,
    Subscription, Topic, Transport,
};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::counters::{Counters, CountingClient};
use crate::clients::{ClientKind, Connection, Http, Seen, SeenData, Traffic, connect};
use crate::support::http::{serve_http1, serve_http2};

/// An application that counts one topic, `a`, and returns a snapshot of the count for each gap.
#[derive(Clone)]
pub(crate) struct CountingApp(Arc<Inner>);

struct Inner {
    counters: Counters,
    snapshot_call: Mutex<SnapshotCall>,
    /// Whether a client without a cursor gets a snapshot first.
    starts_with_snapshot: AtomicBool,
    /// Additional bytes of a snapshot.
    weight: AtomicUsize,
    release: Notify,
    requests: Mutex<Vec<(Transport, Gap)>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

/// Result of a snapshot call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotCall {
    Snapshot,
    None,
    Panic,
    /// Waits until it is [released](CountingApp::release), and returns a snapshot.
    Wait,
}

impl CountingApp {
    pub(crate) fn new(retain: usize) -> Self {
        Self(Arc::new(Inner {
            counters: Counters::new(retain),
            snapshot_call: Mutex::new(SnapshotCall::Snapshot),
            starts_with_snapshot: AtomicBool::new(false),
            weight: AtomicUsize::new(0),
            release: Notify::new(),
            requests: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }))
    }

    /// Sets the result of later snapshot calls.
    pub(crate) fn with_snapshot_call(&self, call: SnapshotCall) -> Self {
        *self.0.snapshot_call.lock().unwrap() = call;
        self.clone()
    }

    /// Makes the application send a snapshot first to each client without a cursor.
    pub(crate) fn starts_with_snapshot(self) -> Self {
        self.0.starts_with_snapshot.store(true, Ordering::Relaxed);
        self
    }

    /// Adds events of this number of bytes to each snapshot.
    pub(crate) fn with_snapshot_bytes(self, bytes: usize) -> Self {
        self.0.weight.store(bytes, Ordering::Relaxed);
        self
    }

    pub(crate) fn builder(&self) -> EndpointBuilder {
        Endpoint::builder(self.clone())
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn count(&self, times: usize) {
        (0..times).for_each(|_| self.0.counters.count("a"));
    }

    /// Returns the count.
    pub(crate) fn known(&self) -> u64 {
        self.0.counters.counts().get("a").copied().unwrap_or_default()
    }

    /// Returns the cursor of the last event.
    pub(crate) fn last(&self) -> String {
        use tidings::Subscriber;

        self.0.counters.hub().subscribe(tidings::Subscribe::topics(["a"])).unwrap().cursor().unwrap().to_string()
    }

    /// Releases the snapshot calls that wait.
    pub(crate) fn release(&self) {
        self.0.release.notify_waiters();
    }

    /// Returns the transport and the gap of each snapshot call.
    pub(crate) fn requests(&self) -> Vec<(Transport, Gap)> {
        self.0.requests.lock().unwrap().clone()
    }

    /// Returns the number of snapshot calls that run, and the largest number that ran at once.
    pub(crate) fn running(&self) -> (usize, usize) {
        (self.0.running.load(Ordering::Relaxed), self.0.most.load(Ordering::Relaxed))
    }

    fn snapshot_now(&self) -> Snapshot {
        let weight = self.0.weight.load(Ordering::Relaxed);
        self.0.counters.with_bytes(weight)
    }
}

/// A snapshot call, until it is dropped.
struct Running<'a>(&'a Inner);

impl<'a> Running<'a> {
    fn begin(inner: &'a Inner) -> Self {
        let running = inner.running.fetch_add(1, Ordering::Relaxed) + 1;
        inner.most.fetch_max(running, Ordering::Relaxed);
        Self(inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Publisher for CountingApp {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let subscription = self.0.counters.hub().subscribe(request.subscribe_to(["a"]))?;
        let accepted = Accepted::new(subscription).with_data("the user");
        match request.start() == Start::Now && self.0.starts_with_snapshot.load(Ordering::Relaxed) {
            true => Ok(accepted.with_snapshot(self.snapshot_now())),
            false => Ok(accepted),
        }
    }

    async fn snapshot(&self, session: &Session, gap: &Gap) -> Option<Snapshot> {
        let _running = Running::begin(&self.0);
        assert_eq!(session.data(), Some(&"the user"));
        self.0.requests.lock().unwrap().push((session.transport(), gap.clone()));
        let call = *self.0.snapshot_call.lock().unwrap();
        match call {
            SnapshotCall::Snapshot => Some(self.snapshot_now()),
            SnapshotCall::None => None,
            SnapshotCall::Panic => panic!("on request"),
            SnapshotCall::Wait => {
                self.0.release.notified().await;
                Some(self.snapshot_now())
            }
        }
    }
}

impl Counters {
    fn with_bytes(&self, weight: usize) -> Snapshot {
        let pad = (0..weight.div_ceil(64 * 1024)).map(|_| Event::text("p".repeat(64 * 1024)));
        self.snapshot_with(pad.map(|pad| (Topic::new("a").unwrap(), pad)))
    }
}

/// A server of an endpoint on HTTP/1.1 and one on HTTP/2.
pub(crate) struct Server {
    addresses: [(Http, SocketAddr); 2],
}

impl Server {
    pub(crate) async fn of(endpoint: &Endpoint) -> Self {
        let one = serve_http1(endpoint).await;
        let two = serve_http2(endpoint).await;
        Self { addresses: [(Http::One, one), (Http::Two, two)] }
    }

    /// Returns a route for each kind of client on each HTTP version.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> {
        self.addresses.into_iter().flat_map(|(http, address)| ClientKind::ALL.map(|kind| Route { kind, http, address }))
    }
}

/// A kind of client and the server that it connects to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) kind: ClientKind,
    pub(crate) http: Http,
    address: SocketAddr,
}

/// A client that counts the events that it gets.
pub(crate) struct Reader {
    route: Route,
    client: Box<dyn crate::clients::Client>,
    pub(crate) counted: CountingClient,
}

impl Route {
    pub(crate) async fn open(self, cursor: Option<&str>) -> Result<Reader, String> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connection = Connection::over(stream, self.http, Traffic::default()).await.unwrap();
        let client = connect(connection, self.kind, &["a"], cursor).await?;
        Ok(Reader { route: self, client, counted: CountingClient::new(false) })
    }
}

impl Reader {
    /// Returns the next item, after it was counted.
    pub(crate) async fn next_item(&mut self) -> Result<Seen, String> {
        let seen = self.client.next_item().await?;
        match &seen {
            Seen::Event(event) => {
                let SeenData::Text(text) = &event.data else { panic!("{event:?}") };
                self.counted.event(event.cursor.as_deref(), "a", text);
            }
            Seen::Gap(gap) => self.counted.gap(&gap.cursor, gap.topic.as_deref(), gap.snapshot),
            Seen::TopicEnd(_) | Seen::End(_) => {}
        }
        Ok(seen)
    }

    /// Reads until the count is reached and no snapshot is incomplete.
    pub(crate) async fn count_to(&mut self, count: u64) {
        while !self.counted.has_base() || self.counted.counts.get("a") != Some(&count) {
            let seen = self.next_item().await.unwrap();
            assert!(!matches!(seen, Seen::End(_)), "{seen:?} by {:?}", self.route);
        }
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.client.cursor()
    }
}
