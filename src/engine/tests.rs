use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::model::log::{Node, SharedLog};
use crate::contract::{Delivery, PublishError, Start, Subscribe, Subscriber, SubscriptionEnd};
use crate::engine::driver::EngineDriver;
use crate::engine::engine_hub::{EngineHealth, EngineHub};
use crate::engine::engine_subscription::EngineSubscription;
use crate::hub::LocalHub;
use crate::model::{Cursor, EndReason, Retention};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Log, and the hub of one node.
struct World {
    log: SharedLog,
    node: usize,
    hub: EngineHub,
    driver: EngineDriver,
}

impl World {
    fn new() -> Self {
        Self::on(SharedLog::new(100, 1), 0)
    }

    fn on(log: SharedLog, node: usize) -> Self {
        Self::with_pending(log, node, 1 << 20)
    }

    fn with_pending(log: SharedLog, node: usize, bytes: usize) -> Self {
        let memory = || LocalHub::builder().retain(Retention::count(4)).live_buffer(0);
        let builder = EngineHub::builder(Node { log: log.clone(), number: node }).memory(memory).max_pending(bytes);
        let opened = ready(builder.open()).unwrap();
        Self { log, node, hub: opened.0, driver: opened.1 }
    }

    fn publish(&self, topic: &str, text: &str) -> Cursor {
        ready(self.hub.publish(topic, text)).unwrap().cursor().unwrap()
    }

    fn drive(&mut self) -> Poll<()> {
        Pin::new(&mut self.driver).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Pushes everything, and drives the hub.
    fn settle(&mut self) {
        for _ in 0..4 {
            self.log.push(self.node, &[0; 100], false);
            assert!(self.drive().is_pending());
        }
    }

    fn subscribe(&self, topics: &[&str], start: Start) -> EngineSubscription {
        self.hub.subscribe(Subscribe::topics(topics).start(start)).unwrap()
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("not ready"),
    }
}

fn poll(subscription: &mut EngineSubscription) -> Poll<Delivery> {
    subscription.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Returns what is ready: texts of events, and names of other deliveries.
fn all(subscription: &mut EngineSubscription) -> Vec<String> {
    let mut found = Vec::new();
    while let Poll::Ready(delivery) = poll(subscription) {
        match delivery {
            Delivery::Events(batch) => found.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned())),
            Delivery::Gap(gap) => found.push(format!("gap {}", gap.reason.as_str())),
            Delivery::TopicEnd(end) => found.push(format!("end of {}: {}", end.topic, end.reason.as_str())),
            Delivery::End(end) => {
                found.push(format!("{end:?}"));
                return found;
            }
        }
    }
    found
}

#[test]
fn subscription_from_now_has_what_is_published_before_it_is_followed() {
    let mut world = World::new();
    world.publish("a", "before");
    let mut now = world.subscribe(&["a"], Start::Now);
    world.publish("a", "1");
    assert!(poll(&mut now).is_pending());
    world.settle();
    world.publish("a", "2");
    world.settle();
    assert_eq!(all(&mut now), ["1", "2"]);
}

#[test]
fn end_of_a_topic_is_delivered_however_it_is_learned() {
    let mut world = World::new();
    let mut pushed = world.subscribe(&["a"], Start::Now);
    let mut both = world.subscribe(&["a", "b"], Start::Now);
    world.settle();
    world.publish("a", "1");
    // The connection is lost, so the end is read.
    world.log.disconnect(0);
    let end = ready(world.hub.finish("a", EndReason::Stopped)).unwrap();
    assert_eq!(ready(world.hub.finish("a", EndReason::Done)).unwrap(), end);
    assert!(matches!(ready(world.hub.publish("a", "late")), Err(PublishError::Finished(_))));
    world.settle();
    assert_eq!(all(&mut pushed), ["1", "end of a: stopped", "Finished"]);
    assert_eq!(all(&mut both), ["1", "end of a: stopped"]);

    // The topic had ended when this node began to follow it.
    let mut other = World::on(world.log.clone(), 0);
    let mut late = other.subscribe(&["a"], Start::Oldest);
    other.settle();
    assert_eq!(all(&mut late), ["1", "end of a: stopped", "Finished"]);

    // And when the hub began again, in another epoch.
    other.log.begin_epoch(0, false);
    let mut both = other.subscribe(&["a", "b"], Start::Now);
    other.settle();
    assert_eq!(all(&mut both), ["end of a: stopped"]);
}

#[test]
fn topic_continues_in_memory_if_its_end_is_lost_with_an_epoch() {
    let mut world = World::new();
    let mut reader = world.subscribe(&["a", "b"], Start::Now);
    world.settle();
    world.publish("a", "1");
    ready(world.hub.finish("a", EndReason::Done)).unwrap();
    world.settle();
    assert_eq!(all(&mut reader), ["1", "end of a: done"]);
    world.log.begin_epoch(1, false);
    world.settle();
    world.publish("a", "2");
    world.settle();
    assert_eq!(all(&mut reader), ["gap epoch", "1", "2"]);
}

#[test]
fn cursor_ahead_of_the_node_waits_for_it_and_a_made_up_one_is_a_gap() {
    let log = SharedLog::new(100, 2);
    let (mut world, other) = (World::on(log.clone(), 0), World::on(log, 1));
    world.publish("a", "1");
    world.settle();
    let ahead = other.publish("a", "2");
    let mut moved = world.subscribe(&["a"], Start::After(ahead));
    let mut made_up = world.subscribe(&["a"], Start::After(Cursor::new(ahead.epoch(), 1_000_000)));
    assert!(made_up.cursor().is_none());
    assert!(poll(&mut moved).is_pending() && poll(&mut made_up).is_pending());
    world.settle();
    assert_eq!(all(&mut made_up), ["gap invalid"]);
    world.publish("a", "3");
    world.settle();
    assert_eq!((all(&mut moved), all(&mut made_up)), (vec!["3".to_owned()], vec!["3".to_owned()]));
}

#[test]
fn subscription_that_begins_or_begins_again_has_the_cursor_of_its_client() {
    let mut world = World::new();
    let at = world.publish("a", "1");
    let mut reader = world.subscribe(&["a"], Start::Oldest);
    assert!(reader.cursor().is_none());
    assert!(reader.skip_to(at));
    assert_eq!(reader.cursor(), Some(at));
    let later = world.publish("a", "2");
    world.settle();
    assert_eq!(all(&mut reader), ["2"]);
    world.log.begin_epoch(0, false);
    // The follow of the new hub in memory is pending.
    world.log.lock().slow = 100;
    world.log.push(0, &[], false);
    assert!(world.drive().is_pending());
    assert!(poll(&mut reader).is_pending());
    assert_eq!(reader.cursor(), Some(later));
}

#[test]
fn cursor_of_an_epoch_that_the_node_does_not_know_is_checked() {
    let mut world = World::new();
    world.publish("a", "1");
    world.log.begin_epoch(0, false);
    let epoch = world.log.lock().epoch;
    // This node has not heard of it, but the client has a cursor of it from another one.
    let mut newer = world.subscribe(&["a"], Start::After(Cursor::new(epoch, 0)));
    let mut unknown = world.subscribe(&["a"], Start::After(Cursor::new(77, 1)));
    assert!(poll(&mut newer).is_pending() && poll(&mut unknown).is_pending());
    world.settle();
    assert_eq!(all(&mut newer), ["1"]);
    assert_eq!(all(&mut unknown), ["gap epoch", "1"]);
}

#[test]
fn health_is_that_of_the_connection_and_of_the_driver() {
    let mut world = World::new();
    assert_eq!(world.hub.health(), EngineHealth::Live);
    world.settle();
    world.log.disconnect(0);
    assert_eq!(world.hub.health(), EngineHealth::Degraded);
    world.settle();
    assert_eq!(world.hub.health(), EngineHealth::Live);
    let World { hub, driver, .. } = world;
    drop(driver);
    assert_eq!(hub.health(), EngineHealth::Down);
}

#[test]
fn closed_hub_ends_its_subscriptions_and_its_driver() {
    let mut world = World::new();
    let mut joined = world.subscribe(&["a"], Start::Now);
    world.settle();
    world.publish("a", "1");
    world.settle();
    assert_eq!(all(&mut joined), ["1"]);
    let mut waiting = world.subscribe(&["b"], Start::Now);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(waiting.poll_next(&mut Context::from_waker(&waker)).is_pending());
    world.hub.close();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    for subscription in [&mut joined, &mut waiting] {
        assert!(matches!(poll(subscription), Poll::Ready(Delivery::End(SubscriptionEnd::Closed))));
    }
    assert_eq!(ready(world.hub.publish("a", "late")), Err(PublishError::Closed));
    assert!(world.drive().is_ready());
}

#[test]
fn herd_that_returns_reads_the_log_by_the_number_of_its_topics() {
    let log = SharedLog::new(10, 1);
    let world = World::on(log.clone(), 0);
    for number in 0..100 {
        (0..3).for_each(|topic| _ = world.publish(&format!("t/{topic}"), &number.to_string()));
    }
    drop(world);
    let mut world = World::on(log, 0);
    let epoch = world.hub.cursor().epoch();
    let returns = |at: u64| {
        let topic = format!("t/{}", at % 3);
        (at, world.subscribe(&[&topic], Start::After(Cursor::new(epoch, at * 7 % 300))))
    };
    let mut herd: Vec<_> = (0..1_000).map(returns).collect();
    world.settle();
    let mut done = vec![0; herd.len()];
    for round in 0..400 {
        world.log.lock().time = Some(round);
        for ((_, subscription), done) in herd.iter_mut().zip(&mut done) {
            *done += all(subscription).len();
        }
    }
    for ((at, _), done) in herd.iter().zip(done) {
        // Sequences are 3 n + topic + 1.
        let (after, topic) = (at * 7 % 300, at % 3);
        let expected = (0..100).filter(|number| 3 * number + topic + 1 > after).count();
        assert_eq!(done, expected, "client {at}");
    }
    let reads = world.log.lock().reads;
    assert!(reads < 3 * 40, "{reads} reads");
}

#[test]
fn records_that_exceed_the_pending_bytes_are_read_when_the_last_of_them_is_complete() {
    let mut world = World::with_pending(SharedLog::new(100, 1), 0, 300);
    let mut reader = world.subscribe(&["a"], Start::Now);
    world.settle();
    assert!(poll(&mut reader).is_pending());
    (1..=6).for_each(|number| _ = world.publish("a", &number.to_string()));
    // Two records fit. The fifth, the sixth and the fourth are pushed first, and dropped.
    world.log.push(0, &[4, 4, 3], false);
    assert!(world.drive().is_pending());
    world.log.push(0, &[0], false);
    assert!(world.drive().is_pending());
    world.settle();
    assert_eq!(all(&mut reader), ["1", "2", "3", "4", "5", "6"]);
}
