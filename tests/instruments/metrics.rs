//! Metrics of an endpoint and of a hub.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tidings::instruments::{METRICS, MetricKind};
use tidings::time::Clock;
use tidings::{Endpoint, LocalHub, Retention, SessionEnd};

use crate::client::{Client, ask, get};
use crate::page::Exporter;

/// Clock that a test advances.
#[derive(Clone)]
struct SetClock(Arc<Mutex<Instant>>);

impl SetClock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for SetClock {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

/// Returns the labels of a series.
fn labels(series: &str) -> BTreeSet<&str> {
    let inner = series.split_once('{').map_or("", |(_, inner)| inner.trim_end_matches('}'));
    inner
        .split(',')
        .filter_map(|label| label.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| *name != "le")
        .collect()
}

#[test]
fn every_metric_of_the_table_is_emitted_with_its_kind_and_labels_and_no_other() {
    let exporter = Exporter::new();
    exporter.run(async {
        let hub = LocalHub::new();
        let events = Endpoint::public(&hub, ["news"]);
        let mut clients = Vec::new();
        // One of 64 deliveries of each session is measured, so one of 64 sessions measures its first.
        for _ in 0..64 {
            clients.push(Client::open(&events, get("/?transport=sse&cursor=k3x9.b17")).await);
        }
        hub.publish_now("news", "it is on").unwrap();
        for client in &mut clients {
            client.read("it is on").await;
        }
        assert_eq!(ask(&events, get("/?transport=fax")).await.0, 400);
        clients.pop();
        events.record_metrics();
        hub.stats().record_metrics("main");
    });
    let page = exporter.page();
    let kinds: Vec<_> = page.kinds.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    let mut expected: Vec<_> = METRICS.iter().map(|metric| (metric.name, metric.kind.as_str())).collect();
    expected.sort_unstable();
    assert_eq!(kinds, expected);
    assert_eq!(page.helps.len(), METRICS.len());
    for metric in METRICS {
        let names = match metric.kind {
            MetricKind::Histogram => vec![format!("{}_bucket", metric.name), format!("{}_sum", metric.name)],
            _ => vec![metric.name.to_owned()],
        };
        for name in names {
            let series: Vec<_> = page.values.keys().filter(|key| key.split('{').next() == Some(&name)).collect();
            assert!(!series.is_empty(), "{name} is not emitted");
            for series in series {
                assert_eq!(labels(series), metric.labels.iter().copied().collect(), "{series}");
            }
        }
    }
}

#[test]
fn counts_are_those_of_the_stats_and_nothing_counts_twice() {
    let exporter = Exporter::new();
    exporter.run(async {
        let hub = LocalHub::new();
        let events = Endpoint::public(&hub, ["news"]);
        let mut sse = Client::open(&events, get("/?transport=sse")).await;
        let mut gone = Client::open(&events, get("/?transport=sse")).await;
        for text in ["one", "two", "three"] {
            hub.publish_now("news", text).unwrap();
            sse.read(text).await;
            gone.read(text).await;
        }
        events.record_metrics();
        let first = exporter.page();
        let bytes: u64 = events.sessions().iter().map(|session| session.bytes).sum();
        assert_eq!(first.get(r#"tidings_written_events_total{transport="sse"}"#), 6.0);
        assert_eq!(first.get(r#"tidings_written_bytes_total{transport="sse"}"#), bytes as f64);
        assert_eq!(first.get(r#"tidings_sessions{transport="sse"}"#), 2.0);
        events.record_metrics();
        assert_eq!(exporter.page(), first);

        // Without a call of `record_metrics` a session adds the rest when it ends.
        hub.publish_now("news", "four").unwrap();
        sse.read("four").await;
        gone.read("four").await;
        drop(gone);
        let page = exporter.page();
        assert_eq!(page.get(r#"tidings_written_events_total{transport="sse"}"#), 7.0);
        assert_eq!(page.get(r#"tidings_sessions_ended_total{transport="sse",reason="gone"}"#), 1.0);
        events.record_metrics();
        let page = exporter.page();
        assert_eq!(page.get(r#"tidings_written_events_total{transport="sse"}"#), 8.0);
        assert_eq!(page.get(r#"tidings_sessions{transport="sse"}"#), 1.0);
        assert_eq!(page.get(r#"tidings_sessions_started_total{transport="sse"}"#), 2.0);

        // A short poll without a session name is no session.
        ask(&events, get("/?transport=short-poll&start=oldest")).await;
        let page = exporter.page();
        assert_eq!(page.get(r#"tidings_written_events_total{transport="short-poll"}"#), 4.0);
        assert_eq!(page.get(r#"tidings_subscribes_total{transport="short-poll"}"#), 1.0);
        assert_eq!(page.get(r#"tidings_sessions_started_total{transport="short-poll"}"#), 0.0);
        assert_eq!(events.stats().left_for(SessionEnd::Gone), 1);
    });
}

#[test]
fn endpoints_of_one_process_add_up_and_a_dropped_endpoint_leaves_the_gauges() {
    let exporter = Exporter::new();
    let sessions = || exporter.page().get(r#"tidings_sessions{transport="sse"}"#);
    exporter.run(async {
        let hub = LocalHub::new();
        let endpoints = [(); 2].map(|()| Endpoint::public(&hub, ["news"]));
        let mut clients = Vec::new();
        for events in &endpoints {
            clients.push(Client::open(events, get("/?transport=sse")).await);
            events.record_metrics();
        }
        assert_eq!(sessions(), 2.0);
        let [one, _two] = endpoints;
        clients.remove(0);
        drop(one);
        // The endpoint's driver drops its state when it is polled.
        while sessions() != 1.0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn session_is_behind_until_it_has_read_everything() {
    let exporter = Exporter::new();
    let behind = || exporter.page().get(r#"tidings_sessions_behind{transport="chunked"}"#);
    exporter.run(async {
        let hub = LocalHub::new();
        let events = Endpoint::public(&hub, ["news"]);
        let mut client = Client::open(&events, get("/?transport=chunked")).await;
        hub.publish_now("news", "one").unwrap();
        client.read("one").await;
        events.record_metrics();
        assert_eq!(behind(), 1.0);
        // Its next poll finds nothing, so the body is pending until the next event.
        let idle = tokio::time::timeout(Duration::from_millis(1), client.read("two")).await;
        assert!(idle.is_err());
        events.record_metrics();
        assert_eq!(behind(), 0.0);
    });
}

#[test]
fn gaps_are_counted_by_reason() {
    let exporter = Exporter::new();
    exporter.run(async {
        let hub = LocalHub::builder().retain(Retention::count(1)).live_buffer(0).build();
        let events = Endpoint::public(&hub, ["news"]);
        let cursor = hub.publish_now("news", "1").unwrap().cursor().unwrap();
        hub.publish_now("news", "2").unwrap();
        hub.publish_now("news", "3").unwrap();
        for cursor in [cursor.to_string(), "k3x9.b17".to_owned(), "k3x9.b18".to_owned()] {
            let mut client = Client::open(&events, get(&format!("/?transport=chunked&cursor={cursor}"))).await;
            client.read("gap").await;
        }
    });
    let page = exporter.page();
    assert_eq!(page.get(r#"tidings_gaps_total{transport="chunked",reason="evicted"}"#), 1.0);
    assert_eq!(page.get(r#"tidings_gaps_total{transport="chunked",reason="epoch"}"#), 2.0);
}

#[test]
fn one_delivery_of_64_is_measured_from_publication_to_delivery() {
    let exporter = Exporter::new();
    exporter.run(async {
        let clock = SetClock::new();
        let hub = LocalHub::builder().clock(clock.clone()).build();
        for topics in [&["news"][..], &["news", "weather"], &["*"]] {
            let events = Endpoint::from_fn(&hub, move |request| {
                let subscribe = request.subscribe_to_patterns(topics.iter().copied());
                async { Ok(subscribe) }
            });
            let before = exporter.page();
            let mut client = Client::open(&events, get("/?transport=sse")).await;
            for at in 0..128 {
                let text = format!("event {at} of many");
                hub.publish_now("news", text.as_str()).unwrap();
                clock.advance(Duration::from_secs(3));
                client.read(&text).await;
            }
            let page = exporter.page();
            let more = |series: &str| page.get(series) - before.get(series);
            assert_eq!(more(r#"tidings_delivery_delay_seconds_count{transport="sse"}"#), 2.0);
            assert_eq!(more(r#"tidings_delivery_delay_seconds_sum{transport="sse"}"#), 6.0);
        }
    });
}

#[test]
fn series_do_not_grow_with_topics_names_or_texts_of_clients() {
    let exporter = Exporter::new();
    let mut sizes = Vec::new();
    exporter.run(async {
        let hub = LocalHub::new();
        let events = Endpoint::from_fn(&hub, async |request| {
            let topic = request.query("topic").unwrap_or("news".into()).into_owned();
            Ok(request.subscribe_to([topic.as_str()]))
        });
        for round in 0..2 {
            for at in 0..100 * (1 + 9 * round) {
                let uri = format!("/?transport=sse&session=n{round}-{at}&topic=t{round}-{at}&cursor=c{at}");
                let mut client = Client::open(&events, get(&uri).header("user-agent", format!("a{at}"))).await;
                hub.publish_now(format!("t{round}-{at}"), "it is on").unwrap();
                client.read("it is on").await;
                ask(&events, get(&format!("/{at}?transport={at}"))).await;
            }
            events.record_metrics();
            hub.stats().record_metrics("main");
            sizes.push(exporter.page().values.len());
        }
    });
    assert_eq!(sizes[0], sizes[1]);
}

/// Recorder whose every call panics.
struct Panicking;

impl Recorder for Panicking {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        panic!("planted panic of the recorder")
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("planted panic of the recorder")
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("planted panic of the recorder")
    }
}

#[test]
fn panic_of_the_recorder_ends_no_session() {
    metrics::with_local_recorder(&Panicking, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let hub = LocalHub::new();
            let events = Endpoint::public(&hub, ["news"]);
            let mut client = Client::open(&events, get("/?transport=sse&cursor=k3x9.b17")).await;
            for at in 0..128 {
                let text = format!("event {at} of many");
                hub.publish_now("news", text.as_str()).unwrap();
                client.read(&text).await;
            }
            events.record_metrics();
            assert_eq!(ask(&events, get("/?transport=fax")).await.0, 400);
            drop(client);
            let stats = events.stats();
            assert_eq!((stats.live(), stats.left_for(SessionEnd::Gone), stats.refused_request), (0, 1, 1));
        });
    });
}
