use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::conformance::engines::{EngineUnderTest, task};
use crate::conformance::run::{Capabilities, HubOptions, HubUnderTest};
use crate::contract::{Hub, PublishError, Receipt, Subscribe, SubscribeError};
use crate::engine::{EngineHub, EngineSubscription};
use crate::hub::LocalHub;
use crate::model::{Cursor, EndReason, Event, Topic, TopicEnd};
use crate::time::{Clock, StdClock};

/// Maximum time in which a hub that is to be closed gets the last records. A log without records completes its sequence about once a second.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Hub of a node. Its driver has a thread of its own, and ends with the last handle.
#[derive(Clone)]
pub(super) struct NodeHub {
    hub: EngineHub,
    /// Sequence of the last record that the hub published.
    last: Arc<AtomicU64>,
}

impl NodeHub {
    /// Opens the hub of another node.
    pub(super) async fn open<K: EngineUnderTest>(
        kit: &Arc<K>,
        options: &HubOptions,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (engine, retention) = (kit.open(options).await?, options.retention());
        let memory = move || LocalHub::builder().retain(retention).live_buffer(0);
        let (hub, driver) = EngineHub::builder(engine).memory(memory).open().await?;
        task::run(kit, Box::pin(driver));
        Ok(Self { hub, last: Arc::default() })
    }

    /// Waits until the hub has the records that it published, and closes it.
    async fn close(self) {
        let (last, limit) = (self.last.load(Ordering::Relaxed), StdClock.now() + CATCH_UP);
        // The kit polls a run again after some time.
        poll_fn(|_| match self.hub.cursor().sequence() < last && StdClock.now() < limit {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
        self.hub.close();
    }

    fn note(&self, cursor: Option<Cursor>) {
        self.last.fetch_max(cursor.map_or(0, Cursor::sequence), Ordering::Relaxed);
    }
}

impl Hub for NodeHub {
    type Subscription = EngineSubscription;

    async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        let receipt = self.hub.publish(topic, event).await?;
        self.note(receipt.cursor());
        Ok(receipt)
    }

    async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        let end = self.hub.finish(topic, reason).await?;
        self.note(Some(end.cursor));
        Ok(end)
    }

    fn subscribe(&self, what: Subscribe) -> Result<EngineSubscription, SubscribeError> {
        self.hub.subscribe(what)
    }
}

/// Hubs of nodes, each on an engine of its own.
pub(super) struct NodeHubs<K>(pub(super) Arc<K>);

impl<K: EngineUnderTest> HubUnderTest for NodeHubs<K> {
    type Hub = NodeHub;

    async fn open(&self, options: &HubOptions) -> Result<NodeHub, Box<dyn Error + Send + Sync>> {
        NodeHub::open(&self.0, options).await
    }

    async fn close(&self, hub: NodeHub) {
        hub.close().await;
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_topic_ends().with_restarts().with_late_events()
    }
}
