use std::error::Error;
use std::sync::Arc;

use crate::conformance::engines::{EngineUnderTest, task};
use crate::conformance::run::{Capabilities, HubOptions, HubUnderTest};
use crate::contract::{Hub, PublishError, Receipt, Subscribe, SubscribeError};
use crate::engine::{EngineHub, EngineSubscription};
use crate::hub::LocalHub;
use crate::model::{EndReason, Event, Topic, TopicEnd};

/// Hub of a node. Its driver has a thread of its own, and ends with the last handle.
#[derive(Clone)]
pub(super) struct NodeHub(EngineHub);

impl NodeHub {
    /// Opens the hub of another node.
    pub(super) async fn open<K: EngineUnderTest>(
        kit: &Arc<K>,
        options: &HubOptions,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (engine, retention) = (kit.open(options).await?, options.retention());
        let memory = move || LocalHub::builder().retain(retention.clone()).live_buffer(0);
        let (hub, driver) = EngineHub::builder(engine).memory(memory).open().await?;
        task::spawn(kit, Box::pin(driver));
        Ok(Self(hub))
    }
}

impl Hub for NodeHub {
    type Subscription = EngineSubscription;

    async fn publish(&self, topic: &Topic, event: Event) -> Result<Receipt, PublishError> {
        self.0.publish(topic, event).await
    }

    async fn finish(&self, topic: &Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        self.0.finish(topic, reason).await
    }

    fn subscribe(&self, what: Subscribe) -> Result<EngineSubscription, SubscribeError> {
        self.0.subscribe(what)
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
        hub.0.close();
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_topic_ends().with_restarts().with_late_events()
    }
}
