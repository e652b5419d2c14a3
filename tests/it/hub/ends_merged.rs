//! Ends of topics in subscriptions of several topics and of patterns.

use std::sync::Arc;
use std::task::{Context, Waker};

use tidings::subscriber::EndState;
use tidings::{Cursor, EndReason, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription};

use super::deliveries::{ready, ready_encoded};
use crate::support::{WakeCounter, next_gap, publish_text};

fn of(hub: &LocalHub, names: &[&str], start: Start) -> Subscription {
    hub.subscribe(Subscribe::patterns(names.iter().copied()).start(start)).unwrap()
}

fn after(hub: &LocalHub, sequence: u64) -> Start {
    Start::After(Cursor::new(hub.cursor().epoch(), sequence))
}

fn finish(hub: &LocalHub, name: &str) {
    hub.finish(name, EndReason::Done).unwrap();
}

/// Returns a hub with the events 1 and 4 of `a`, 2 and 5 of `b`, the end of `a` at 6, the event 7 of `b` and its end at 8.
fn hub() -> LocalHub {
    let hub = LocalHub::new();
    for (name, text) in [("a", "1"), ("b", "2"), ("c", "3"), ("a", "4"), ("b", "5")] {
        publish_text(&hub, name, text);
    }
    finish(&hub, "a");
    publish_text(&hub, "b", "7");
    finish(&hub, "b");
    hub
}

#[test]
fn ends_come_in_merge_order_and_the_last_is_marked() {
    let hub = hub();
    let all = ["a: 1", "b: 2", "a: 4", "b: 5", "a.done 6", "b: 7", "b.done 8 last", "Finished"];
    assert_eq!(ready(&mut of(&hub, &["a", "b"], Start::Oldest)), all);
    assert_eq!(ready(&mut of(&hub, &["b", "a"], after(&hub, 0))), all);
    let encoded = ["1 a 1", "2 b 2", "4 a 4", "5 b 5", "a.done 6", "7 b 7", "b.done 8 last", "Finished"];
    for max in [0, 8, 1_000] {
        assert_eq!(ready_encoded(&mut of(&hub, &["a", "b"], Start::Oldest), max), encoded);
    }
}

#[test]
fn resume_at_every_cursor_yields_the_rest() {
    let hub = hub();
    let rest = |sequence| ready(&mut of(&hub, &["a", "b"], after(&hub, sequence)));
    assert_eq!(rest(5), ["a.done 6", "b: 7", "b.done 8 last", "Finished"]);
    assert_eq!(rest(6), ["b: 7", "b.done 8 last", "Finished"]);
    assert_eq!(rest(7), ["b.done 8 last", "Finished"]);
    assert_eq!(rest(8), ["Finished"]);
    assert_eq!(ready(&mut of(&hub, &["a", "c"], after(&hub, 6))), [""; 0], "c goes on");
    assert_eq!(of(&hub, &["a", "b"], after(&hub, 8)).info().end_state(), EndState::Finished);
    assert_eq!(of(&hub, &["a", "b"], after(&hub, 7)).info().end_state(), EndState::Ended);
    assert_eq!(of(&hub, &["a", "c"], after(&hub, 7)).info().end_state(), EndState::Live);
}

#[test]
fn live_subscription_goes_on_after_the_end_of_one_topic() {
    let hub = LocalHub::new();
    let mut both = of(&hub, &["a", "b"], Start::Now);
    assert!(ready(&mut both).is_empty());
    finish(&hub, "a");
    assert_eq!(both.cursor().unwrap().sequence(), 0);
    assert_eq!(ready(&mut both), ["a.done 1"]);
    assert_eq!(both.info().end_state(), EndState::Live);
    publish_text(&hub, "b", "2");
    assert_eq!(ready(&mut both), ["b: 2"]);
    finish(&hub, "b");
    assert_eq!(both.info().end_state(), EndState::Ended);
    hub.close();
    assert_eq!(ready(&mut both), ["b.done 3 last", "Finished"]);
    assert_eq!(both.info().end_state(), EndState::Finished);
}

#[test]
fn close_before_all_topics_have_ended_closes_after_the_ends() {
    let hub = LocalHub::new();
    let mut both = of(&hub, &["a", "b"], Start::Now);
    publish_text(&hub, "b", "1");
    finish(&hub, "a");
    hub.close();
    assert_eq!(ready(&mut both), ["b: 1", "a.done 2", "Closed"]);
    assert_eq!(both.info().end_state(), EndState::Live);
}

#[test]
fn finish_wakes_a_subscription_of_several_topics_once() {
    let hub = LocalHub::new();
    let mut both = of(&hub, &["a", "b"], Start::Now);
    let wakes = Arc::new(WakeCounter::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(both.poll_next(&mut Context::from_waker(&waker)).is_pending());
    finish(&hub, "a");
    assert_eq!(wakes.count(), 1);
    assert_eq!(ready(&mut both), ["a.done 1"]);
}

#[test]
fn start_at_now_yields_the_ends_and_no_older_event_after_them() {
    let hub = hub();
    publish_text(&hub, "c", "9");
    let mut three = of(&hub, &["a", "b", "c"], Start::Now);
    let start = three.cursor().unwrap();
    assert_eq!(start.sequence(), 5, "a client that resumes here gets both ends");
    assert_eq!(
        ready(&mut of(&hub, &["a", "b", "c"], Start::After(start))),
        ["a.done 6", "b: 7", "b.done 8", "c: 9"],
        "and more than it asked for"
    );
    assert_eq!(ready(&mut three), ["a.done 7", "b.done 9"]);
    publish_text(&hub, "c", "10");
    assert_eq!(ready(&mut three), ["c: 10"]);
    let mut last = of(&hub, &["a", "b", "c"], Start::Last(1));
    assert_eq!(ready(&mut last), ["a: 4", "a.done 6", "b: 7", "b.done 8", "c: 10"]);
}

#[test]
fn gap_of_an_unreadable_cursor_comes_before_the_ends() {
    let hub = hub();
    let mut both = of(&hub, &["a", "b"], Start::Unreadable);
    let gap = next_gap(&mut both);
    assert_eq!((gap.cursor.sequence(), gap.gone.unwrap().sequence()), (5, 8));
    assert_eq!(both.cursor(), Some(gap.cursor));
    assert_eq!(ready(&mut both), ["a.done 7", "b.done 8 last", "Finished"]);
}

#[test]
fn topic_with_its_own_start_yields_its_end_after_the_events_of_that_start() {
    let hub = hub();
    publish_text(&hub, "c", "9");
    let request = || Subscribe::topics(["a", "b", "c"]).start_of("a", Start::Last(1));
    let mut three = hub.subscribe(request()).unwrap();
    assert_eq!(three.cursor().unwrap().sequence(), 3);
    assert_eq!(ready(&mut three), ["a: 4", "a.done 6", "b.done 8"]);
    let cursor = Cursor::new(hub.cursor().epoch(), 6);
    let mut resumed = hub.subscribe(request().start(Start::After(cursor))).unwrap();
    assert_eq!(ready(&mut resumed), ["b: 7", "b.done 8", "c: 9"], "a cursor applies to all");
}

#[test]
fn subscription_too_slow_for_one_topic_stays_too_slow_after_the_end_of_another() {
    let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
    let both = Subscribe::topics(["a", "b"]).overflow(Overflow::Disconnect);
    let mut both = hub.subscribe(both).unwrap();
    finish(&hub, "a");
    (0..600).for_each(|n| _ = publish_text(&hub, "b", &n));
    finish(&hub, "b");
    assert_eq!(ready(&mut both), ["TooSlow"]);
    assert_eq!(both.info().end_state(), EndState::Live);
}

#[test]
fn pattern_gets_no_ends_and_never_finishes() {
    let hub = LocalHub::new();
    let mut pattern = of(&hub, &["a/*"], Start::Now);
    let mut mixed = of(&hub, &["a/*", "b", "a/x"], Start::Now);
    publish_text(&hub, "a/x", "1");
    for name in ["a/x", "b"] {
        finish(&hub, name);
    }
    publish_text(&hub, "a/y", "4");
    assert_eq!(ready(&mut pattern), ["a/x: 1", "a/y: 4"]);
    assert_eq!(ready(&mut mixed), ["a/x: 1", "b.done 3", "a/y: 4"], "the end of a topic that it names");
    for subscription in [&pattern, &mixed] {
        assert_eq!(subscription.info().end_state(), EndState::Live);
    }
    let items = ["a/x: 1", "b.done 3", "a/y: 4"];
    assert_eq!(ready(&mut of(&hub, &["a/*", "b"], after(&hub, 0))), items);
    assert_eq!(ready(&mut of(&hub, &["a/*", "b"], after(&hub, 2))), items[1..]);
    assert_eq!(ready(&mut of(&hub, &["a/*", "b"], after(&hub, 3))), items[2..]);
    assert_eq!(ready(&mut of(&hub, &["**"], after(&hub, 1))), items[2..]);
    hub.close();
    assert_eq!((ready(&mut pattern), ready(&mut mixed)), (vec!["Closed".to_owned()], vec!["Closed".to_owned()]));
}

#[test]
fn evicted_history_yields_gap_before_the_end() {
    let hub = LocalHub::builder().retain(Retention::count(0)).build();
    let start = hub.cursor();
    publish_text(&hub, "a", "1");
    publish_text(&hub, "b", "2");
    finish(&hub, "a");
    finish(&hub, "b");
    assert_eq!(
        ready(&mut of(&hub, &["a", "b"], Start::After(start))),
        ["-a 1", "-b 2", "a.done 3", "b.done 4 last", "Finished"]
    );
}

#[test]
fn pattern_resumes_at_every_cursor_around_an_end_at_the_boundary_of_an_index_block() {
    for boundary in [512, 1_024] {
        let hub = LocalHub::builder().retain(Retention::count(4_096)).build();
        // Each event has a topic of its own, so that the index keeps several blocks.
        (0..boundary).for_each(|n| _ = publish_text(&hub, &format!("x/{n}"), ""));
        finish(&hub, "other");
        (0..2_000).for_each(|n| _ = publish_text(&hub, &format!("y/{n}"), ""));
        let (end, head) = (boundary + 1, hub.cursor().sequence());
        let around = [boundary - 1, boundary, end, end + 1, 2 * boundary, head - 1];
        for sequence in (0..=head).step_by(101).chain(around) {
            let rest = ready(&mut of(&hub, &["x/*", "y/*"], after(&hub, sequence)));
            let events = head - sequence - u64::from(sequence < end);
            assert_eq!(rest.len() as u64, events, "after {sequence} with an end at {end}");
            assert!(!rest.iter().any(|item| item.starts_with('-')), "no gap after {sequence}");
        }
    }
}
