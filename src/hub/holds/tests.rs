//! Work in a hub that is several times larger than what one hold may go through: a hold of more steps panics.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::counted::{MOST, take_record};
use super::{Hold, STRETCH, count_steps};
use crate::contract::{Delivery, Start, Subscribe, Subscriber};
use crate::hub::{LocalHub, LocalHubBuilder, Subscription};
use crate::model::{EndReason, Event, Overflow, Retention, StateLimits, Topic};
use crate::time::{Clock, StdClock};

/// Number of topics, events or subscribers.
const MANY: u64 = 5 * MOST as u64;
/// Age of the history that a test's hub keeps.
const AGE: Duration = Duration::from_secs(60);

/// A clock that a test moves.
#[derive(Clone)]
struct Hand {
    began: Instant,
    time: Arc<Mutex<Duration>>,
}

impl Hand {
    fn new() -> Self {
        Self { began: StdClock.now(), time: Arc::default() }
    }

    fn wait(&self, time: Duration) {
        *self.time.lock().expect("no panic") += time;
    }
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        self.began + *self.time.lock().expect("no panic")
    }
}

fn builder() -> LocalHubBuilder {
    let retention = Retention::count(usize::MAX).bytes(usize::MAX).age(AGE);
    LocalHub::builder().retain(retention).live_buffer(64 << 20)
}

/// Returns a hub that keeps events for [`AGE`], and its clock.
fn aging() -> (LocalHub, Hand) {
    let hand = Hand::new();
    (builder().clock(hand.clone()).build(), hand)
}

fn topic(name: impl std::fmt::Display) -> Topic {
    Topic::new(name.to_string()).expect("a name")
}

/// Publishes so many events to a topic, each with one of `keys` keys.
fn fill(hub: &LocalHub, name: &str, events: u64, keys: u64) {
    let topic = topic(name);
    for n in 0..events {
        let event = Event::text("x").with_key(&format!("{}", n % keys)).expect("a key");
        hub.publish_now(&topic, event).expect("room");
    }
}

fn poll(subscription: &mut Subscription) -> Option<Delivery> {
    match subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(delivery) => Some(delivery),
        std::task::Poll::Pending => None,
    }
}

/// Reads all that there is. Returns the number of events.
fn read(subscription: &mut Subscription) -> usize {
    let deliveries = std::iter::from_fn(|| poll(subscription));
    let events = |delivery| if let Delivery::Events(batch) = delivery { batch.len() } else { 0 };
    deliveries.map(events).sum()
}

/// Runs work that is done in steps: one hold at least goes through a whole stretch, so its loop is counted.
fn in_steps<T>(act: impl FnOnce() -> T) -> T {
    take_record();
    let done = act();
    let most = take_record();
    assert!(most >= STRETCH, "{most} steps at most: a loop is not counted");
    done
}

/// Publishes an event to each of so many topics.
fn publish_each(hub: &LocalHub, topics: impl Iterator<Item = u64>) {
    topics.for_each(|n| assert!(hub.publish_now(topic(n), "x").is_ok()));
}

#[test]
#[should_panic = "1025 steps while a lock is held"]
fn hold_of_more_steps_panics() {
    let lock = crate::hub::sync::Mutex::new(());
    let held = lock.lock();
    count_steps(MOST);
    drop(Hold::begin());
    drop(held);
}

#[test]
fn steps_without_a_lock_and_of_another_hold_do_not_count() {
    count_steps(MOST + 1);
    for _ in 0..2 {
        let hold = Hold::begin();
        count_steps(MOST);
        drop(hold);
    }
}

#[test]
fn first_conflating_subscription_of_a_long_history_gets_the_newest_of_each_key() {
    let hub = builder().build();
    fill(&hub, "a", MANY, MANY / 5);
    let latest = || Subscribe::topics(["a"]).start(Start::Oldest).overflow(Overflow::Latest);
    let mut first = hub.subscribe(latest()).unwrap();
    assert_eq!(read(&mut first) as u64, MANY / 5);
    fill(&hub, "a", 10, MANY / 5);
    let mut second = hub.subscribe(latest()).unwrap();
    assert_eq!(read(&mut second) as u64, MANY / 5);
}

#[test]
fn first_conflating_subscription_of_a_pattern_over_long_histories_gets_the_newest_of_each_key() {
    let hub = builder().build();
    ["a/1", "a/2"].iter().for_each(|name| fill(&hub, name, MANY, MANY / 5));
    let all = Subscribe::patterns(["a/*"]).start(Start::Oldest).overflow(Overflow::Latest);
    let mut subscription = hub.subscribe(all).unwrap();
    assert_eq!(read(&mut subscription) as u64, 2 * (MANY / 5));
}

#[test]
fn large_state_is_read_and_forgotten_in_steps() {
    let hand = Hand::new();
    let limits = StateLimits::default().removals(usize::MAX).removal_age(AGE);
    let retention = Retention::count(1).age(AGE).state_limits(limits);
    let hub = LocalHub::builder().retain(retention).live_buffer(0).clock(hand.clone()).build();
    let start = hub.cursor();
    fill(&hub, "a", MANY, MANY);
    let filled = hub.cursor();
    let subscribe = |name: &str, start| hub.subscribe(Subscribe::patterns([name]).start(start)).unwrap();
    assert_eq!(in_steps(|| read(&mut subscribe("a", Start::Now))) as u64, MANY);
    for (name, start) in [("*", Start::Now), ("a", Start::After(start)), ("*", Start::After(start))] {
        assert_eq!(read(&mut subscribe(name, start)) as u64, MANY);
    }
    let removals = (0..MANY).map(|n| (topic("a"), Event::removal(&n.to_string()).expect("a key")));
    hub.publish_batch(removals).unwrap();
    assert_eq!(in_steps(|| read(&mut subscribe("a", Start::Now))), 0);
    assert_eq!(in_steps(|| read(&mut subscribe("a", Start::After(filled)))) as u64, MANY);
    hand.wait(AGE);
    in_steps(|| hub.sweep());
    assert_eq!((hub.stats().topics, hub.stats().state_bytes), (0, 0));
}

#[test]
fn patterns_are_followed_and_resumed_over_many_topics() {
    let hub = builder().build();
    let start = hub.cursor();
    (0..MANY).for_each(|n| _ = hub.publish_now(topic(format!("room/{n}/chat")), "x").unwrap());
    for (pattern, events) in [("room/*", 0), ("room/**", MANY as usize), ("room/7/*", 1)] {
        for start in [Start::Oldest, Start::After(start), Start::Last(1)] {
            let subscription = hub.subscribe(Subscribe::patterns([pattern]).start(start));
            assert_eq!(read(&mut subscription.unwrap()), events, "{pattern}");
        }
    }
}

#[test]
fn pattern_that_is_behind_reads_on_from_many_topics() {
    let hub = builder().live_buffer(0).build();
    let mut subscription = hub.subscribe(Subscribe::patterns(["room/**"])).unwrap();
    (0..MANY).for_each(|n| _ = hub.publish_now(topic(format!("room/{n}/chat")), "x").unwrap());
    assert_eq!(in_steps(|| read(&mut subscription)), MANY as usize);
}

#[test]
fn pattern_over_many_dropped_topics_is_resumed_with_a_gap() {
    let hub = builder().retain(Retention::count(0)).build();
    let start = hub.cursor();
    (0..MANY).for_each(|n| _ = hub.publish_now(topic(format!("room/{n}/chat")), "x").unwrap());
    for start in [Start::After(start), Start::Oldest] {
        let mut subscription = in_steps(|| hub.subscribe(Subscribe::patterns(["room/**"]).start(start))).unwrap();
        let is_gap = matches!(poll(&mut subscription), Some(Delivery::Gap(_)));
        assert_eq!(is_gap, start != Start::Oldest);
    }
}

#[test]
fn stats_of_many_topics_and_patterns() {
    let hub = builder().build();
    publish_each(&hub, 0..MANY);
    let patterns = (0..MANY).map(|n| hub.subscribe(Subscribe::patterns([&*format!("b/{n}/*")])).unwrap());
    let patterns: Vec<_> = patterns.collect();
    let stats = in_steps(|| hub.stats());
    assert_eq!((stats.topics as u64, stats.published, stats.retained), (MANY, MANY, MANY));
    assert_eq!((stats.patterns as u64, stats.subscriptions as u64), (MANY, MANY));
    drop(patterns);
    assert_eq!((hub.stats().patterns, hub.stats().subscriptions), (0, 0));
}

#[test]
fn sweep_of_many_topics_that_have_aged_out() {
    let (hub, hand) = aging();
    publish_each(&hub, 0..MANY);
    hand.wait(AGE);
    in_steps(|| hub.sweep());
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.tombstones as u64, stats.evicted, stats.bytes), (0, MANY, MANY, 0));
}

#[test]
fn sweep_of_a_long_history_that_has_aged_out() {
    let (hub, hand) = aging();
    fill(&hub, "a", MANY, MANY);
    hand.wait(AGE);
    in_steps(|| hub.sweep());
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.retained, stats.evicted, stats.bytes), (0, 0, MANY, 0));
}

#[test]
fn publish_to_a_long_history_that_has_aged_out_evicts_a_part() {
    let (hub, hand) = aging();
    // Conflating readers come and go: what leaves memory is forgotten by its key, too.
    drop(hub.subscribe(Subscribe::topics(["a"]).overflow(Overflow::Latest)).unwrap());
    fill(&hub, "a", MANY, MANY / 2);
    hand.wait(AGE);
    in_steps(|| fill(&hub, "a", 1, 1));
    let evicted = hub.stats().evicted;
    assert!((1..=MOST as u64).contains(&evicted), "{evicted}");
    in_steps(|| fill(&hub, "a", 50, 1));
    assert_eq!(hub.stats().retained, 51);
}

#[test]
fn subscription_of_a_long_history_that_has_aged_out_gets_nothing_of_it() {
    for name in ["a", "*"] {
        for start in [Start::Oldest, Start::Last(10)] {
            let (hub, hand) = aging();
            fill(&hub, "a", MANY, MANY);
            hand.wait(AGE);
            fill(&hub, "a", 1, 1);
            let subscribe = Subscribe::patterns([name]).start(start);
            let mut subscription = in_steps(|| hub.subscribe(subscribe).unwrap());
            assert_eq!(read(&mut subscription), 1, "{name}");
        }
    }
}

#[test]
fn resume_over_a_long_history_that_has_aged_out_yields_a_gap() {
    for name in ["a", "*"] {
        let (hub, hand) = aging();
        let start = hub.publish_now(topic("a"), "x").unwrap().cursor().unwrap();
        fill(&hub, "a", MANY, MANY);
        hand.wait(AGE);
        let resume = Subscribe::patterns([name]).start(Start::After(start));
        let mut subscription = in_steps(|| hub.subscribe(resume).unwrap());
        let Some(Delivery::Gap(gap)) = poll(&mut subscription) else { panic!("{name}: no gap") };
        assert_eq!(gap.cursor, hub.cursor());
        assert_eq!(read(&mut subscription), 0);
    }
}

#[test]
fn start_at_the_last_events_of_a_history_of_which_most_have_expired() {
    for name in ["a", "*"] {
        let (hub, hand) = aging();
        fill(&hub, "a", 3, 1);
        for _ in 0..MANY {
            hub.publish_now(topic("a"), Event::text("x").with_ttl(Duration::from_secs(1))).unwrap();
        }
        fill(&hub, "a", 2, 1);
        hand.wait(Duration::from_secs(2));
        let last = Subscribe::patterns([name]).start(Start::Last(4));
        let mut subscription = hub.subscribe(last).unwrap();
        assert_eq!(read(&mut subscription), 4);
    }
}

/// Subscriptions of a topic and of one that each has with others, which have read everything.
fn followers(hub: &LocalHub, name: &str) -> Vec<Subscription> {
    let own = |n| hub.subscribe(Subscribe::patterns([name, &format!("own/{}", n % 64)])).expect("room");
    let mut all: Vec<_> = (0..MANY).map(own).collect();
    all.iter_mut().for_each(|subscription| assert!(poll(subscription).is_none()));
    all
}

#[test]
fn publish_to_many_subscriptions_of_several_topics_reaches_each() {
    for name in ["a", "*"] {
        let hub = builder().build();
        let mut all = followers(&hub, name);
        let published = hub.publish_now(topic("a"), "x").unwrap();
        assert_eq!(published.subscribers() as u64, MANY);
        all.iter_mut().for_each(|subscription| assert_eq!(read(subscription), 1));
        let batch = (0..3).map(|_| (topic("a"), Event::text("x")));
        hub.publish_batch(batch).unwrap();
        all.iter_mut().for_each(|subscription| assert_eq!(read(subscription), 3));
    }
}

#[test]
fn end_of_a_topic_with_many_subscriptions_reaches_each() {
    let hub = builder().build();
    let mut all = followers(&hub, "a");
    hub.finish(topic("a"), EndReason::Done).expect("the hub is open");
    assert!(all.iter_mut().all(|one| matches!(poll(one), Some(Delivery::TopicEnd(_)))));
}

#[test]
fn many_ends_are_forgotten_in_steps() {
    let (hub, hand) = aging();
    (0..MANY).for_each(|n| _ = hub.finish(topic(n), EndReason::Done).expect("the hub is open"));
    hand.wait(AGE);
    hub.publish_now(topic("other"), "").expect("room");
    assert_eq!(hub.stats().finished_topics as u64, MANY - 8, "a publish forgets a few");
    take_record();
    hub.sweep();
    assert_eq!(hub.stats().finished_topics, 0);
    let steps = take_record();
    assert!((64..=MOST).contains(&steps), "{steps}");
}

#[test]
fn batch_of_many_events_is_counted_event_by_event() {
    let hub = builder().build();
    hub.publish_batch((0..MANY).map(|n| (topic(n % 100), Event::text("x")))).unwrap();
    assert_eq!(hub.stats().published, MANY);
}

#[test]
fn eviction_of_a_segment_that_many_wait_with_wakes_each() {
    let hub = LocalHub::builder().max_bytes(3 << 19).build();
    let mut all = followers(&hub, "a");
    hub.publish_now(topic("a"), "x".repeat(900 << 10)).unwrap();
    all.iter_mut().for_each(|subscription| assert_eq!(read(subscription), 1));
    hub.publish_now(topic("b"), "x".repeat(700 << 10)).unwrap();
    assert!(!hub.has_history(&topic("a")));
    hub.publish_now(topic("a"), "x").unwrap();
    all.iter_mut().for_each(|subscription| assert_eq!(read(subscription), 1));
}

#[test]
fn close_with_many_waiting_subscriptions_ends_each() {
    let hub = builder().build();
    let mut all = followers(&hub, "a");
    let single = (0..MANY).map(|_| hub.subscribe(Subscribe::topics(["a"])).unwrap());
    all.extend(single);
    all.iter_mut().for_each(|subscription| assert!(poll(subscription).is_none()));
    hub.close();
    all.iter_mut().for_each(|subscription| assert!(matches!(poll(subscription), Some(Delivery::End(_)))));
}

#[test]
fn large_live_buffer_is_emptied_when_readers_have_read_it_or_leave() {
    for leaves in [true, false] {
        let hub = LocalHub::builder().retain(Retention::count(1)).live_buffer(64 << 20).build();
        let mut subscription = hub.subscribe(Subscribe::topics(["a"]).overflow(Overflow::Latest)).unwrap();
        fill(&hub, "a", MANY, MANY);
        let before = hub.stats().bytes;
        if leaves {
            in_steps(|| drop(subscription));
        } else {
            assert_eq!(read(&mut subscription) as u64, MANY);
            in_steps(|| fill(&hub, "a", 1, 1));
            assert_eq!(read(&mut subscription), 1);
            in_steps(|| hub.sweep());
        }
        let bytes = hub.stats().bytes;
        assert!(bytes < before / 100, "{bytes} of {before} bytes");
    }
}

#[test]
fn log_of_a_pattern_that_is_behind_is_dropped_with_its_last_subscription() {
    let hub = builder().build();
    let subscription = hub.subscribe(Subscribe::patterns(["*"])).unwrap();
    publish_each(&hub, (0..MANY).map(|n| n % 7));
    drop(subscription);
    assert_eq!(hub.stats().patterns, 0);
}
