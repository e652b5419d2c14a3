//! The end of a topic is remembered after its events and its log are gone, and then forgotten.

use std::time::Duration;

use tidings::{EndReason, LocalHub, LocalHubBuilder, PublishError, Retention, Start, Subscribe, Subscription};

use super::deliveries::ready;
use crate::support::{VirtualTimer, publish_text, topic};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn from(hub: &LocalHub, name: &str, start: Start) -> Subscription {
    hub.subscribe(Subscribe::topics([name]).start(start)).unwrap()
}

fn is_finished(hub: &LocalHub, name: &str) -> bool {
    match hub.publish_now(name, "again") {
        Err(PublishError::Finished(_)) => true,
        Ok(_) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Returns a hub, and its clock.
fn timed(builder: LocalHubBuilder) -> (LocalHub, VirtualTimer) {
    let clock = VirtualTimer::new();
    (builder.clock(clock.clone()).build(), clock)
}

#[test]
fn end_outlives_the_log_of_the_topic() {
    let (hub, _clock) = timed(LocalHub::builder().retain(Retention::count(0)));
    let start = hub.cursor();
    publish_text(&hub, "a", "1");
    hub.finish("a", EndReason::Done).unwrap();
    hub.finish("never/published", EndReason::Done).unwrap();
    assert_eq!((hub.stats().topics, hub.stats().tombstones, hub.stats().finished_topics), (0, 1, 2));
    assert!(is_finished(&hub, "a") && is_finished(&hub, "never/published"));
    assert_eq!(hub.stats().topics, 0, "a refused publish creates none");
    assert_eq!(ready(&mut from(&hub, "a", Start::After(start))), ["-a 1", "a.done 2 last", "Finished"]);
    assert_eq!(ready(&mut from(&hub, "a", Start::Oldest)), ["a.done 3 last", "Finished"]);
    assert_eq!(ready(&mut from(&hub, "never/published", Start::Now)), ["never/published.done 3 last", "Finished"]);
    assert_eq!(hub.stats().topics, 0);
}

#[test]
fn end_outlives_eviction_by_the_byte_budget() {
    let (hub, _clock) = timed(LocalHub::builder().max_bytes(60_000));
    let start = hub.cursor();
    publish_text(&hub, "a", &"x".repeat(30_000));
    let end = hub.finish("a", EndReason::Done).unwrap();
    (0..1_000).for_each(|n| _ = publish_text(&hub, &format!("flood/{n}"), &"x".repeat(1_000)));
    assert!(!hub.has_history(&topic("a")), "its event is evicted");
    assert!(is_finished(&hub, "a"));
    assert_eq!(hub.finish("a", EndReason::Failed).unwrap(), end);
    assert_eq!(ready(&mut from(&hub, "a", Start::After(start))), ["-a 1", "a.done 2 last", "Finished"]);
    assert_eq!(ready(&mut from(&hub, "a", Start::After(end.cursor))), ["Finished"]);
}

#[test]
fn topic_is_as_new_after_its_retention_age() {
    let (hub, clock) = timed(LocalHub::builder().retain(Retention::default().age(5 * SECOND)));
    publish_text(&hub, "a", "1");
    let end = hub.finish("a", EndReason::Done).unwrap();
    clock.advance(5 * SECOND - Duration::from_nanos(1));
    hub.sweep();
    assert!(is_finished(&hub, "a"));
    clock.advance(Duration::from_nanos(1));
    hub.sweep();
    assert_eq!((hub.stats().finished_topics, hub.stats().topics), (0, 0));
    assert!(!is_finished(&hub, "a"));
    let mut back = from(&hub, "a", Start::After(end.cursor));
    assert_eq!(ready(&mut back), ["a: again"]);
    assert_ne!(hub.finish("a", EndReason::Stopped).unwrap(), end);
    assert_eq!(ready(&mut back), ["a.stopped 4 last", "Finished"]);
}

#[test]
fn end_is_remembered_for_24_hours_at_most() {
    let (hub, clock) = timed(LocalHub::builder().retain(Retention::default().age(48 * HOUR)));
    publish_text(&hub, "a", "1");
    hub.finish("a", EndReason::Done).unwrap();
    clock.advance(24 * HOUR - SECOND);
    hub.sweep();
    assert!(is_finished(&hub, "a"));
    clock.advance(SECOND);
    hub.sweep();
    assert!(!is_finished(&hub, "a"));
    assert_eq!(ready(&mut from(&hub, "a", Start::Oldest)), ["a: 1", "a: again"], "its history goes on");
}

#[test]
fn end_is_forgotten_without_a_sweep_when_the_topic_is_used_again() {
    let (hub, clock) = timed(LocalHub::builder().retain(Retention::default().age(SECOND)));
    for name in ["a", "b", "c"] {
        hub.finish(name, EndReason::Done).unwrap();
    }
    let (idle, mut read) = (from(&hub, "c", Start::Now), from(&hub, "b", Start::Now));
    assert_eq!(ready(&mut read).len(), 2);
    clock.advance(SECOND);
    assert!(!is_finished(&hub, "a") && !is_finished(&hub, "b"));
    assert!(is_finished(&hub, "c"), "a subscription has not read it");
    drop(idle);
    assert!(!is_finished(&hub, "c"));
}

#[test]
fn topic_with_a_subscription_that_has_not_read_the_end_stays_finished() {
    let (hub, clock) = timed(LocalHub::builder().retain(Retention::default().age(SECOND)));
    let [mut slow, leaving] = [(); 2].map(|()| from(&hub, "a", Start::Now));
    let mut pattern = hub.subscribe(Subscribe::patterns(["a/**", "*"])).unwrap();
    publish_text(&hub, "a", "1");
    let end = hub.finish("a", EndReason::Done).unwrap();
    clock.advance(HOUR);
    hub.sweep();
    assert_eq!(hub.stats().finished_topics, 0, "it is forgotten");
    assert!(is_finished(&hub, "a"));
    assert_eq!(hub.finish("a", EndReason::Failed).unwrap(), end);
    let mut late = from(&hub, "a", Start::Now);
    assert_eq!(ready(&mut late), ["a.done 2 last", "Finished"]);
    drop(leaving);
    assert!(is_finished(&hub, "a"));
    assert_eq!(ready(&mut slow)[1..], ["a.done 2 last", "Finished"]);
    assert!(!is_finished(&hub, "a"), "the last subscription has read it");
    assert_eq!(ready(&mut slow), ["Finished"]);
    assert_eq!(ready(&mut pattern), ["a: 1", "a: again"]);
}

#[test]
fn oldest_ends_are_forgotten_beyond_65_536() {
    let (hub, _clock) = timed(LocalHub::builder());
    let mut read = from(&hub, "end/0", Start::Now);
    let unread = from(&hub, "end/1", Start::Now);
    (0..65_536).for_each(|n| _ = hub.finish(format!("end/{n}"), EndReason::Done).unwrap());
    assert_eq!(ready(&mut read).len(), 2);
    assert!(is_finished(&hub, "end/0"));
    hub.finish("end/a", EndReason::Done).unwrap();
    hub.finish("end/b", EndReason::Done).unwrap();
    assert_eq!(hub.stats().finished_topics, 65_536);
    assert!(!is_finished(&hub, "end/0"));
    assert!(is_finished(&hub, "end/1"), "a subscription has not read it");
    assert!(is_finished(&hub, "end/2"));
    drop(unread);
    assert!(!is_finished(&hub, "end/1"));
}

#[test]
fn publishes_forget_ends_whose_time_has_come() {
    let (hub, clock) = timed(LocalHub::builder().retain(Retention::default().age(SECOND)));
    (0..1_000).for_each(|n| _ = hub.finish(format!("end/{n}"), EndReason::Done).unwrap());
    clock.advance(2 * SECOND);
    (0..200).for_each(|n| _ = publish_text(&hub, "a", &n));
    assert_eq!(hub.stats().finished_topics, 0);
}

#[test]
fn forgotten_tombstone_adds_no_gap_after_the_end() {
    let (hub, _clock) = timed(LocalHub::builder().retain(Retention::count(0)));
    publish_text(&hub, "a", "1");
    let end = hub.finish("a", EndReason::Done).unwrap();
    (0..70_000).for_each(|n| _ = publish_text(&hub, &format!("once/{n}"), ""));
    assert_eq!(ready(&mut from(&hub, "a", Start::After(end.cursor))), ["Finished"]);
    let before = tidings::Cursor::new(end.cursor.epoch(), 0);
    assert_eq!(ready(&mut from(&hub, "a", Start::After(before))), ["-a 1", "a.done 2 last", "Finished"]);
}
