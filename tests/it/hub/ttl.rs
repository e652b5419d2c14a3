//! Times to live: an expired event is delivered to nobody, wherever it is, and is no gap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, SubscriptionEnd};
use tidings::time::Clock;
use tidings::{
    Cursor, Event, Gap, GapReason, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription, Topic,
};

use super::Lines;
use super::model::ManualClock;

const NEWS: &str = "news";

struct World {
    hub: LocalHub,
    clock: ManualClock,
}

impl World {
    fn new(retention: Retention) -> Self {
        let clock = ManualClock::new();
        Self { hub: LocalHub::builder().retain(retention).clock(clock.clone()).build(), clock }
    }

    /// Publishes texts in order; one that begins with a number lives so many milliseconds.
    fn publish<const N: usize>(&self, texts: [&str; N]) {
        for text in texts {
            let ttl = text.split_once(' ').and_then(|(millis, _)| millis.parse().ok());
            let event =
                ttl.into_iter().fold(Event::text(text), |event, ttl| event.with_ttl(Duration::from_millis(ttl)));
            self.hub.publish_now(Topic::new(NEWS).unwrap(), event).unwrap();
        }
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Of one topic, and of two.
    fn subscribe(&self, start: Start) -> [Subscription; 2] {
        [vec![NEWS], vec![NEWS, "other"]]
            .map(|topics| self.hub.subscribe(Subscribe::topics(topics).start(start)).unwrap())
    }
}

fn poll(subscription: &mut Subscription) -> Poll<Delivery> {
    subscription.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// The payloads of each batch that is ready.
fn batches(subscription: &mut Subscription) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    while let Poll::Ready(Delivery::Events(batch)) = poll(subscription) {
        batches.push(batch.iter().map(|event| event.event.as_str().unwrap().to_owned()).collect());
    }
    batches
}

/// Polls for pieces of at most `max` encoded bytes.
fn pieces(subscription: &mut Subscription, max: usize) -> Vec<Vec<String>> {
    let (mut pieces, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    while let Poll::Ready(EncodedDelivery::Events(events)) = subscription.poll_encoded(&mut cx, &Lines::CACHED, max) {
        let text = std::str::from_utf8(&events.bytes).unwrap();
        pieces.push(text.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap().to_owned()).collect());
        assert_eq!(text.lines().count(), events.events as usize);
    }
    pieces
}

fn gap(subscription: &mut Subscription) -> Gap {
    match poll(subscription) {
        Poll::Ready(Delivery::Gap(gap)) => gap,
        other => panic!("{other:?}"),
    }
}

/// The shared bytes that others were given before it expired are not given to who comes after.
#[test]
fn a_joined_window_is_cut_where_an_event_has_expired() {
    let world = World::new(Retention::default());
    let (mut early, mut late) = (world.subscribe(Start::Now), world.subscribe(Start::Now));
    let mut narrow = world.subscribe(Start::Now);
    world.publish(["one", "5 two", "three", "9 four", "five"]);
    for early in &mut early {
        assert_eq!(pieces(early, 1_000).concat(), ["one", "5 two", "three", "9 four", "five"]);
    }
    world.pass(5);
    for late in &mut late {
        assert_eq!(pieces(late, 1_000).concat(), ["one", "three", "9 four", "five"]);
    }
    world.pass(4);
    for narrow in &mut narrow {
        assert_eq!(pieces(narrow, 11), [["one"], ["three"], ["five"]]);
    }
    assert_eq!(world.hub.stats().expired, 2 + 4);
}

#[test]
fn an_expired_event_in_the_middle_is_left_out_of_a_batch() {
    let world = World::new(Retention::default());
    let mut live = world.subscribe(Start::Now);
    world.publish(["one", "two", "5 three", "four", "five"]);
    world.pass(5);
    let mut replayed = world.subscribe(Start::Oldest);
    for subscription in live.iter_mut().chain(&mut replayed) {
        assert_eq!(batches(subscription).concat(), ["one", "two", "four", "five"]);
        assert_eq!(subscription.cursor(), Some(world.hub.cursor()));
    }
}

/// Between what was delivered and what is not yet published there is only what has expired: that is no news.
#[test]
fn what_expires_before_it_is_read_is_not_waited_for() {
    let world = World::new(Retention::default());
    let mut all = world.subscribe(Start::Now);
    world.publish(["5 one", "5 two"]);
    world.pass(5);
    for subscription in &mut all {
        assert!(poll(subscription).is_pending());
        assert_eq!(subscription.cursor(), Some(world.hub.cursor()), "everything up to here was looked at");
    }
    world.publish(["three"]);
    assert!(all.iter_mut().all(|subscription| batches(subscription).concat() == ["three"]));
}

#[test]
fn the_last_n_are_the_last_that_live() {
    let world = World::new(Retention::default());
    world.publish(["one", "5 two", "three", "5 four", "five", "5 six"]);
    world.pass(5);
    let last = |n| world.subscribe(Start::Last(n)).map(|mut subscription| batches(&mut subscription).concat());
    assert_eq!(last(0), [[""; 0]; 2]);
    assert_eq!(last(1), [["five"]; 2]);
    assert_eq!(last(2), [["three", "five"]; 2]);
    assert_eq!(last(9), [["one", "three", "five"]; 2]);
}

#[test]
fn a_life_of_no_time_is_lived_by_nobody() {
    let world = World::new(Retention::default());
    let mut all = world.subscribe(Start::Now);
    let receipt =
        world.hub.publish_now(Topic::new(NEWS).unwrap(), Event::text("zero").with_ttl(Duration::ZERO)).unwrap();
    assert_eq!((receipt.cursor().unwrap(), receipt.subscribers()), (world.hub.cursor(), 2));
    assert!(all.iter_mut().all(|subscription| poll(subscription).is_pending()));
    assert_eq!(world.hub.stats().retained, 0);
}

#[test]
fn the_longest_life_does_not_end() {
    let world = World::new(Retention::default().age(Duration::MAX));
    world.hub.publish_now(Topic::new(NEWS).unwrap(), Event::text("ever").with_ttl(Duration::MAX)).unwrap();
    world.pass(u64::MAX / 2_000_000);
    assert!(world.subscribe(Start::Oldest).iter_mut().all(|one| batches(one).concat() == ["ever"]));
}

/// The oldest goes when it has expired; one behind it, when it is the oldest.
#[test]
fn what_has_expired_leaves_history_from_the_front() {
    let world = World::new(Retention::default());
    world.publish(["5 one", "20 two", "5 three", "four"]);
    let held = |world: &World| (world.hub.stats().retained, world.hub.stats().retained_bytes);
    world.pass(5);
    assert_eq!(held(&world), (4, 22), "nobody looked");
    world.hub.sweep();
    assert_eq!(held(&world), (3, 17), "three has expired, but is behind two");
    world.pass(15);
    world.hub.sweep();
    assert_eq!(held(&world), (1, 4));
}

/// The known expiry of the oldest event is not taken for that of the next: here, the history is emptied by an event
/// that does not fit into it.
#[test]
fn the_next_oldest_goes_in_its_own_time() {
    let world = World::new(Retention::default().bytes(10));
    // With no history and no reader there would be no topic.
    let _readers = world.subscribe(Start::Now);
    let large = "x".repeat(11);
    world.publish(["1000 first", large.as_str(), "5 next", large.as_str(), "5 next"]);
    assert_eq!(world.hub.stats().retained, 1);
    world.pass(5);
    world.hub.sweep();
    assert_eq!(world.hub.stats().retained, 0);
}

#[test]
fn a_topic_of_which_everything_expired_is_forgotten_without_a_gap() {
    let world = World::new(Retention::default());
    let start = world.hub.cursor();
    world.publish(["5 one", "5 two"]);
    world.pass(5);
    world.hub.sweep();
    let stats = world.hub.stats();
    assert_eq!((stats.topics, stats.tombstones, stats.retained), (0, 0, 0));
    for mut back in world.subscribe(Start::After(start)) {
        assert!(poll(&mut back).is_pending(), "nothing was missed");
    }
}

/// A client that was away misses what history lost, and not what had expired by then.
#[test]
fn an_expired_event_is_no_gap_for_who_comes_back() {
    let world = World::new(Retention::count(2));
    let start = world.hub.cursor();
    world.publish(["5 one"]);
    world.pass(5);
    world.publish(["two", "three"]);
    for mut back in world.subscribe(Start::After(start)) {
        assert_eq!(batches(&mut back).concat(), ["two", "three"]);
    }
    let before = world.hub.cursor();
    world.publish(["four", "50 five", "six", "seven"]);
    let lost: Cursor = before.to_string().replace(".3", ".5").parse().unwrap();
    for mut back in world.subscribe(Start::After(before)) {
        let gap = gap(&mut back);
        assert_eq!((gap.reason, gap.cursor), (GapReason::Evicted, lost), "five lived when it was evicted");
        assert_eq!(batches(&mut back).concat(), ["six", "seven"]);
    }
}

/// A slow reader gets a gap for events that left history before they expired. Events that expired before that are no
/// loss.
#[test]
fn an_expired_event_is_no_gap_for_who_is_slow() {
    let mut world = World::new(Retention::count(2));
    let builder = LocalHub::builder().retain(Retention::count(2)).live_buffer(0);
    world.hub = builder.clock(world.clock.clone()).build();
    let mut slow = world.subscribe(Start::Now);
    let disconnects = Subscribe::topics([NEWS]).overflow(Overflow::Disconnect);
    let mut impatient = world.hub.subscribe(disconnects).unwrap();
    // So many that no segment of them is in memory.
    for _ in 0..300 {
        world.publish(["5 gone"]);
        world.pass(5);
    }
    world.publish(["kept"]);
    for slow in &mut slow {
        assert_eq!(batches(slow).concat(), ["kept"]);
    }
    assert_eq!(batches(&mut impatient).concat(), ["kept"], "it was not too slow");
    assert_eq!(world.hub.stats().expired, 3 * 300);

    for _ in 0..300 {
        world.publish(["lost"]);
    }
    for _ in 0..300 {
        world.publish(["5 gone"]);
        world.pass(5);
    }
    world.publish(["kept 1", "kept 2"]);
    impatient.release();
    for slow in &mut slow {
        slow.release();
        assert_eq!(gap(slow).missed, Some(300));
        assert_eq!(batches(slow).concat(), ["kept 1", "kept 2"]);
    }
    assert_eq!(world.hub.stats().expired, 3 * 300 + 2 * 300);
    assert!(matches!(poll(&mut impatient), Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow))));
}

/// A clock that can be set, also back, as no clock should be.
#[derive(Clone)]
struct Jumping {
    began: Instant,
    millis: Arc<AtomicU64>,
}

impl Jumping {
    fn millis(&self) -> u64 {
        self.millis.load(Ordering::Relaxed)
    }
}

impl Clock for Jumping {
    fn now(&self) -> Instant {
        self.began + Duration::from_millis(self.millis())
    }
}

proptest! {
    /// However the clock jumps: what is delivered is in order and once, what has expired by the clock is not delivered,
    /// and what never expires is.
    #[test]
    fn p24_only_the_clock_that_was_given_tells_the_time(
        steps in prop::collection::vec((0_u64..1 << 40, prop::option::of(0_u64..1 << 40), 0..4_usize), 1..60),
    ) {
        let clock = Jumping { began: Instant::now(), millis: Arc::default() };
        let hub = LocalHub::builder().retain(Retention::default().age(Duration::MAX)).clock(clock.clone()).build();
        let news = Topic::new(NEWS).unwrap();
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
        let mut eternal = (1..).zip(&expires).filter(|(_, at)| at.is_none()).map(|(sequence, _)| sequence);
        prop_assert!(eternal.all(|sequence| read.contains(&sequence)), "{:?} of {:?}", read, expires);
    }
}
