//! `--disk DIR`: the history is in a directory.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings::disk::{DiskHub, Durability, Loss};
use tidings::{EndReason, Event, LocalHubBuilder, PublishError, Receipt, Retention, StateLimits, Topic, TopicEnd};

use crate::options::Options;

/// Time for which a refused publish counts if no other is tried.
const REFUSED: Duration = Duration::from_secs(10);

/// A hub on disk, and the last publish that the disk refused.
pub(crate) struct Disk {
    pub(crate) hub: DiskHub,
    directory: PathBuf,
    durability: &'static str,
    max_bytes: Option<u64>,
    refused: Mutex<Option<(Instant, Box<str>)>>,
}

impl Disk {
    pub(crate) fn open(directory: &Path, memory: LocalHubBuilder, options: &Options) -> Result<Self, String> {
        // With a number of events the directory has the only other limit.
        let retention = options
            .retain
            .map_or_else(Retention::default, |count| Retention::count(count).bytes(usize::MAX).age(Duration::MAX));
        let keyed = retention.state_limits(StateLimits::default());
        let builder = DiskHub::builder(directory).memory(memory).retain(retention);
        let patterns = options.latest_per_key.iter();
        let builder = patterns.fold(builder, |builder, pattern| builder.retain_for(pattern, keyed));
        let builder = options.disk_max_bytes.into_iter().fold(builder, |builder, bytes| builder.max_bytes(bytes));
        let (durability, name) = match options.is_unsynced {
            false => (Durability::Synced, "synced"),
            true => (Durability::Written, "written"),
        };
        let hub = builder.durability(durability).open();
        let hub = hub.map_err(|error| format!("--disk {}: {error}", directory.display()))?;
        if let Some(loss) = hub.loss() {
            eprintln!("relay: {} has lost events, and every client gets a gap: {}", directory.display(), text(loss));
        }
        let directory = directory.to_owned();
        Ok(Self { hub, directory, durability: name, max_bytes: options.disk_max_bytes, refused: Mutex::default() })
    }

    pub(crate) async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        self.noted(self.hub.publish(topic, event).await)
    }

    pub(crate) async fn publish_batch(&self, events: Vec<(Topic, Event)>) -> Result<Vec<Receipt>, PublishError> {
        self.noted(self.hub.publish_batch(events).await)
    }

    pub(crate) async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        self.noted(self.hub.finish(topic, reason).await)
    }

    /// Returns the reason for which the disk refused the last publish, if that was in the last seconds.
    pub(crate) fn refusal(&self) -> Option<Box<str>> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().filter(|(at, _)| at.elapsed() < REFUSED).map(|(_, reason)| reason.clone())
    }

    pub(crate) async fn stats(&self) -> Value {
        let hub = self.hub.clone();
        // It may wait for a write.
        let disk = tokio::task::spawn_blocking(move || hub.disk_stats()).await.ok().and_then(Result::ok);
        json!({
            "directory": self.directory,
            "durability": self.durability,
            "lost": self.hub.loss().map(text),
            "refused": self.refusal(),
            "max_bytes": self.max_bytes,
            "bytes": disk.as_ref().map(|disk| disk.bytes),
            "table_bytes": disk.as_ref().map(|disk| disk.table_bytes),
            "stored": disk.as_ref().map(|disk| disk.stored),
            "queued_publishes": disk.as_ref().map(|disk| disk.queued_publishes),
            "queued_reads": disk.as_ref().map(|disk| disk.queued_reads),
            "failed_writes": disk.as_ref().map(|disk| disk.failed_writes),
            "last_error": disk.as_ref().and_then(|disk| disk.last_error.as_deref()),
        })
    }

    fn noted<T>(&self, result: Result<T, PublishError>) -> Result<T, PublishError> {
        let refused = match &result {
            Ok(_) => None,
            Err(PublishError::Unavailable(reason)) => Some((Instant::now(), reason.clone())),
            // The event is refused, and not by the disk.
            Err(_) => return result,
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        result
    }
}

fn text(loss: Loss) -> String {
    match loss {
        Loss::Tail { stored, acknowledged } => format!("those after {stored}, up to {acknowledged}, are missing"),
        Loss::Journal => "a journal was damaged".to_owned(),
        _ => "the file with the last sequence is missing or damaged".to_owned(),
    }
}
