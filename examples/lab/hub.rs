use tidings::subscriber::{BoxSubscriber, SubscriberExt};
use tidings::{
    Cursor, EndReason, Event, LocalHub, PublishError, Receipt, Retention, Subscribe, SubscribeError, Topic, TopicEnd,
};

use crate::stage::CELLS;

/// The hub of the lab: in memory, or on disk.
#[derive(Clone)]
pub(crate) enum LabHub {
    Memory(LocalHub),
    #[cfg(feature = "disk")]
    Disk(tidings::disk::DiskHub),
}

impl LabHub {
    pub(crate) fn in_memory() -> Self {
        let builder = LocalHub::builder().retain(retention()).retain_for(CELLS, Retention::latest_per_key());
        Self::Memory(builder.build())
    }

    /// Opens a directory. Blocks until it is open. A publish does not wait for the disk: the lab ends its process, not the
    /// machine.
    #[cfg(feature = "disk")]
    pub(crate) fn on_disk(directory: &std::path::Path) -> Result<Self, tidings::disk::DiskError> {
        use tidings::disk::{DiskHub, Durability};
        let builder = DiskHub::builder(directory).retain(retention()).retain_for(CELLS, Retention::latest_per_key());
        builder.durability(Durability::Written).open().map(Self::Disk)
    }

    pub(crate) async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        match self {
            Self::Memory(hub) => hub.publish(topic, event).await,
            #[cfg(feature = "disk")]
            Self::Disk(hub) => hub.publish(topic, event).await,
        }
    }

    pub(crate) async fn finish(&self, topic: &str, reason: EndReason) -> Result<TopicEnd, PublishError> {
        match self {
            Self::Memory(hub) => hub.finish(topic, reason),
            #[cfg(feature = "disk")]
            Self::Disk(hub) => hub.finish(topic, reason).await,
        }
    }

    pub(crate) fn subscribe(&self, what: Subscribe) -> Result<BoxSubscriber, SubscribeError> {
        match self {
            Self::Memory(hub) => hub.subscribe(what).map(SubscriberExt::boxed),
            #[cfg(feature = "disk")]
            Self::Disk(hub) => hub.subscribe(what).map(SubscriberExt::boxed),
        }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        match self {
            Self::Memory(hub) => hub.cursor(),
            #[cfg(feature = "disk")]
            Self::Disk(hub) => hub.cursor(),
        }
    }

    pub(crate) fn is_on_disk(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }

    /// Closes the hub. Blocks until everything is written.
    pub(crate) fn close(&self) {
        match self {
            Self::Memory(hub) => hub.close(),
            #[cfg(feature = "disk")]
            Self::Disk(hub) => hub.close(),
        }
    }
}

/// Returns a retention with enough history for a pause of ten seconds at most rates, and not at all of them, to show a gap.
fn retention() -> Retention {
    Retention::count(2_000).bytes(4 << 20)
}
