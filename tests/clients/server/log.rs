use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::response::IntoResponse;
use serde_json::{Value, json};

/// Log of requests, reports and ends, in their order.
pub(crate) struct Log {
    started: Instant,
    entries: Mutex<Vec<Value>>,
}

impl Default for Log {
    fn default() -> Self {
        Self { started: Instant::now(), entries: Mutex::default() }
    }
}

impl Log {
    /// Appends an entry and returns its index. `at` is its time, see [`now`](Self::now).
    pub(crate) fn push(&self, kind: &str, topic: &str, detail: Value) -> usize {
        let at = self.now();
        let mut entries = self.entries();
        let mut entry = json!({ "at": at, "kind": kind, "topic": topic });
        entry["detail"] = detail;
        entries.push(entry);
        entries.len() - 1
    }

    /// Appends an entry, unless the topic has one of this kind.
    pub(crate) fn push_first(&self, kind: &str, topic: &str, detail: Value) {
        if self.count(kind, topic) == 0 {
            self.push(kind, topic, detail);
        }
    }

    /// Adds a field to the detail of an entry.
    pub(crate) fn add(&self, entry: usize, name: &str, value: Value) {
        if let Some(entry) = self.entries().get_mut(entry) {
            entry["detail"][name] = value;
        }
    }

    /// Returns the number of entries of this kind for a topic.
    pub(crate) fn count(&self, kind: &str, topic: &str) -> usize {
        self.entries().iter().filter(|entry| entry["kind"] == kind && entry["topic"] == topic).count()
    }

    /// Returns the entries, and the time in the header `x-now`.
    pub(crate) fn to_json(&self) -> impl IntoResponse + use<> {
        ([("x-now", self.now().to_string())], Json(self.entries().clone()))
    }

    /// Returns the milliseconds since the start of the server.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Value>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
