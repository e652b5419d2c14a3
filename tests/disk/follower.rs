use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings::Cursor;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clients::{ClientKind, Seen, SeenData, connect};
use crate::load::number_of;
use crate::pause;
use crate::process::connection;

/// The five transports, each in a form that resumes.
pub(crate) const TRANSPORTS: [ClientKind; 5] =
    [ClientKind::ShortPoll, ClientKind::LongPoll, ClientKind::Chunked, ClientKind::Sse, ClientKind::WebSocket];
/// Longest wait for an item.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two short polls, and before a client connects again.
const SHORT: Duration = Duration::from_millis(25);

/// Item that a client got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// Event of a load.
    Event {
        sequence: u64,
        number: u64,
    },
    Gap {
        sequence: u64,
        reason: String,
        topic: Option<String>,
    },
    Other(Seen),
}

/// Items of one client, over all of its connections.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) items: Vec<Item>,
    pub(crate) cursor: Option<String>,
    /// Ends of connections that the test did not cause.
    pub(crate) faults: Vec<String>,
    /// Number of connections.
    pub(crate) connections: usize,
}

impl Ledger {
    pub(crate) fn gaps(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            Item::Gap { reason, .. } => Some(&**reason),
            _ => None,
        })
    }

    pub(crate) fn numbers(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.items.iter().filter_map(|item| match item {
            Item::Event { number, .. } => Some(*number),
            _ => None,
        })
    }

    /// Returns whether the client got an event of this number in its last items.
    pub(crate) fn ends_with(&self, number: u64) -> bool {
        self.numbers().rev().take(64).any(|other| other == number)
    }
}

/// A client that follows topics, and connects again with its last cursor when its connection ends.
pub(crate) struct Follower {
    pub(crate) kind: ClientKind,
    pub(crate) topics: Vec<&'static str>,
    ledger: Arc<Mutex<Ledger>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Begins after a cursor, or now.
    pub(crate) fn begin(
        kind: ClientKind,
        topics: &[&'static str],
        cursor: Option<&str>,
        address: watch::Receiver<Option<SocketAddr>>,
    ) -> Self {
        let ledger = Ledger { cursor: cursor.map(str::to_owned), ..Ledger::default() };
        let (ledger, topics) = (Arc::new(Mutex::new(ledger)), topics.to_vec());
        let task = tokio::spawn(follow(kind, topics.clone(), address, Arc::clone(&ledger)));
        Self { kind, topics, ledger, task }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Waits until the ledger is as expected.
    pub(crate) async fn until(&self, what: &str, is_done: impl Fn(&Ledger) -> bool) {
        let began = Instant::now();
        while !is_done(&self.ledger()) {
            if began.elapsed() > PATIENCE {
                let Ledger { items, cursor, faults, .. } = &*self.ledger();
                let last = &items[items.len().saturating_sub(5)..];
                panic!("{}, {what}: not after {PATIENCE:?}: {cursor:?} {last:?} {faults:?}", self.name());
            }
            pause(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} of {}", self.kind.name(), self.topics.join(", "))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Clients of all transports, and the address at which they connect.
pub(crate) struct Followers {
    address: watch::Sender<Option<SocketAddr>>,
    pub(crate) all: Vec<Follower>,
}

impl Followers {
    /// Begins a client of each transport for each set of topics. Each has a cursor then.
    pub(crate) async fn begin(address: SocketAddr, sets: &[&[&'static str]]) -> Self {
        let mut this = Self::none();
        for topics in sets {
            this.add(&TRANSPORTS, topics, None);
        }
        this.connect(address);
        this.until("connects", |ledger| ledger.cursor.is_some()).await;
        this
    }

    pub(crate) fn none() -> Self {
        Self { address: watch::Sender::new(None), all: Vec::new() }
    }

    pub(crate) fn add(&mut self, kinds: &[ClientKind], topics: &[&'static str], cursor: Option<&str>) {
        let begin = |&kind| Follower::begin(kind, topics, cursor, self.address.subscribe());
        self.all.extend(kinds.iter().map(begin));
    }

    pub(crate) fn connect(&self, address: SocketAddr) {
        self.address.send_replace(Some(address));
    }

    /// Lets the clients wait for another address. An end of a connection is expected from now on.
    pub(crate) fn disconnect(&self) {
        self.address.send_replace(None);
    }

    /// Waits until the ledger of each client is as expected.
    pub(crate) async fn until(&self, what: &str, is_done: impl Fn(&Ledger) -> bool) {
        for follower in &self.all {
            follower.until(what, &is_done).await;
        }
    }

    /// Checks that no connection ended by itself.
    pub(crate) fn assert_undisturbed(&self) {
        for follower in &self.all {
            let ledger = follower.ledger();
            assert!(ledger.faults.is_empty(), "{}: {:?}", follower.name(), ledger.faults);
        }
    }
}

async fn follow(
    kind: ClientKind,
    topics: Vec<&'static str>,
    mut address: watch::Receiver<Option<SocketAddr>>,
    ledger: Arc<Mutex<Ledger>>,
) {
    loop {
        let Ok(server) = address.wait_for(Option::is_some).await.map(|server| *server) else { return };
        address.mark_unchanged();
        let Some(server) = server else { continue };
        let end = visit(server, kind, &topics, &ledger).await;
        let is_expected = address.has_changed().unwrap_or(true);
        if !is_expected {
            lock(&ledger).faults.push(end);
        }
        pause(SHORT).await;
    }
}

/// Connects and reads until the connection ends. Returns why.
async fn visit(server: SocketAddr, kind: ClientKind, topics: &[&str], ledger: &Mutex<Ledger>) -> String {
    let cursor = lock(ledger).cursor.clone();
    let client = async { connect(connection(server).await?, kind, topics, cursor.as_deref()).await };
    let mut client = match client.await {
        Ok(client) => client,
        Err(error) => return error,
    };
    {
        let mut ledger = lock(ledger);
        ledger.connections += 1;
        ledger.cursor = client.cursor().map(str::to_owned);
    }
    loop {
        if kind == ClientKind::ShortPoll && client.needs_request() {
            pause(SHORT).await;
        }
        let seen = match client.next_item().await {
            Ok(Seen::End(end)) => return format!("{end:?}"),
            Ok(seen) => seen,
            Err(error) => return error,
        };
        let mut ledger = lock(ledger);
        ledger.items.push(item(seen));
        ledger.cursor = client.cursor().map(str::to_owned);
    }
}

fn item(seen: Seen) -> Item {
    let sequence = seen.cursor().and_then(|cursor| cursor.parse::<Cursor>().ok()).map(Cursor::sequence);
    match (seen, sequence) {
        (Seen::Gap(gap), Some(sequence)) => Item::Gap { sequence, reason: gap.reason, topic: gap.topic },
        (Seen::Event(event), Some(sequence)) => match &event.data {
            SeenData::Text(text) => match number_of(text) {
                Some(number) => Item::Event { sequence, number },
                None => Item::Other(Seen::Event(event)),
            },
            _ => Item::Other(Seen::Event(event)),
        },
        (seen, _) => Item::Other(seen),
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
