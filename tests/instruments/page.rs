//! A page of the Prometheus exporter, read line by line.

use std::collections::{BTreeMap, BTreeSet};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tidings::instruments::{DELAY_BUCKETS, describe};

/// Recorder of one test, and its pages.
pub(crate) struct Exporter {
    recorder: metrics_exporter_prometheus::PrometheusRecorder,
    handle: PrometheusHandle,
}

/// Values by series, such as `tidings_sessions{transport="sse"}`, and kinds by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    pub(crate) values: BTreeMap<String, f64>,
    pub(crate) kinds: BTreeMap<String, String>,
    pub(crate) helps: BTreeSet<String>,
}

impl Exporter {
    pub(crate) fn new() -> Self {
        let delay = Matcher::Full("tidings_delivery_delay_seconds".to_owned());
        let recorder = PrometheusBuilder::new().set_buckets_for_metric(delay, DELAY_BUCKETS).unwrap().build_recorder();
        Self { handle: recorder.handle(), recorder }
    }

    /// Runs a future on a runtime of this thread, with the recorder.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        metrics::with_local_recorder(&self.recorder, || {
            describe();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(future)
        })
    }

    pub(crate) fn page(&self) -> Page {
        let text = self.handle.render();
        let second_and_third = |line: &str| {
            let mut words = line.split(' ').skip(2);
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        let starting = |start: &'static str| text.lines().filter(move |line| line.starts_with(start));
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Page {
            values: samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect(),
            kinds: starting("# TYPE").filter_map(second_and_third).collect(),
            helps: starting("# HELP").filter_map(second_and_third).map(|(name, _)| name).collect(),
        }
    }
}

impl Page {
    /// Returns the value of a series; 0 if it is not there.
    pub(crate) fn get(&self, series: &str) -> f64 {
        self.values.get(series).copied().unwrap_or(0.0)
    }
}
