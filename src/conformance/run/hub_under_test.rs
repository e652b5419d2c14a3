use std::error::Error;
use std::future::Future;

use crate::contract::Hub;
use crate::hub::LocalHub;
use crate::model::{Retention, StateLimits};

/// Hub that the kit tests.
///
/// [`hub`](crate::conformance::hub) has an example.
pub trait HubUnderTest: Send + Sync + 'static {
    /// Type of the hub.
    type Hub: Hub;

    /// Opens a hub with these options. It is empty, unless one with this [name](HubOptions::name) was open before and the hub has
    /// [restarts](Capabilities::with_restarts): then it has the history of that one.
    ///
    /// # Errors
    ///
    /// The case fails with the error.
    fn open(
        &self,
        options: &HubOptions,
    ) -> impl Future<Output = Result<Self::Hub, Box<dyn Error + Send + Sync>>> + Send;

    /// Closes a hub: its subscriptions end.
    fn close(&self, hub: Self::Hub) -> impl Future<Output = ()> + Send;

    /// Returns the abilities of the hub. Cases of other abilities are left out. Default: none.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

/// Abilities of a hub beyond the publishing and reading of events.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Capabilities {
    pub(in crate::conformance) ends: bool,
    pub(in crate::conformance) keyed: bool,
    pub(in crate::conformance) restarts: bool,
    pub(in crate::conformance) exact: bool,
    pub(in crate::conformance) immediate: bool,
    pub(in crate::conformance) late: bool,
}

impl Capabilities {
    /// Adds the ends of topics, see [`Hub::finish`](crate::Hub::finish).
    pub fn with_topic_ends(self) -> Self {
        Self { ends: true, ..self }
    }

    /// Adds states of topics, see [`Retention::latest_per_key`].
    pub fn with_keyed_topics(self) -> Self {
        Self { keyed: true, ..self }
    }

    /// Adds a history that outlives the hub.
    pub fn with_restarts(self) -> Self {
        Self { restarts: true, ..self }
    }

    /// Adds a memory as that of a [`LocalHub`]: an event leaves it with the publish that exceeds its limits, a subscription that is
    /// behind gets a gap with the exact number, and one that conflates gets the newest event of each key only.
    pub fn with_exact_eviction(self) -> Self {
        Self { exact: true, ..self }
    }

    /// Marks a hub whose futures are ready at their first poll, and whose subscriptions are pending only if there is no event. The
    /// kit then does not wait for other threads.
    pub fn with_immediate_replies(self) -> Self {
        Self { immediate: true, ..self }
    }

    /// Marks a hub whose publishes are ready before its subscriptions can yield the event, such as one over a broker. A subscription
    /// that conflates may then read events before newer ones of their keys, and one that has not begun when the hub is closed ends
    /// without events.
    pub fn with_late_events(self) -> Self {
        Self { late: true, ..self }
    }
}

/// Options of a hub that a case opens.
#[derive(Debug, Clone)]
pub struct HubOptions {
    pub(in crate::conformance) name: String,
    pub(in crate::conformance) retain: usize,
}

impl HubOptions {
    /// Pattern of the topics with [`keyed_retention`](Self::keyed_retention).
    pub const KEYED_TOPICS: &str = "state/*";
    /// Number of removals of a keyed topic that the hub keeps beyond those in history.
    pub const REMOVALS: usize = 8;

    /// Returns a name for the hub's files or keys: letters, digits and `-`. It is unique in this process; an earlier process may
    /// have used it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the retention of each topic: a number of events.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention::count(self.retain)
    }

    /// Returns the number of events of each topic that [`retention`](Self::retention) keeps.
    #[must_use]
    pub fn retained_events(&self) -> usize {
        self.retain
    }

    /// Returns the retention of the topics that match [`KEYED_TOPICS`](Self::KEYED_TOPICS). It is used by hubs with
    /// [keyed topics](Capabilities::with_keyed_topics).
    #[must_use]
    pub fn keyed_retention(&self) -> Retention {
        self.retention().state_limits(StateLimits::default().removals(Self::REMOVALS))
    }
}

/// [`LocalHub`]s, for [`hub`](crate::conformance::hub) and for the tests of adapters.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct LocalHubs;

impl HubUnderTest for LocalHubs {
    type Hub = LocalHub;

    async fn open(&self, options: &HubOptions) -> Result<LocalHub, Box<dyn Error + Send + Sync>> {
        let hub = LocalHub::builder().retain(options.retention());
        Ok(hub.retain_for(HubOptions::KEYED_TOPICS, options.keyed_retention()).live_buffer(0).build())
    }

    async fn close(&self, hub: LocalHub) {
        hub.close();
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_topic_ends().with_keyed_topics();
        capabilities.with_exact_eviction().with_immediate_replies()
    }
}
