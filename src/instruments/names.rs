use super::metric::Metric;
use super::metric::MetricKind::{Counter, Gauge, Histogram};

pub(crate) const SESSIONS: &str = "tidings_sessions";
pub(crate) const SESSIONS_BEHIND: &str = "tidings_sessions_behind";
pub(crate) const SESSIONS_STARTED: &str = "tidings_sessions_started_total";
pub(crate) const SESSIONS_ENDED: &str = "tidings_sessions_ended_total";
pub(crate) const SUBSCRIBES: &str = "tidings_subscribes_total";
pub(crate) const REFUSALS: &str = "tidings_refusals_total";
pub(crate) const WRITTEN_EVENTS: &str = "tidings_written_events_total";
pub(crate) const WRITTEN_BYTES: &str = "tidings_written_bytes_total";
pub(crate) const GAPS: &str = "tidings_gaps_total";
pub(crate) const DELAY: &str = "tidings_delivery_delay_seconds";
pub(crate) const HUB_TOPICS: &str = "tidings_hub_topics";
pub(crate) const HUB_SUBSCRIPTIONS: &str = "tidings_hub_subscriptions";
pub(crate) const HUB_MEMORY: &str = "tidings_hub_memory_bytes";
pub(crate) const HUB_RETAINED: &str = "tidings_hub_retained_events";
pub(crate) const HUB_PUBLISHED: &str = "tidings_hub_published_events_total";
pub(crate) const HUB_EVICTED: &str = "tidings_hub_evicted_events_total";
pub(crate) const HUB_EVICTED_BY_BUDGET: &str = "tidings_hub_budget_evicted_events_total";
pub(crate) const HUB_MISSED: &str = "tidings_hub_missed_events_total";

const TRANSPORT: &[&str] = &["transport"];
const HUB: &[&str] = &["hub"];

/// All metrics.
pub const METRICS: &[Metric] = &[
    Metric::new(Gauge, SESSIONS, TRANSPORT, "Live sessions at the last call of Endpoint::record_metrics."),
    Metric::new(Gauge, SESSIONS_BEHIND, TRANSPORT, "Live sessions that had unread events when they last read."),
    Metric::new(Counter, SESSIONS_STARTED, TRANSPORT, "Sessions that began."),
    Metric::new(Counter, SESSIONS_ENDED, &["transport", "reason"], "Sessions that ended, by reason."),
    Metric::new(Counter, SUBSCRIBES, TRANSPORT, "Accepted requests to subscribe, short polls included."),
    Metric::new(Counter, REFUSALS, &["cause"], "Refused requests, messages and snapshots, by cause."),
    Metric::new(Counter, WRITTEN_EVENTS, TRANSPORT, "Events given to connections."),
    Metric::new(Counter, WRITTEN_BYTES, TRANSPORT, "Bytes of events given to connections, with framing."),
    Metric::new(Counter, GAPS, &["transport", "reason"], "Gaps sent to clients, by reason."),
    Metric::new(Histogram, DELAY, TRANSPORT, "Time from publication to delivery, of one of 64 deliveries."),
    Metric::new(Gauge, HUB_TOPICS, HUB, "Topics in memory."),
    Metric::new(Gauge, HUB_SUBSCRIPTIONS, HUB, "Subscriptions, each counted once for each of its topics and patterns."),
    Metric::new(Gauge, HUB_MEMORY, HUB, "Bytes that count in the hub's budget."),
    Metric::new(Gauge, HUB_RETAINED, HUB, "Events in history."),
    Metric::new(Counter, HUB_PUBLISHED, HUB, "Events published."),
    Metric::new(Counter, HUB_EVICTED, HUB, "Events that left history."),
    Metric::new(Counter, HUB_EVICTED_BY_BUDGET, HUB, "Events that left history to stay within the budget."),
    Metric::new(Counter, HUB_MISSED, HUB, "Events that subscriptions missed."),
];

/// Upper bounds of buckets for `tidings_delivery_delay_seconds`, in seconds. An exporter that is not given buckets may
/// compute quantiles instead, which cannot be added up over processes.
pub const DELAY_BUCKETS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];
