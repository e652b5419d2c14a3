//! The hub of the relay: in memory, or with its history on disk.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tidings::stats::HubStats;
use tidings::{
    Cursor, EndReason, Endpoint, EndpointBuilder, Event, LocalHub, PublishError, Receipt, Retention, StateLimits,
    Topic, TopicEnd,
};

use crate::MAX_PAYLOAD;
#[cfg(feature = "disk")]
use crate::disk::Disk;
use crate::options::Options;
use crate::sessions::OpenTopics;

/// Interval at which expired events are removed from topics without new events.
const SWEEP: Duration = Duration::from_secs(10);

pub(crate) enum RelayHub {
    Memory(LocalHub),
    #[cfg(feature = "disk")]
    Disk(Disk),
}

impl RelayHub {
    /// Opens the hub. Blocks while a directory is opened.
    pub(crate) fn open(options: &Options) -> Result<Self, String> {
        let memory = LocalHub::builder().max_event(MAX_PAYLOAD + 3 * Event::MAX_LABEL);
        #[cfg(feature = "disk")]
        if let Some(directory) = &options.disk {
            return Disk::open(directory, memory, options).map(Self::Disk);
        }
        let retention = options.retain.map_or_else(Retention::default, Retention::count);
        let keyed = retention.state_limits(StateLimits::default());
        let patterns = options.latest_per_key.iter();
        let builder = patterns.fold(memory.retain(retention), |builder, pattern| builder.retain_for(pattern, keyed));
        Ok(Self::Memory(builder.build()))
    }

    /// Returns a builder of the endpoint, at which a client gets the topics that it names.
    pub(crate) fn endpoint(&self, log: bool) -> EndpointBuilder {
        match self {
            Self::Memory(hub) => {
                let swept = hub.clone();
                Endpoint::builder(OpenTopics { hub: hub.clone(), log }).run_every(SWEEP, move || swept.sweep())
            }
            #[cfg(feature = "disk")]
            Self::Disk(disk) => Endpoint::builder(OpenTopics { hub: disk.hub.clone(), log }),
        }
    }

    /// Returns a future that wakes a topic's subscriptions, a few hundred at a time, if the hub has one. Publishers continue
    /// meanwhile, and subscriptions get more at once.
    pub(crate) fn notifier(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        match self {
            Self::Memory(hub) => hub.notifier(),
            #[cfg(feature = "disk")]
            Self::Disk(_) => None,
        }
    }

    pub(crate) async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        match self {
            Self::Memory(hub) => hub.publish_now(topic, event),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.publish(topic, event).await,
        }
    }

    pub(crate) async fn publish_batch(&self, events: Vec<(Topic, Event)>) -> Result<Vec<Receipt>, PublishError> {
        match self {
            Self::Memory(hub) => hub.publish_batch(events),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.publish_batch(events).await,
        }
    }

    pub(crate) async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        match self {
            Self::Memory(hub) => hub.finish(topic, reason),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.finish(topic, reason).await,
        }
    }

    /// Returns whether a topic is known to have events. `false` for a hub on disk, which would have to read them.
    pub(crate) fn has_history(&self, topic: &Topic) -> bool {
        match self {
            Self::Memory(hub) => hub.has_history(topic),
            #[cfg(feature = "disk")]
            Self::Disk(_) => false,
        }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        match self {
            Self::Memory(hub) => hub.cursor(),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.hub.cursor(),
        }
    }

    /// Returns the reason for which the disk refused the last publish.
    pub(crate) fn refusal(&self) -> Option<Box<str>> {
        match self {
            Self::Memory(_) => None,
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.refusal(),
        }
    }

    /// Returns the counters of the hub in memory. That of a hub on disk has the newest events.
    pub(crate) fn stats(&self) -> HubStats {
        match self {
            Self::Memory(hub) => hub.stats(),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.hub.stats(),
        }
    }

    /// Returns the state of the directory; `null` for a hub in memory.
    pub(crate) async fn disk_stats(&self) -> Value {
        match self {
            Self::Memory(_) => Value::Null,
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.stats().await,
        }
    }

    /// Ends the subscriptions. A hub on disk first writes what was published, and then releases the directory. Blocks until
    /// that is done.
    pub(crate) fn close(&self) {
        match self {
            Self::Memory(hub) => hub.close(),
            #[cfg(feature = "disk")]
            Self::Disk(disk) => disk.hub.close(),
        }
    }
}
