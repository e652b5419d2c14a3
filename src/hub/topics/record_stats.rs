use metrics::{counter, gauge};

use crate::hub::HubStats;
use crate::instruments::names;

impl HubStats {
    /// Sets the metrics of a hub to these values. Call it before each scrape. `hub` is the value of their label `hub`: the
    /// application's name for the hub, one of few.
    ///
    /// ```
    /// let hub = tidings::LocalHub::new();
    /// hub.stats().record_metrics("main");
    /// ```
    pub fn record_metrics(&self, hub: &'static str) {
        let gauges = [
            (names::HUB_TOPICS, self.topics as f64),
            (names::HUB_SUBSCRIPTIONS, self.subscriptions as f64),
            (names::HUB_MEMORY, self.bytes as f64),
            (names::HUB_RETAINED, self.retained as f64),
        ];
        for (name, value) in gauges {
            gauge!(name, "hub" => hub).set(value);
        }
        let counters = [
            (names::HUB_PUBLISHED, self.published),
            (names::HUB_EVICTED, self.evicted),
            (names::HUB_EVICTED_BY_BUDGET, self.evicted_by_budget),
            (names::HUB_MISSED, self.missed),
        ];
        for (name, value) in counters {
            counter!(name, "hub" => hub).absolute(value);
        }
    }
}
