//! Times to live: an expired event is never delivered and is no gap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, SubscriptionEnd};
use tidings::time::Clock;
use tidings::{Cursor, Event, GapReason, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription};

use crate::support::{LineFormat, VirtualTimer, next_gap, poll, poll_encoded, ready_texts, topic};

const NEWS: &str = "news";

struct World {
    hub: LocalHub,
    clock: VirtualTimer,
}

impl World {
    fn new(retention: Retention) -> Self {
        let clock = VirtualTimer::new();
        Self { hub: LocalHub::builder().retain(retention).clock(clock.clone()).build(), clock }
    }

    /// Publishes texts in order. A number at the beginning of a text is its time to live in milliseconds.
    fn publish<const N: usize>(&self, texts: [&str; N]) {
        for text in texts {
            let ttl = text.split_once(' ').and_then(|(millis, _)| millis.parse().ok());
            let event =
                ttl.into_iter().fold(Event::text(text), |event, ttl| event.with_ttl(Duration::from_millis(ttl)));
            self.hub.publish_now(topic(NEWS), event).unwrap();
        }
    }

    fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Returns a subscription of one topic and one of two topics.
    fn subscribe(&self, start: Start) -> [Subscription; 2] {
        [vec![NEWS], vec![NEWS, "other"]]
            .map(|topics| self.hub.subscribe(Subscribe::topics(topics).start(start)).unwrap())
    }
}

/// Reads the pieces of at most `max` encoded bytes that are ready. Returns the texts of each piece.
fn pieces(subscription: &mut Subscription, max: usize) -> Vec<Vec<String>> {
    let mut pieces = Vec::new();
    while let Poll::Ready(EncodedDelivery::Events(events)) = poll_encoded(subscription, &LineFormat::CACHED, max) {
        let text = std::str::from_utf8(&events.bytes).unwrap();
        pieces.push(text.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap().to_owned()).collect());
        assert_eq!(text.lines().count(), events.events as usize);
    }
    pieces
}

/// Encoded bytes from before an event expired are not shared with a subscription that reads after it.
#[test]
fn shared_encoded_bytes_are_cut_at_an_expired_event() {
    let world = World::new(Retention::default());
    let (mut early, mut late) = (world.subscribe(Start::Now), world.subscribe(Start::Now));
    let mut narrow = world.subscribe(Start::Now);
    world.publish(["one", "5 two", "three", "9 four", "five"]);
    for early in &mut early {
        assert_eq!(pieces(early, 1_000).concat(), ["one", "5 two", "three", "9 four", "five"]);
    }
    world.advance(5);
    for late in &mut late {
        assert_eq!(pieces(late, 1_000).concat(), ["one", "three", "9 four", "five"]);
    }
    world.advance(4);
    for narrow in &mut narrow {
        assert_eq!(pieces(narrow, 11), [["one"], ["three"], ["five"]]);
    }
    assert_eq!(world.hub.stats().expired, 2 + 4);
}

#[test]
fn batch_leaves_out_an_expired_event_in_the_middle() {
    let world = World::new(Retention::default());
    let mut live = world.subscribe(Start::Now);
    world.publish(["one", "two", "5 three", "four", "five"]);
    world.advance(5);
    let mut from_oldest = world.subscribe(Start::Oldest);
    for subscription in live.iter_mut().chain(&mut from_oldest) {
        assert_eq!(ready_texts(subscription), ["one", "two", "four", "five"]);
        assert_eq!(subscription.cursor(), Some(world.hub.cursor()));
    }
}

/// Expired events do not make a subscription ready.
#[test]
fn events_that_expire_unread_leave_the_subscription_pending_at_the_watermark() {
    let world = World::new(Retention::default());
    let mut all = world.subscribe(Start::Now);
    world.publish(["5 one", "5 two"]);
    world.advance(5);
    for subscription in &mut all {
        assert!(poll(subscription).is_pending());
        assert_eq!(subscription.cursor(), Some(world.hub.cursor()), "all events are read or expired");
    }
    world.publish(["three"]);
    assert!(all.iter_mut().all(|subscription| ready_texts(subscription) == ["three"]));
}

#[test]
fn start_last_counts_live_events_only() {
    let world = World::new(Retention::default());
    world.publish(["one", "5 two", "three", "5 four", "five", "5 six"]);
    world.advance(5);
    let last = |n| world.subscribe(Start::Last(n)).map(|mut subscription| ready_texts(&mut subscription));
    assert_eq!(last(0), [[""; 0]; 2]);
    assert_eq!(last(1), [["five"]; 2]);
    assert_eq!(last(2), [["three", "five"]; 2]);
    assert_eq!(last(9), [["one", "three", "five"]; 2]);
}

#[test]
fn event_with_zero_ttl_is_published_and_never_delivered() {
    let world = World::new(Retention::default());
    let mut all = world.subscribe(Start::Now);
    let receipt = world.hub.publish_now(topic(NEWS), Event::text("zero").with_ttl(Duration::ZERO)).unwrap();
    assert_eq!((receipt.cursor().unwrap(), receipt.subscribers()), (world.hub.cursor(), 2));
    assert!(all.iter_mut().all(|subscription| poll(subscription).is_pending()));
    assert_eq!(world.hub.stats().retained, 0);
}

#[test]
fn event_with_maximum_ttl_never_expires() {
    let world = World::new(Retention::default().age(Duration::MAX));
    world.hub.publish_now(topic(NEWS), Event::text("ever").with_ttl(Duration::MAX)).unwrap();
    world.advance(u64::MAX / 2_000_000);
    assert!(world.subscribe(Start::Oldest).iter_mut().all(|one| ready_texts(one) == ["ever"]));
}

/// An expired event leaves history when it is the oldest.
#[test]
fn sweep_evicts_expired_events_from_the_front_of_history() {
    let world = World::new(Retention::default());
    world.publish(["5 one", "20 two", "5 three", "four"]);
    let retained = |world: &World| (world.hub.stats().retained, world.hub.stats().retained_bytes);
    world.advance(5);
    assert_eq!(retained(&world), (4, 22), "no sweep yet");
    world.hub.sweep();
    assert_eq!(retained(&world), (3, 17), "`three` expired, but is not the oldest");
    world.advance(15);
    world.hub.sweep();
    assert_eq!(retained(&world), (1, 4));
}

/// The stored expiry of the oldest event is not used for the next oldest. Here an event that does not fit empties history.
#[test]
fn expiry_of_the_oldest_event_is_not_reused_for_the_next() {
    let world = World::new(Retention::default().bytes(10));
    // Without history and readers there would be no topic.
    let _readers = world.subscribe(Start::Now);
    let large = "x".repeat(11);
    world.publish(["1000 first", large.as_str(), "5 next", large.as_str(), "5 next"]);
    assert_eq!(world.hub.stats().retained, 1);
    world.advance(5);
    world.hub.sweep();
    assert_eq!(world.hub.stats().retained, 0);
}

#[test]
fn topic_whose_events_all_expired_leaves_no_tombstone_and_no_gap() {
    let world = World::new(Retention::default());
    let start = world.hub.cursor();
    world.publish(["5 one", "5 two"]);
    world.advance(5);
    world.hub.sweep();
    let stats = world.hub.stats();
    assert_eq!((stats.topics, stats.tombstones, stats.retained), (0, 0, 0));
    for mut back in world.subscribe(Start::After(start)) {
        assert!(poll(&mut back).is_pending(), "nothing was missed");
    }
}

/// A resumed client misses the events that were evicted while they lived, and none that had expired before.
#[test]
fn resume_past_an_expired_event_yields_no_gap() {
    let world = World::new(Retention::count(2));
    let start = world.hub.cursor();
    world.publish(["5 one"]);
    world.advance(5);
    world.publish(["two", "three"]);
    for mut back in world.subscribe(Start::After(start)) {
        assert_eq!(ready_texts(&mut back), ["two", "three"]);
    }
    let before = world.hub.cursor();
    world.publish(["four", "50 five", "six", "seven"]);
    let lost: Cursor = before.to_string().replace(".a3", ".a5").parse().unwrap();
    for mut back in world.subscribe(Start::After(before)) {
        let gap = next_gap(&mut back);
        assert_eq!((gap.reason, gap.cursor), (GapReason::Evicted, lost), "`five` was evicted before it expired");
        assert_eq!(ready_texts(&mut back), ["six", "seven"]);
    }
}

/// A lagging reader gets a gap for events that left history before they expired, and none for events that expired before.
#[test]
fn lagging_reader_gets_no_gap_for_expired_events() {
    let mut world = World::new(Retention::count(2));
    let builder = LocalHub::builder().retain(Retention::count(2)).live_buffer(0);
    world.hub = builder.clock(world.clock.clone()).build();
    let mut slow = world.subscribe(Start::Now);
    let disconnects = Subscribe::topics([NEWS]).overflow(Overflow::Disconnect);
    let mut strict = world.hub.subscribe(disconnects).unwrap();
    // Enough events that no segment of them is in memory.
    for _ in 0..300 {
        world.publish(["5 gone"]);
        world.advance(5);
    }
    world.publish(["kept"]);
    for slow in &mut slow {
        assert_eq!(ready_texts(slow), ["kept"]);
    }
    assert_eq!(ready_texts(&mut strict), ["kept"], "it did not lag");
    assert_eq!(world.hub.stats().expired, 3 * 300);

    for _ in 0..300 {
        world.publish(["lost"]);
    }
    for _ in 0..300 {
        world.publish(["5 gone"]);
        world.advance(5);
    }
    world.publish(["kept 1", "kept 2"]);
    strict.release();
    for slow in &mut slow {
        slow.release();
        assert_eq!(next_gap(slow).missed, Some(300));
        assert_eq!(ready_texts(slow), ["kept 1", "kept 2"]);
    }
    assert_eq!(world.hub.stats().expired, 3 * 300 + 2 * 300);
    assert!(matches!(poll(&mut strict), Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow))));
}

/// A clock that can be set back, as no monotonic clock can.
#[derive(Clone)]
struct JumpingClock {
    began: Instant,
    millis: Arc<AtomicU64>,
}

impl JumpingClock {
    fn millis(&self) -> u64 {
        self.millis.load(Ordering::Relaxed)
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Instant {
        self.began + Duration::from_millis(self.millis())
    }
}

proptest! {
    /// For any jumps of the clock, events are delivered once and in order, no event that expired by the clock is delivered,
    /// and every event that never expires is.
    #[test]
    fn p24_expiry_follows_the_injected_clock_only(
        steps in prop::collection::vec((0_u64..1 << 40, prop::option::of(0_u64..1 << 40), 0..4_usize), 1..60),
    ) {
        let clock = JumpingClock { began: Instant::now(), millis: Arc::default() };
        let hub = LocalHub::builder().retain(Retention::default().age(Duration::MAX)).clock(clock.clone()).build();
        let news = topic(NEWS);
        let mut subscription = hub.subscribe(Subscribe::topics([&news])).unwrap();
        let (mut read, mut expires) = (Vec::new(), Vec::new());
        for (millis, ttl, polls) in steps {
            let event = ttl.into_iter().fold(Event::text(""), |event, ttl| event.with_ttl(Duration::from_millis(ttl)));
            expires.push(ttl.map(|ttl| clock.millis() + ttl));
            hub.publish_now(&news, event).unwrap();
            clock.millis.store(millis, Ordering::Relaxed);
            for _ in 0..polls {
                let Poll::Ready(Delivery::Events(batch)) = poll(&mut subscription) else { break };
                for event in batch.iter() {
                    let sequence = event.cursor.unwrap().sequence();
                    prop_assert!(expires[sequence as usize - 1].is_none_or(|at| at > millis), "{} had expired", sequence);
                    read.push(sequence);
                }
            }
        }
        while let Poll::Ready(Delivery::Events(batch)) = poll(&mut subscription) {
            read.extend(batch.iter().map(|event| event.cursor.unwrap().sequence()));
        }
        prop_assert!(read.is_sorted_by(|a, b| a < b), "{:?}", read);
        let mut without_ttl = (1..).zip(&expires).filter(|(_, at)| at.is_none()).map(|(sequence, _)| sequence);
        prop_assert!(without_ttl.all(|sequence| read.contains(&sequence)), "{:?} of {:?}", read, expires);
    }
}
