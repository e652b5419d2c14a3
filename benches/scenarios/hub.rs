//! The hub alone: no executor, no-op wakers, one thread.

use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tidings::subscriber::{Delivery, EncodedDelivery, EventRef, Format, Slot};
use tidings::time::Clock;
use tidings::{Event, LocalHub, Retention, Subscribe, Subscriber, Subscription, Topic};

const SUBSCRIBERS: usize = 1_000;
/// Subscriptions of a thousand topics each.
const WIDE_SUBSCRIBERS: usize = 100;
const PAYLOAD: &[u8] = &[b'x'; 100];

/// Length of the payload and a line feed.
pub(crate) struct Plain;

impl Format for Plain {
    fn slot(&self) -> Option<Slot> {
        Some(Slot::APPLICATION[0])
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        out.extend_from_slice(event.event.payload());
        out.extend_from_slice(b"\n");
    }
}

/// A clock that never advances: sweeps depend on the time, and instruction counts must not depend on the machine's
/// speed.
struct Still(Instant);

impl Clock for Still {
    fn now(&self) -> Instant {
        self.0
    }
}

fn hub() -> LocalHub {
    LocalHub::builder().clock(Still(Instant::now())).build()
}

fn world(subscribers: usize, topics: &[Topic]) -> (LocalHub, Vec<Subscription>) {
    let hub = hub();
    let mut subscriptions: Vec<_> =
        (0..subscribers).map(|_| hub.subscribe(Subscribe::topics(topics)).expect("open")).collect();
    let mut cx = Context::from_waker(Waker::noop());
    for topic in topics {
        hub.publish_now(topic, event()).expect("open");
    }
    for subscription in &mut subscriptions {
        while subscription.poll_next(&mut cx).is_ready() {}
    }
    (hub, subscriptions)
}

fn event() -> Event {
    Event::binary(Bytes::from_static(PAYLOAD))
}

/// Publishes to this many topics in turn. With an exhausted budget each publish must evict.
pub(crate) fn publisher(topics: usize, spent: bool) -> impl FnMut() {
    let retention = Retention::count(1_000_000).bytes(usize::MAX);
    let limit = if spent { topics * 1_000 + 20_000 } else { usize::MAX };
    let hub = LocalHub::builder().retain(retention).max_bytes(limit).build();
    let fill = 3 * topics.max(1_000);
    let topics: Vec<_> = (0..topics).map(|n| Topic::new(format!("bench/{n}")).expect("valid")).collect();
    let mut turn = topics.into_iter().cycle();
    let mut publish = move |hub: &LocalHub| drop(hub.publish_now(turn.next().expect("a topic"), event()));
    for _ in 0..fill {
        publish(&hub);
    }
    assert_eq!(hub.stats().evicted_by_budget > 0, spent);
    move || publish(&hub)
}

/// Each subscriber visits every event of each burst by reference.
pub(crate) fn by_reference(burst: usize, rounds: usize) -> usize {
    let topic = Topic::new("bench").expect("valid");
    let (hub, mut subscriptions) = world(SUBSCRIBERS, std::slice::from_ref(&topic));
    let mut cx = Context::from_waker(Waker::noop());
    let mut deliveries = 0;
    for _ in 0..rounds {
        for _ in 0..burst {
            hub.publish_now(&topic, event()).expect("open");
        }
        for subscription in &mut subscriptions {
            while let Poll::Ready(Delivery::Events(batch)) = subscription.poll_next(&mut cx) {
                for published in batch.iter() {
                    deliveries += 1;
                    black_box(published.event.payload().len());
                }
            }
        }
    }
    deliveries
}

/// Each subscriber gets each burst as shared bytes.
pub(crate) fn encoded(burst: usize, rounds: usize) -> usize {
    let topic = Topic::new("bench").expect("valid");
    let (hub, subscriptions) = world(SUBSCRIBERS, std::slice::from_ref(&topic));
    run_encoded(&hub, subscriptions, &[topic], burst, rounds)
}

/// Each subscriber of ten topics, or of a thousand, gets each burst, which is spread over them.
pub(crate) fn merged(topics: usize, burst: usize, rounds: usize) -> usize {
    let topics: Vec<_> = (0..topics).map(|n| Topic::new(format!("bench/{n}")).expect("valid")).collect();
    let (hub, subscriptions) = world(if topics.len() > 10 { WIDE_SUBSCRIBERS } else { SUBSCRIBERS }, &topics);
    run_encoded(&hub, subscriptions, &topics, burst, rounds)
}

/// Each subscriber of a pattern gets each burst, in a hub with ten thousand topics and a thousand further patterns.
pub(crate) fn pattern(burst: usize, rounds: usize) -> usize {
    let topics: Vec<_> = (0..10).map(|n| Topic::new(format!("bench/{n}")).expect("valid")).collect();
    let hub = hub();
    for n in 0..10_000 {
        hub.publish_now(Topic::new(format!("other/{n}/x")).expect("valid"), event()).expect("open");
    }
    let others: Vec<_> =
        (0..1_000).map(|n| hub.subscribe(Subscribe::patterns([format!("other/{n}/*")])).expect("open")).collect();
    let subscriptions =
        (0..SUBSCRIBERS).map(|_| hub.subscribe(Subscribe::patterns(["bench/**"])).expect("open")).collect();
    let deliveries = run_encoded(&hub, subscriptions, &topics, burst, rounds);
    drop(others);
    deliveries
}

/// Each of a thousand newcomers gets the state of a thousand keys. In each round a burst of keys changes before.
pub(crate) fn keyed_fill(burst: usize, rounds: usize) -> usize {
    const KEYS: usize = 1_000;
    let retention = Retention::latest_per_key();
    let hub = LocalHub::builder().retain(retention).clock(Still(Instant::now())).build();
    let set = |key: usize| drop(hub.publish_now("bench", event().with_key(&key.to_string()).expect("a key")));
    (0..KEYS).for_each(set);
    let (mut cx, mut bytes) = (Context::from_waker(Waker::noop()), 0);
    for round in 0..rounds {
        (0..burst).for_each(|n| set((round * burst + n) % KEYS));
        for _ in 0..SUBSCRIBERS {
            let mut newcomer = hub.subscribe(Subscribe::topics(["bench"])).expect("open");
            while let Poll::Ready(EncodedDelivery::Events(events)) = newcomer.poll_encoded(&mut cx, &Plain, 64 * 1024) {
                bytes += black_box(events).bytes.len();
            }
        }
    }
    bytes / (PAYLOAD.len() + 1)
}

/// Each subscriber looks at each burst, and its predicate leaves out every second event by its tag. Returns the number of
/// looks.
pub(crate) fn filtered(burst: usize, rounds: usize) -> usize {
    let hub = hub();
    let is_visible = |event: &EventRef<'_>| event.event.tag() == Some("visible");
    let mut subscriptions: Vec<_> = (0..SUBSCRIBERS)
        .map(|_| hub.subscribe(Subscribe::topics(["bench"]).filter(is_visible)).expect("open"))
        .collect();
    let mut cx = Context::from_waker(Waker::noop());
    let (mut looks, mut bytes) = (0, 0);
    for round in 0..rounds {
        for n in 0..burst {
            let tag = if (round + n) % 2 == 0 { "visible" } else { "hidden" };
            hub.publish_now("bench", event().with_tag(tag).expect("valid")).expect("open");
        }
        for subscription in &mut subscriptions {
            looks += burst;
            while let Poll::Ready(EncodedDelivery::Events(events)) =
                subscription.poll_encoded(&mut cx, &Plain, 64 * 1024)
            {
                bytes += black_box(events).bytes.len();
            }
        }
    }
    assert_eq!(2 * bytes / (PAYLOAD.len() + 1), looks);
    looks
}

fn run_encoded(
    hub: &LocalHub,
    mut subscriptions: Vec<Subscription>,
    topics: &[Topic],
    burst: usize,
    rounds: usize,
) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = 0;
    for round in 0..rounds {
        for n in 0..burst {
            hub.publish_now(&topics[(round + n) % topics.len()], event()).expect("open");
        }
        for subscription in &mut subscriptions {
            while let Poll::Ready(EncodedDelivery::Events(events)) =
                subscription.poll_encoded(&mut cx, &Plain, 64 * 1024)
            {
                bytes += black_box(events).bytes.len();
            }
        }
    }
    bytes / (PAYLOAD.len() + 1)
}
