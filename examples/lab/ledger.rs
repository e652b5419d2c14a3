use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::meter::Meter;

/// Maximum number of panels that are counted. Further ones are not counted.
const MAX_PANELS: usize = 1_000;
/// Time without requests after which a panel without a connection may be dropped for a new one.
const DROPPED_AFTER: Duration = Duration::from_secs(600);
const MAX_ID: usize = 24;

/// Server-side counters for each panel of each page, and the connections of each panel.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Inner>);

#[derive(Default)]
struct Inner {
    panels: Mutex<HashMap<String, Arc<Panel>>>,
    connections: Mutex<Vec<Weak<Meter>>>,
}

/// Counters of one panel. Bytes are those of the socket: request lines, headers, framing and payload.
pub(crate) struct Panel {
    id: String,
    requests: AtomicU64,
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    asked: Mutex<Instant>,
}

/// Counters as the page gets them.
#[derive(Serialize)]
pub(crate) struct Counters {
    requests: u64,
    connections: u64,
    up: u64,
    down: u64,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns the panel of this id, new or known. `None` if the id is invalid, or if too many panels are counted.
    pub(crate) fn panel(&self, id: &str) -> Option<Arc<Panel>> {
        let is_valid = id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if id.is_empty() || !is_valid {
            return None;
        }
        let mut panels = self.0.panels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(panel) = panels.get(id) {
            *panel.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Some(panel.clone());
        }
        if panels.len() >= MAX_PANELS {
            panels.retain(|_, panel| Arc::strong_count(panel) > 1 || panel.silence() < DROPPED_AFTER);
        }
        if panels.len() >= MAX_PANELS {
            return None;
        }
        let panel = Arc::new(Panel::new(id));
        panels.insert(id.to_owned(), panel.clone());
        Some(panel)
    }

    /// Returns the counters of a page's panels.
    pub(crate) fn page(&self, page: &str) -> HashMap<String, Counters> {
        let panels = self.0.panels.lock().unwrap_or_else(PoisonError::into_inner);
        panels.values().filter(|panel| panel.page() == page).map(|panel| (panel.id.clone(), panel.counters())).collect()
    }

    /// Registers a connection.
    pub(crate) fn opened(&self, meter: &Arc<Meter>) {
        let mut connections = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|meter| meter.strong_count() > 0);
        connections.push(Arc::downgrade(meter));
    }

    /// Cuts every connection with a latest request from a panel of this page. Returns their number.
    pub(crate) fn cut(&self, page: &str) -> usize {
        let open: Vec<_> = {
            let connections = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.iter().filter_map(Weak::upgrade).collect()
        };
        open.iter()
            .filter(|meter| meter.panel().is_some_and(|panel| panel.page() == page))
            .map(|meter| meter.cut())
            .count()
    }
}

impl Panel {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            asked: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the page's part of the id.
    fn page(&self) -> &str {
        self.id.split_once('.').map_or("", |(page, _)| page)
    }

    pub(crate) fn asked(&self, on_new_connection: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(on_new_connection.into(), Ordering::Relaxed);
    }

    pub(crate) fn up(&self, bytes: u64) {
        self.up.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            requests: read(&self.requests),
            connections: read(&self.connections),
            up: read(&self.up),
            down: read(&self.down),
        }
    }
}
