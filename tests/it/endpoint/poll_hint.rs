//! The time until the next poll that a short poll's reply suggests.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use tidings::time::TokioTimer;
use tidings::{Endpoint, LocalHub, Subscribe, SubscribeRequest, Subscriber};
use tokio::time::Instant;

use crate::support::http::{To, get, header, pass, runtime, text};
use crate::support::topic;

/// Returns an endpoint and its hub, whose clock is tokio's. The tests pause it.
fn hub_and_endpoint() -> (LocalHub, Endpoint) {
    let hub = LocalHub::builder().clock(TokioTimer::default()).build();
    let shared = hub.clone();
    let publisher = move |request: SubscribeRequest| {
        let hub = shared.clone();
        async move { Ok(hub.subscribe(request.subscribe_to(request.topics()))?) }
    };
    (hub, Endpoint::new(publisher))
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

async fn hint(endpoint: &Endpoint, target: &str) -> u64 {
    header(&get(target).to(endpoint).await, "tidings-retry-ms").parse().unwrap()
}

proptest! {
    #![proptest_config(crate::support::cases(48))]

    /// For any history of the topics, the hint is within its range, and is the earliest of the topics' hints.
    #[test]
    fn poll_hint_is_within_its_range(
        pasts in prop::collection::vec(prop::collection::vec(0..20_000_u64, 0..12), 1..4),
        from in 0..3_000_u64,
        more in 0..30_000_u64,
        silence in 0..60_000_u64,
    ) {
        let hints = block_on(async {
            let (hub, _) = hub_and_endpoint();
            let names: Vec<_> = (0..pasts.len()).map(|at| topic(format_args!("t/{at}"))).collect();
            for (name, pauses) in names.iter().zip(&pasts) {
                for pause in pauses {
                    hub.publish_now(name, "x").unwrap();
                    pass(millis(*pause)).await;
                }
            }
            pass(millis(silence)).await;
            let each: Vec<_> = names.iter().map(|name| hub.subscribe(Subscribe::topics([name])).unwrap().info().next_event_in()).collect();
            let all = hub.subscribe(Subscribe::topics(&names)).unwrap().info().next_event_in();
            assert_eq!(all, each.into_iter().min().unwrap());
            let (range, shared) = (millis(from)..=millis(from + more), hub.clone());
            let endpoint = Endpoint::builder(move |_| {
                let (hub, names) = (shared.clone(), names.clone());
                async move { Ok(hub.subscribe(Subscribe::topics(names))?) }
            }).short_poll_interval(range).build();
            let mut hints = Vec::new();
            for _ in 0..20 {
                hints.push(hint(&endpoint, "/").await);
            }
            hints
        });
        prop_assert!(hints.iter().all(|hint| (from..=from + more).contains(hint)), "{:?}", hints);
    }

    /// A client that polls at the hinted times gets each event of a steady topic soon, and few empty replies. With as many
    /// polls at random times an event would be half an interval old.
    #[test]
    fn poll_hints_follow_a_steady_topic(interval in 2_000..4_500_u64, phase in 0..4_500_u64, wobble in 0..5_u64, seed in any::<u64>()) {
        const EVENTS: u64 = 240;
        // The hints are spread at random.
        fastrand::seed(seed);
        let (polls, delay) = block_on(async {
            let (begin, (hub, endpoint)) = (Instant::now(), hub_and_endpoint());
            let published = hub.clone();
            tokio::spawn(async move {
                for at in 0.. {
                    let late = if at % 2 == 0 { interval * wobble / 100 } else { 0 };
                    pass(millis(late)).await;
                    published.publish_now(topic("t"), begin.elapsed().as_millis().to_string()).unwrap();
                    pass(millis(interval - late)).await;
                }
            });
            pass(millis(3 * interval + phase)).await;
            let (mut cursor, mut seen, mut polls, mut delay) = (hub.cursor().to_string(), 0, 0, 0);
            while seen < EVENTS {
                let response = get(&format!("/?topic=t&cursor={cursor}")).to(&endpoint).await;
                let next = header(&response, "tidings-retry-ms").parse().unwrap();
                let reply: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
                cursor = reply["cursor"].as_str().unwrap().to_owned();
                for event in reply["events"].as_array().unwrap() {
                    delay += begin.elapsed().as_millis() as u64 - event["data"].as_str().unwrap().parse::<u64>().unwrap();
                    seen += 1;
                }
                polls += 1;
                pass(millis(next)).await;
            }
            (polls, delay / seen)
        });
        prop_assert!(polls * 10 <= EVENTS * 13, "{} polls for {} events", polls, EVENTS);
        prop_assert!(delay * 10 <= interval * 3, "{} ms late of {}", delay, interval);
    }
}

#[tokio::test(start_paused = true)]
async fn poll_hints_of_one_topic_are_spread() {
    let (hub, endpoint) = hub_and_endpoint();
    for _ in 0..4 {
        hub.publish_now(topic("t"), "x").unwrap();
        pass(millis(3_000)).await;
    }
    hub.publish_now(topic("t"), "x").unwrap();
    let mut hints = BTreeSet::new();
    for _ in 0..200 {
        hints.insert(hint(&endpoint, "/?topic=t").await);
    }
    // Soon after the next event is expected, within a quarter of its interval.
    assert!(hints.iter().all(|hint| (2_990..=3_760).contains(hint)), "{hints:?}");
    assert!(hints.len() > 100 && hints.last().unwrap() - hints.first().unwrap() > 600, "{hints:?}");
}

#[tokio::test(start_paused = true)]
async fn poll_hint_grows_while_a_topic_is_silent() {
    let (hub, endpoint) = hub_and_endpoint();
    for _ in 0..20 {
        hub.publish_now(topic("t"), "x").unwrap();
        pass(millis(100)).await;
    }
    assert!(hint(&endpoint, "/?topic=t").await < 1_300);
    pass(millis(3_000)).await;
    assert!((2_800..3_800).contains(&hint(&endpoint, "/?topic=t").await));
    pass(millis(60_000)).await;
    for target in ["/?topic=t", "/?topic=nothing", "/?topic=t&topic=nothing"] {
        assert!((3_750..=5_000).contains(&hint(&endpoint, target).await), "{target}");
    }
    // The faster topic of two decides.
    for _ in 0..9 {
        hub.publish_now(topic("quick"), "x").unwrap();
        pass(millis(500)).await;
    }
    assert!(hint(&endpoint, "/?topic=t&topic=quick").await < 1_300);
}

#[tokio::test]
async fn poll_hints_of_a_source_without_prediction_are_spread_over_the_range() {
    let endpoint = Endpoint::new(|_| async { Ok::<_, tidings::Rejection>(Silence) });
    let mut hints = Vec::new();
    for _ in 0..400 {
        hints.push(hint(&endpoint, "/").await);
    }
    for quarter in 0..4_u64 {
        let within = 1_000_u64 + quarter * 1_000..2_001 + quarter * 1_000;
        let count = hints.iter().filter(|hint| within.contains(hint)).count();
        assert!(count > 50, "{count} of 400 in {within:?}");
    }
}

/// A source that yields nothing, and has a cursor.
struct Silence;

impl Subscriber for Silence {
    fn poll_next(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<tidings::subscriber::Delivery> {
        std::task::Poll::Pending
    }

    fn cursor(&self) -> Option<tidings::Cursor> {
        Some(tidings::Cursor::new(7, 1))
    }
}
