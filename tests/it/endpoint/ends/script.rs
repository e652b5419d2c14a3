use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidings::{
    Accepted, Cursor, Endpoint, EndpointBuilder, Gap, Publisher, Rejection, Session, SessionEnd, Snapshot, Start,
    SubscribeRequest, Topic,
};

use crate::support::{Feed, Reader};

/// An application whose subscribers read a feed: from the client's cursor, or from the first item.
///
/// The path `/forbidden` is rejected, and `/busy` is busy. With `?opening` the subscriber begins with a snapshot.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) feed: Feed,
    log: Arc<Mutex<Vec<String>>>,
    calls: Arc<AtomicUsize>,
    snapshots: bool,
}

impl Script {
    pub(super) fn new() -> Self {
        Self { feed: Feed::new(7), log: Arc::default(), calls: Arc::default(), snapshots: false }
    }

    pub(super) fn with_snapshots() -> Self {
        Self { snapshots: true, ..Self::new() }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.builder().build()
    }

    pub(super) fn builder(&self) -> EndpointBuilder {
        Endpoint::builder(self.clone())
    }

    /// Returns the number of calls of `subscribe`.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Takes the calls of `joined` and `left`.
    pub(super) fn sessions(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

impl Publisher for Script {
    type Subscriber = Reader;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Reader>, Rejection> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match request.path() {
            "/forbidden" => return Err(Rejection::Forbidden),
            "/busy" => return Err(Rejection::Busy { retry_after: std::time::Duration::from_millis(2_500) }),
            _ => {}
        }
        let reader = match request.start() {
            Start::After(cursor) => self.feed.resume(cursor),
            _ => self.feed.reader(),
        };
        let accepted = Accepted::new(reader);
        Ok(match request.query("opening") {
            Some(_) => accepted.with_snapshot(Snapshot::new([(Topic::new("news").unwrap(), "state".into())])),
            None => accepted,
        })
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        self.snapshots.then(|| Snapshot::new([(Topic::new("news").unwrap(), "state".into())]))
    }

    fn joined(&self, _: &Session) {
        self.log.lock().unwrap().push("joined".to_owned());
    }

    fn left(&self, _: &Session, why: SessionEnd) {
        self.log.lock().unwrap().push(format!("left {why:?}"));
    }
}

/// Returns the text of a cursor of the feed.
pub(super) fn id(sequence: u64) -> String {
    Cursor::new(7, sequence).to_string()
}

/// Returns the text of the cursor of an ended source without cursors.
pub(super) fn reserved() -> String {
    Cursor::new(0, 1).to_string()
}
