//! Skips of a subscription to a cursor.

use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, EndState, Slot};
use tidings::{
    Cursor, EndReason, Event, GapReason, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription,
};

use super::deliveries::ready;
use super::sequence_names::{TOPICS, any_names};
use crate::support::{LineFormat, VirtualTimer, cases, next_gap, poll, poll_encoded, publish_text, topic};

fn of(hub: &LocalHub, names: &[&str], start: Start) -> Subscription {
    hub.subscribe(Subscribe::patterns(names.iter().copied()).start(start)).unwrap()
}

fn at(hub: &LocalHub, sequence: u64) -> Cursor {
    Cursor::new(hub.cursor().epoch(), sequence)
}

/// Publishes the numbers from 1 on to `a`.
fn publish_numbers(hub: &LocalHub, count: u64) {
    for number in 1..=count {
        publish_text(hub, "a", &number.to_string());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, key: Option<u8>, ttl: Option<u64> },
    Finish { topic: usize },
    Advance { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = prop_oneof![4 => Just(None), 1 => (1..40_u64).prop_map(Some)];
    prop_oneof![
        16 => (0..TOPICS.len(), prop::option::of(0..3_u8), ttl)
            .prop_map(|(topic, key, ttl)| Step::Publish { topic, key, ttl }),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::Finish { topic }),
        2 => prop_oneof![0..30_u64, Just(11_000)].prop_map(|millis| Step::Advance { millis }),
    ]
}

struct World {
    hub: LocalHub,
    clock: VirtualTimer,
    /// Sequences of the ends of topics, in order.
    ends: Vec<(u64, usize)>,
}

impl World {
    fn new() -> Self {
        let clock = VirtualTimer::new();
        Self { hub: LocalHub::builder().clock(clock.clone()).build(), clock, ends: Vec::new() }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish { topic, key, ttl } => {
                let text = (self.hub.cursor().sequence() + 1).to_string();
                let mut event = Event::text(text);
                if let Some(key) = key {
                    event = event.with_key(&key.to_string()).unwrap();
                }
                if let Some(ttl) = ttl {
                    event = event.with_ttl(Duration::from_millis(ttl));
                }
                let _ = self.hub.publish_now(TOPICS[topic], event);
            }
            Step::Finish { topic } => {
                let end = self.hub.finish(TOPICS[topic], EndReason::Done).unwrap();
                if self.ends.iter().all(|(_, ended)| *ended != topic) {
                    self.ends.push((end.cursor.sequence(), topic));
                }
            }
            Step::Advance { millis } => self.clock.advance(Duration::from_millis(millis)),
        }
    }
}

/// Reads what is ready, as batches or as bytes of at most `max`. An event is `7 a text`.
fn read(subscription: &mut Subscription, max: Option<usize>, mut deliveries: usize) -> Vec<String> {
    let mut items = Vec::new();
    while deliveries > 0 {
        deliveries -= 1;
        let delivery = match max {
            None => match poll(subscription) {
                Poll::Ready(Delivery::Events(batch)) => {
                    for event in batch.iter() {
                        let sequence = event.cursor.unwrap().sequence();
                        items.push(format!("{sequence} {} {}", event.topic, event.event.as_str().unwrap()));
                    }
                    continue;
                }
                Poll::Ready(other) => other,
                Poll::Pending => break,
            },
            Some(max) => match poll_encoded(subscription, &LineFormat(Some(Slot::APPLICATION[0])), max) {
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    items.extend(std::str::from_utf8(&events.bytes).unwrap().lines().map(str::to_owned));
                    continue;
                }
                Poll::Ready(EncodedDelivery::TopicEnd(end)) => Delivery::TopicEnd(end),
                Poll::Ready(EncodedDelivery::End(end)) => Delivery::End(end),
                Poll::Ready(other) => panic!("{other:?}"),
                Poll::Pending => break,
            },
        };
        match delivery {
            Delivery::TopicEnd(end) => items.push(format!("{} ended {}", end.topic, end.cursor.sequence())),
            Delivery::End(end) => {
                items.push(format!("{end:?}"));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    items
}

proptest! {
    #![proptest_config(cases(512))]

    /// A subscription that skips yields the ends up to the cursor, and then the same as one that starts at the cursor.
    #[test]
    fn skip_to_any_cursor_yields_the_rest_as_a_start_there(
        before in prop::collection::vec(step(), 0..60),
        between in prop::collection::vec(step(), 0..60),
        after in prop::collection::vec(step(), 0..20),
        names in any_names(),
        overflow in prop_oneof![Just(Overflow::Gap), Just(Overflow::Latest), Just(Overflow::Disconnect)],
        from in prop_oneof![Just(None), any::<u64>().prop_map(Some)],
        polls in 0..6_usize,
        to in any::<u64>(),
        max in prop::option::of(0..60_usize),
    ) {
        let mut world = World::new();
        before.iter().for_each(|step| world.step(step));
        let from = from.map(|from| from % (world.hub.cursor().sequence() + 1));
        let began = world.hub.cursor().sequence();
        let start = from.map_or(Start::Now, |from| Start::After(at(&world.hub, from)));
        let subscribe = |start| Subscribe::patterns(names.iter().copied()).start(start).overflow(overflow);
        let mut skipped = world.hub.subscribe(subscribe(start)).unwrap();
        let got = read(&mut skipped, max, polls);
        between.iter().for_each(|step| world.step(step));
        let got: Vec<_> = got.into_iter().chain(read(&mut skipped, max, polls / 2)).collect();

        // A start without a cursor is before the ends of topics that ended earlier, but not before their events.
        let least = if from.is_none() { began } else { 0 };
        let to = at(&world.hub, least + to % (world.hub.cursor().sequence() - least + 1));
        let here = skipped.cursor().unwrap();
        prop_assert!(skipped.skip_to(to));
        let to = if here.sequence() > to.sequence() { here } else { to };
        prop_assert_eq!(skipped.cursor(), Some(to));
        let mut started = world.hub.subscribe(subscribe(Start::After(to))).unwrap();
        after.iter().for_each(|step| world.step(step));

        let has_ended = |topic: usize| got.iter().any(|item| item.starts_with(&format!("{} ended", TOPICS[topic])));
        let is_named = |topic: usize| names.contains(&TOPICS[topic]) && !started.info().topics().iter().all(|name| name.as_str() != TOPICS[topic]);
        let before_start = |end: u64| from.is_some_and(|from| end <= from);
        let mut expected: Vec<_> = world.ends.iter()
            .filter(|(end, topic)| *end <= to.sequence() && is_named(*topic) && !has_ended(*topic) && !before_start(*end))
            .map(|(_, topic)| format!("{} ended {}", TOPICS[*topic], to.sequence()))
            .collect();
        expected.extend(read(&mut started, max, usize::MAX));
        let rest = read(&mut skipped, max, usize::MAX);
        if expected.iter().any(|item| item.contains("ended")) && from.is_none() {
            // The cursor of an end from before the start is the position at which the subscription began, if that is later.
            let without_cursor = |items: Vec<String>| items.into_iter()
                .map(|item| item.split_once(" ended").map_or(item.clone(), |(topic, _)| format!("{topic} ended")))
                .collect::<Vec<_>>();
            prop_assert_eq!(without_cursor(rest), without_cursor(expected));
        } else {
            prop_assert_eq!(rest, expected);
        }
        if skipped.info().end_state() != EndState::Finished {
            prop_assert_eq!(skipped.cursor(), started.cursor());
        }
    }
}

#[test]
fn skip_to_cursor_of_another_epoch_or_of_the_future_is_refused() {
    let hub = LocalHub::new();
    publish_text(&hub, "a", "1");
    for names in [&["a"][..], &["a", "b"], &["**"]] {
        let mut reader = of(&hub, names, Start::After(at(&hub, 0)));
        assert!(!reader.skip_to(Cursor::new(hub.cursor().epoch() + 1, 1)));
        assert!(!reader.skip_to(at(&hub, 2)));
        assert_eq!(ready(&mut reader), ["a: 1"]);
    }
}

#[test]
fn skip_drops_the_gap_of_an_epoch_and_keeps_the_one_of_events_after_the_cursor() {
    let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
    publish_numbers(&hub, 5);
    for names in [&["a"][..], &["a", "b"], &["**"]] {
        let start = Start::After(Cursor::new(1, 1));
        let mut reader = of(&hub, names, start);
        assert_eq!(reader.cursor(), None);
        assert!(reader.skip_to(at(&hub, 4)));
        assert_eq!(reader.cursor(), Some(at(&hub, 4)));
        assert_eq!(ready(&mut reader), ["a: 5"]);

        let mut reader = of(&hub, names, start);
        assert!(reader.skip_to(at(&hub, 2)));
        let gap = next_gap(&mut reader);
        assert_eq!((gap.reason, gap.missed), (GapReason::Evicted, None));
        assert!(gap.cursor.sequence() >= 2 && gap.gone.unwrap_or(gap.cursor).sequence() == 3, "{gap:?}");
        assert_eq!(ready(&mut reader), ["a: 4", "a: 5"]);
    }
}

#[test]
fn skip_of_a_subscription_that_fell_behind_yields_one_gap_of_the_events_after_the_cursor() {
    let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
    for names in [&["a"][..], &["a", "b"]] {
        let (mut kept, mut dropped) = (of(&hub, names, Start::Now), of(&hub, names, Start::Now));
        let first = hub.cursor().sequence();
        publish_numbers(&hub, 1_000);
        assert!(kept.skip_to(at(&hub, first + 3)));
        let gap = next_gap(&mut kept);
        assert_eq!((gap.reason, gap.missed, gap.after), (GapReason::Evicted, None, Some(at(&hub, first + 3))));
        assert_eq!(ready(&mut kept).last().unwrap(), "a: 1000");
        assert!(dropped.skip_to(at(&hub, first + 999)));
        assert_eq!(ready(&mut dropped), ["a: 1000"]);
    }
}

#[test]
fn skip_of_a_pattern_that_fell_behind_its_log_yields_a_gap_only_if_events_after_the_cursor_are_gone() {
    for (lost_at, gaps) in [(50, 0), (500, 1)] {
        let hub = LocalHub::builder().retain(Retention::count(10_000)).retain_for("b", Retention::count(0));
        let hub = hub.live_buffer(0).build();
        let mut reader = of(&hub, &["**"], Start::Now);
        publish_numbers(&hub, lost_at - 1);
        publish_text(&hub, "b", "lost");
        publish_numbers(&hub, 2_000);
        // The newest loss of `b` is behind the events that are gone from the log of the pattern.
        publish_text(&hub, "b", "in the log of the pattern");
        publish_numbers(&hub, 1);
        assert!(reader.skip_to(at(&hub, 100)));
        let rest = ready(&mut reader);
        assert_eq!(rest.iter().filter(|item| item.starts_with("-b ")).count(), gaps, "lost at {lost_at}");
        assert_eq!(rest.len() as u64, hub.cursor().sequence() - 100, "lost at {lost_at}");
        assert!(rest.iter().any(|item| item == "b: in the log of the pattern"), "lost at {lost_at}");
    }
}

#[test]
fn pending_gap_up_to_the_cursor_is_skipped_and_a_later_one_is_not() {
    let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
    publish_numbers(&hub, 5);
    publish_text(&hub, "b", "6");
    for names in [&["a", "b"][..], &["*"]] {
        let mut reader = of(&hub, names, Start::After(at(&hub, 0)));
        assert!(reader.skip_to(at(&hub, 2)));
        assert_eq!(ready(&mut reader), ["-a 3", "a: 4", "a: 5", "b: 6"]);
        let mut reader = of(&hub, names, Start::After(at(&hub, 0)));
        assert!(reader.skip_to(at(&hub, 3)));
        assert_eq!(ready(&mut reader), ["a: 4", "a: 5", "b: 6"]);
    }
}

#[test]
fn skip_into_a_lost_segment_that_another_subscription_holds_yields_no_event_up_to_the_cursor() {
    let lost = (Duration::from_secs(10), &["-a 5", "a: 6"][..]);
    let retained = (Duration::from_secs(3_600), &["a: 4", "a: 5", "a: 6"][..]);
    for (age, rest) in [lost, retained] {
        for names in [&["a"][..], &["a", "b"], &["**"]] {
            let clock = VirtualTimer::new();
            let hub = LocalHub::builder().retain(Retention::count(100).age(age)).live_buffer(0);
            let hub = hub.clock(clock.clone()).build();
            let (mut late, mut other) = (of(&hub, names, Start::Now), of(&hub, names, Start::Now));
            publish_text(&hub, "a", "1");
            assert_eq!(ready(&mut late), ["a: 1"]);
            // The first segment has one event, so the second one has these.
            for text in ["2", "3", "4", "5"] {
                publish_text(&hub, "a", text);
            }
            assert_eq!(ready(&mut other), ["a: 1", "a: 2", "a: 3", "a: 4", "a: 5"]);
            // Longer than the log of a pattern keeps an event.
            clock.advance(Duration::from_secs(11));
            publish_text(&hub, "a", "6");
            assert!(late.skip_to(at(&hub, 3)));
            assert_eq!(ready(&mut late), rest, "{names:?}, {age:?}");
        }
    }
}

#[test]
fn added_topic_that_ended_before_the_cursor_yields_its_end_after_the_skip() {
    let hub = LocalHub::new();
    publish_text(&hub, "a", "1");
    hub.finish("a", EndReason::Stopped).unwrap();
    publish_text(&hub, "b", "3");
    publish_text(&hub, "b", "4");
    let start = Start::After(at(&hub, 3));
    let subscribe = |names: &[&str]| Subscribe::topics(names.iter().copied()).start(start);
    for (names, rest) in
        [(&["a"][..], &["a.stopped 4 last", "Finished"][..]), (&["a", "b"], &["a.stopped 4"]), (&["b"], &[])]
    {
        let mut added = hub.subscribe(subscribe(names).added([topic("a")])).unwrap();
        assert!(added.skip_to(at(&hub, 4)));
        assert_eq!(added.cursor(), Some(at(&hub, 4)));
        assert_eq!(ready(&mut added), rest);
    }
    let mut known = hub.subscribe(subscribe(&["a", "b"])).unwrap();
    assert!(known.skip_to(at(&hub, 4)));
    assert_eq!(ready(&mut known), [""; 0], "a client that followed the topic has its end");
}

#[test]
fn skip_of_a_waiting_subscription_keeps_its_registration() {
    use crate::support::WakeCounter;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    let hub = LocalHub::new();
    for names in [&["a"][..], &["a", "b"], &["**"]] {
        let wakes = Arc::new(WakeCounter::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut reader = of(&hub, names, Start::Now);
        assert!(reader.poll_next(&mut Context::from_waker(&waker)).is_pending());
        publish_text(&hub, "c/1", "other");
        let cursor = hub.cursor();
        assert!(reader.skip_to(cursor));
        assert_eq!(reader.cursor(), Some(cursor));
        let before = wakes.count();
        assert!(reader.poll_next(&mut Context::from_waker(&waker)).is_pending());
        publish_text(&hub, "a", "1");
        assert_eq!(wakes.count(), before + 1);
        assert_eq!(ready(&mut reader), ["a: 1"]);
    }
}
