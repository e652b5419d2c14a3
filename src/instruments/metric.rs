use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

use super::names::METRICS;

/// Metric of the crate, for dashboards and tests.
///
/// ```
/// use tidings::instruments::{METRICS, MetricKind};
///
/// let sessions = METRICS.iter().find(|metric| metric.name == "tidings_sessions").expect("a metric");
/// assert_eq!((sessions.kind, sessions.labels), (MetricKind::Gauge, ["transport"].as_slice()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Metric {
    /// Name, by the conventions of Prometheus.
    pub name: &'static str,
    /// Kind of the metric.
    pub kind: MetricKind,
    /// Names of the labels.
    pub labels: &'static [&'static str],
    /// Description in one sentence.
    pub help: &'static str,
}

/// Kind of a [`Metric`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// Value that only increases.
    Counter,
    /// Value that increases and decreases.
    Gauge,
    /// Distribution, in seconds.
    Histogram,
}

impl Metric {
    pub(crate) const fn new(
        kind: MetricKind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind, labels, help }
    }

    /// Returns the unit by the name's suffix.
    fn unit(&self) -> Unit {
        let name = self.name.trim_end_matches("_total");
        match () {
            () if name.ends_with("_bytes") => Unit::Bytes,
            () if name.ends_with("_seconds") => Unit::Seconds,
            () => Unit::Count,
        }
    }
}

impl MetricKind {
    /// Returns the name that Prometheus uses: `counter`, `gauge` or `histogram`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Gives the units and descriptions of all metrics to the recorder. Call it once, after the recorder is installed.
///
/// Without it the metrics are recorded without units and descriptions.
pub fn describe() {
    for metric in METRICS {
        let Metric { name, help, .. } = *metric;
        match metric.kind {
            MetricKind::Counter => describe_counter!(name, metric.unit(), help),
            MetricKind::Gauge => describe_gauge!(name, metric.unit(), help),
            MetricKind::Histogram => describe_histogram!(name, metric.unit(), help),
        }
    }
}
