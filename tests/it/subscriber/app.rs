use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidings::{
    Accepted, Endpoint, EndpointBuilder, Event, Gap, Publisher, Rejection, Session, Snapshot, Start, SubscribeRequest,
    Subscription, Topic, Transport,
};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::board::{Board, Client};
use crate::clients::{Connection, Data, Http, Seen, Speaks, Traffic, connect};
use crate::conformance::serve;

/// An application that counts one topic, `a`, and has state for whoever has a gap.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    board: Board,
    hook: Mutex<Hook>,
    /// Whether it begins with state for who comes without a cursor.
    opens: AtomicBool,
    /// Bytes of state beside the counts.
    weight: AtomicUsize,
    release: Notify,
    asked: Mutex<Vec<(Transport, Gap)>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

/// Behaviour when it is asked for state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    State,
    None,
    Panic,
    /// Loads it when it is [released](App::release).
    Wait,
}

impl App {
    pub(crate) fn new(retain: usize) -> Self {
        Self(Arc::new(Inner {
            board: Board::new(retain),
            hook: Mutex::new(Hook::State),
            opens: AtomicBool::new(false),
            weight: AtomicUsize::new(0),
            release: Notify::new(),
            asked: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn does(&self, hook: Hook) -> Self {
        *self.0.hook.lock().unwrap() = hook;
        self.clone()
    }

    pub(crate) fn opens(self) -> Self {
        self.0.opens.store(true, Ordering::Relaxed);
        self
    }

    pub(crate) fn weighs(self, bytes: usize) -> Self {
        self.0.weight.store(bytes, Ordering::Relaxed);
        self
    }

    pub(crate) fn builder(&self) -> EndpointBuilder {
        Endpoint::builder(self.clone())
    }

    pub(crate) fn board(&self) -> &Board {
        &self.0.board
    }

    pub(crate) fn count(&self, times: usize) {
        (0..times).for_each(|_| self.0.board.count("a"));
    }

    pub(crate) fn known(&self) -> u64 {
        self.0.board.counts().get("a").copied().unwrap_or_default()
    }

    /// The cursor of the last event.
    pub(crate) fn last(&self) -> String {
        use tidings::Subscriber;

        self.0.board.hub().subscribe(tidings::Subscribe::topics(["a"])).unwrap().cursor().unwrap().to_string()
    }

    /// Lets those go on who wait in the hook.
    pub(crate) fn release(&self) {
        self.0.release.notify_waiters();
    }

    /// Returns the requests for state: the transport and the gap of each.
    pub(crate) fn asked(&self) -> Vec<(Transport, Gap)> {
        self.0.asked.lock().unwrap().clone()
    }

    /// How many calls of the hook are under way, and how many were at most.
    pub(crate) fn running(&self) -> (usize, usize) {
        (self.0.running.load(Ordering::Relaxed), self.0.most.load(Ordering::Relaxed))
    }

    fn state(&self) -> Snapshot {
        let weight = self.0.weight.load(Ordering::Relaxed);
        self.0.board.weighted(weight)
    }
}

/// A call of the hook, until it is dropped.
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

impl Publisher for App {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let subscription = self.0.board.hub().subscribe(request.subscribe_to(["a"]))?;
        let attach = Accepted::new(subscription).with_data("the user");
        match request.start() == Start::Now && self.0.opens.load(Ordering::Relaxed) {
            true => Ok(attach.with_snapshot(self.state())),
            false => Ok(attach),
        }
    }

    async fn snapshot(&self, session: &Session, gap: &Gap) -> Option<Snapshot> {
        let _running = Running::begin(&self.0);
        assert_eq!(session.data(), Some(&"the user"));
        self.0.asked.lock().unwrap().push((session.transport(), gap.clone()));
        let hook = *self.0.hook.lock().unwrap();
        match hook {
            Hook::State => Some(self.state()),
            Hook::None => None,
            Hook::Panic => panic!("on request"),
            Hook::Wait => {
                self.0.release.notified().await;
                Some(self.state())
            }
        }
    }
}

impl Board {
    fn weighted(&self, weight: usize) -> Snapshot {
        let pad = (0..weight.div_ceil(64 * 1024)).map(|_| Event::text("p".repeat(64 * 1024)));
        self.snapshot_with(pad.map(|pad| (Topic::new("a").unwrap(), pad)))
    }
}

/// A server of an endpoint, on both HTTPs.
pub(crate) struct Server {
    addresses: [(Http, SocketAddr); 2],
}

impl Server {
    pub(crate) async fn of(endpoint: &Endpoint) -> Self {
        let one = serve(endpoint.clone(), Http::One).await;
        let two = serve(endpoint.clone(), Http::Two).await;
        Self { addresses: [(Http::One, one), (Http::Two, two)] }
    }

    /// Every way to it.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> {
        self.addresses.into_iter().flat_map(|(http, address)| Speaks::ALL.map(|speaks| Way { speaks, http, address }))
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) speaks: Speaks,
    pub(crate) http: Http,
    address: SocketAddr,
}

/// A client that reads and counts.
pub(crate) struct Reader {
    way: Way,
    client: Box<dyn crate::clients::Client>,
    pub(crate) counted: Client,
}

impl Way {
    pub(crate) async fn open(self, cursor: Option<&str>) -> Result<Reader, String> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connection = Connection::over(stream, self.http, Traffic::default()).await.unwrap();
        let client = connect(connection, self.speaks, &["a"], cursor).await?;
        Ok(Reader { way: self, client, counted: Client::new(false) })
    }
}

impl Reader {
    /// The next thing that it sees, counted.
    pub(crate) async fn see(&mut self) -> Result<Seen, String> {
        let seen = self.client.see().await?;
        match &seen {
            Seen::Event(event) => {
                let Data::Text(text) = &event.data else { panic!("{event:?}") };
                self.counted.event(event.cursor.as_deref(), "a", text);
            }
            Seen::Gap(gap) => self.counted.gap(&gap.cursor, gap.topic.as_deref(), gap.snapshot),
            Seen::End(_) => {}
        }
        Ok(seen)
    }

    /// Reads until it has counted so far, and has no state to wait for.
    pub(crate) async fn count_to(&mut self, count: u64) {
        while !self.counted.has_base() || self.counted.counts.get("a") != Some(&count) {
            let seen = self.see().await.unwrap();
            assert!(!matches!(seen, Seen::End(_)), "{seen:?} by {:?}", self.way);
        }
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.client.cursor()
    }
}
