//! `Overflow::Latest` and events that a newer event of their key replaces: over names and patterns, in history and after
//! they left it.

use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{
    Cursor, Event, GapReason, LocalHub, Overflow, Retention, Start, StateLimits, Subscribe, Subscriber, Subscription,
};

use crate::support::{LineFormat, VirtualTimer, next_gap, poll, poll_encoded, texts, topic};

/// Names that follow `a/x`.
const NAMES: [&[&str]; 6] = [&["a/x"], &["a/x", "b"], &["a/*"], &["a/**", "b"], &["**"], &["a/*", "b/*"]];

fn publish(hub: &LocalHub, name: &str, key: Option<&str>, text: &str) -> Cursor {
    let event = Event::text(text);
    let event = key.map_or(event.clone(), |key| event.with_key(key).unwrap());
    hub.publish_now(topic(name), event).unwrap().cursor().unwrap()
}

fn subscribe(hub: &LocalHub, names: &[&str], start: Start, overflow: Overflow) -> Subscription {
    hub.subscribe(Subscribe::patterns(names.iter().copied()).start(start).overflow(overflow)).unwrap()
}

/// Reads everything that is ready: the text of each event, and `-` with the sequence of each gap. Returns also the number of
/// events that were conflated.
fn read(subscription: &mut Subscription, encoded: bool) -> (Vec<String>, u32) {
    let (mut seen, mut conflated) = (Vec::new(), 0);
    loop {
        let gap = if encoded {
            match poll_encoded(subscription, &LineFormat::CACHED, 1 << 20) {
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    let lines = std::str::from_utf8(&events.bytes).unwrap().lines();
                    seen.extend(lines.map(|line| line.splitn(3, ' ').nth(2).unwrap().to_owned()));
                    conflated += events.conflated;
                    continue;
                }
                Poll::Ready(EncodedDelivery::Gap(gap)) => gap,
                Poll::Ready(end) => panic!("{end:?}"),
                Poll::Pending => return (seen, conflated),
            }
        } else {
            match poll(subscription) {
                Poll::Ready(Delivery::Events(batch)) => {
                    seen.extend(texts(&batch));
                    conflated += batch.conflated();
                    continue;
                }
                Poll::Ready(Delivery::Gap(gap)) => gap,
                Poll::Ready(end) => panic!("{end:?}"),
                Poll::Pending => return (seen, conflated),
            }
        };
        seen.push(format!("-{}", gap.cursor.sequence()));
    }
}

#[test]
fn latest_leaves_out_an_event_replaced_after_subscribe_for_every_name() {
    for (names, encoded) in NAMES.iter().flat_map(|names| [(*names, false), (*names, true)]) {
        let hub = LocalHub::new();
        publish(&hub, "a/x", Some("key"), "old");
        let mut latest = subscribe(&hub, names, Start::Oldest, Overflow::Latest);
        publish(&hub, "a/x", Some("key"), "new");
        assert_eq!(read(&mut latest, encoded), (vec!["new".to_owned()], 1), "{names:?}");
        drop(latest);
        let stats = hub.stats();
        assert_eq!((stats.delivered, stats.conflated, stats.missed), (1, 1, 0), "{names:?}");
    }
}

#[test]
fn latest_resume_behind_replaced_events_of_a_last_value_topic_yields_no_gap() {
    for (names, is_known) in NAMES.iter().flat_map(|names| [(*names, false), (*names, true)]) {
        let hub = LocalHub::builder().retain(Retention::count(1)).build();
        if is_known {
            drop(subscribe(&hub, names, Start::Now, Overflow::Latest));
        }
        let start = hub.cursor();
        let cursor = publish(&hub, "a/x", Some("key"), "seen");
        (0..200).for_each(|n| _ = publish(&hub, "a/x", Some("key"), &n.to_string()));
        for cursor in [start, cursor] {
            let mut latest = subscribe(&hub, names, Start::After(cursor), Overflow::Latest);
            assert_eq!(read(&mut latest, false), (vec!["199".to_owned()], 0), "{names:?}, {is_known}");
            assert_eq!(latest.cursor(), Some(hub.cursor()));
            let stats = hub.stats();
            assert_eq!((stats.gaps, stats.missed, stats.conflated), (0, 0, 0), "{names:?}");
        }
        let mut every = subscribe(&hub, names, Start::After(cursor), Overflow::Gap);
        assert_eq!(read(&mut every, false).0, ["-200", "199"], "{names:?}: other overflows get a gap");
    }
}

#[test]
fn latest_resume_behind_replaced_events_of_several_keys_yields_no_gap() {
    for names in NAMES {
        let hub = LocalHub::builder().retain(Retention::count(3)).build();
        let mut before = subscribe(&hub, names, Start::Now, Overflow::Latest);
        ["a", "b", "c"].iter().for_each(|key| _ = publish(&hub, "a/x", Some(key), "seen"));
        assert_eq!(read(&mut before, false).0.len(), 3);
        let cursor = before.cursor().unwrap();
        drop(before);
        for n in 0..200 {
            ["a", "b", "c"].iter().for_each(|key| _ = publish(&hub, "a/x", Some(key), &format!("{key}{n}")));
        }
        let mut latest = subscribe(&hub, names, Start::After(cursor), Overflow::Latest);
        assert_eq!(read(&mut latest, false).0, ["a199", "b199", "c199"], "{names:?}");
        // An event without a key is missed, and so is one whose key has no other event in history.
        let lost = ["note", "d"].map(|key| publish(&hub, "a/x", (key == "d").then_some(key), key)).map(sequence);
        ["a", "b", "c"].iter().for_each(|key| _ = publish(&hub, "a/x", Some(key), "last"));
        let mut latest = subscribe(&hub, names, Start::After(cursor), Overflow::Latest);
        let gap = format!("-{}", lost[1]);
        assert_eq!(read(&mut latest, false).0, [&gap, "last", "last", "last"], "{names:?}");
    }
}

/// The state of a keyed topic does not have the later removal if the earlier one was forgotten, so a client that is cut between
/// both does not get the later one.
#[test]
fn latest_yields_a_removal_although_a_later_one_of_its_key_is_unread() {
    let cases = NAMES.iter().map(|names| (*names, false)).chain([(NAMES[0], true)]);
    for (names, is_late) in cases {
        let keyed = Retention::count(1).state_limits(StateLimits::default().removals(0));
        let hub = LocalHub::builder().retain_for("a/x", keyed).live_buffer(10_000).build();
        let remove = || _ = hub.publish_now("a/x", Event::removal("removed").unwrap()).unwrap();
        let cursor = publish(&hub, "a/x", Some("removed"), "old");
        // Keeps the events in memory.
        let mut every = subscribe(&hub, names, Start::After(cursor), Overflow::Gap);
        let begin = || subscribe(&hub, names, Start::After(cursor), Overflow::Latest);
        let early = (!is_late).then(begin);
        remove();
        ["old", "new"].iter().for_each(|text| _ = publish(&hub, "a/x", Some("key"), text));
        remove();
        let mut latest = early.unwrap_or_else(begin);
        for line in ["2 a/x \n", "4 a/x new\n"] {
            let polled = poll_encoded(&mut latest, &LineFormat::CACHED, 0);
            assert!(
                matches!(&polled, Poll::Ready(EncodedDelivery::Events(events)) if events.bytes == line),
                "{polled:?}"
            );
        }
        let cut = latest.cursor().unwrap();
        drop(latest);
        assert_eq!(read(&mut every, true).0, ["", "old", "new", ""], "{names:?}");
        drop(every);
        // The later removal leaves memory.
        let large = "x".repeat(1 << 16);
        (0..3).for_each(|_| _ = publish(&hub, "a/x", Some("large"), &large));
        let resumed = read(&mut subscribe(&hub, names, Start::After(cut), Overflow::Latest), true);
        assert!(resumed.0 == [large], "{names:?}");
    }
}

fn sequence(cursor: Cursor) -> u64 {
    cursor.sequence()
}

#[test]
fn latest_resume_after_the_newest_event_of_a_key_expired_yields_gap() {
    for names in NAMES {
        let clock = VirtualTimer::new();
        let retention = Retention::count(2).age(Duration::from_secs(1));
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let followed = subscribe(&hub, &["a/x"], Start::Now, Overflow::Latest);
        let cursor = hub.cursor();
        let lost = ["1", "2"].map(|text| publish(&hub, "a/x", Some("old"), text));
        clock.advance(Duration::from_secs(2));
        hub.sweep();
        publish(&hub, "a/x", Some("new"), "3");
        let resume = |cursor| read(&mut subscribe(&hub, names, Start::After(cursor), Overflow::Latest), false).0;
        assert_eq!(resume(cursor), [format!("-{}", sequence(lost[1])), "3".into()], "{names:?}");
        assert_eq!(resume(lost[1]), ["3"], "{names:?}: no gap after that event");
        drop(followed);
    }
}

/// A dropped topic has no events that replace its lost ones.
#[test]
fn latest_resume_of_a_topic_without_history_yields_gap() {
    for names in NAMES {
        let hub = LocalHub::builder().retain(Retention::count(0)).build();
        let cursor = hub.cursor();
        (0..3).for_each(|n| _ = publish(&hub, "a/x", Some("key"), &n.to_string()));
        let mut latest = subscribe(&hub, names, Start::After(cursor), Overflow::Latest);
        assert_eq!(read(&mut latest, false).0, ["-3"], "{names:?}");
    }
}

#[test]
fn latest_lagging_behind_replaced_events_yields_no_gap() {
    for (names, encoded) in NAMES.iter().flat_map(|names| [(*names, false), (*names, true)]) {
        let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
        let mut latest = subscribe(&hub, names, Start::Now, Overflow::Latest);
        let total = 3_000;
        for n in 0..total {
            publish(&hub, "a/x", Some(["a", "b"][n % 2]), &n.to_string());
        }
        let (seen, conflated) = read(&mut latest, encoded);
        assert_eq!(seen, ["2998", "2999"], "{names:?}");
        let stats = hub.stats();
        assert_eq!((stats.gaps, stats.missed), (0, 0), "{names:?}");
        if names.iter().all(|name| !name.contains('*')) {
            assert_eq!((stats.conflated, u64::from(conflated)), (total as u64 - 2, total as u64 - 2), "{names:?}");
        }
        // The event without a key is missed, and the gap ends at it.
        let note = sequence(publish(&hub, "a/x", None, "note"));
        for n in 0..total {
            publish(&hub, "a/x", Some(["a", "b"][n % 2]), &n.to_string());
        }
        latest.release();
        assert_eq!(read(&mut latest, encoded).0, [format!("-{note}"), "2998".into(), "2999".into()], "{names:?}");
        assert_eq!(hub.stats().gaps, 1, "{names:?}");
    }
}

#[test]
fn latest_gap_counts_events_up_to_the_last_unreplaced_one() {
    for names in [&["a/x"][..], &["a/x", "b"]] {
        let hub = LocalHub::builder().retain(Retention::count(1)).live_buffer(0).build();
        let mut latest = subscribe(&hub, names, Start::Now, Overflow::Latest);
        (0..300).for_each(|_| _ = publish(&hub, "a/x", Some("key"), "tick"));
        publish(&hub, "a/x", None, "note");
        (0..700).for_each(|_| _ = publish(&hub, "a/x", Some("key"), "tick"));
        latest.release();
        let gap = next_gap(&mut latest);
        assert_eq!((gap.reason, gap.missed, sequence(gap.cursor)), (GapReason::Overflow, Some(301), 301));
        assert_eq!(read(&mut latest, false), (vec!["tick".to_owned()], 699));
        drop(latest);
        let stats = hub.stats();
        assert_eq!((stats.delivered, stats.missed, stats.conflated), (1, 301, 699));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, key: Option<usize> },
    Burst { topic: usize, keys: usize, count: usize },
    Read { encoded: bool },
    Resume,
    Advance,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, prop::option::of(0..3_usize)).prop_map(|(topic, key)| Step::Publish { topic, key }),
        1 => (0..3_usize, 1..40_usize, 0..1_500_usize)
            .prop_map(|(topic, keys, count)| Step::Burst { topic, keys, count }),
        3 => any::<bool>().prop_map(|encoded| Step::Read { encoded }),
        1 => Just(Step::Resume),
        1 => Just(Step::Advance),
    ]
}

proptest! {
    #![proptest_config(crate::support::cases(100))]

    /// A subscription that conflates over patterns gets and counts the same events as one over the names, whenever it reads
    /// and however far it lags behind the logs of the patterns.
    #[test]
    fn p5_latest_over_patterns_delivers_and_counts_the_same_as_over_names(
        before in prop::collection::vec(step(), 0..20),
        steps in prop::collection::vec(step(), 1..40),
        oldest in any::<bool>(),
    ) {
        const TOPICS: [&str; 3] = ["a/x", "a/y", "b/z"];
        let clock = VirtualTimer::new();
        let retention = Retention::count(usize::MAX).bytes(usize::MAX);
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let mut number = 0;
        let mut apply = |step: &Step| {
            let mut one = |topic: usize, key: Option<usize>| {
                number += 1;
                publish(&hub, TOPICS[topic], key.map(|key| key.to_string()).as_deref(), &format!("{number}"));
            };
            match *step {
                Step::Publish { topic, key } => one(topic, key),
                Step::Burst { topic, keys, count } => (0..count).for_each(|n| one(topic, Some(n % keys))),
                Step::Advance => clock.advance(Duration::from_secs(11)),
                Step::Read { .. } | Step::Resume => {}
            }
        };
        before.iter().for_each(&mut apply);
        let start = if oldest { Start::Oldest } else { Start::Now };
        let all: [&[&str]; 4] = [&TOPICS, &["a/*", "b/*"], &["**"], &["a/x", "a/y", "b/**"]];
        let mut readers = all.map(|names| subscribe(&hub, names, start, Overflow::Latest));
        let last = Step::Read { encoded: false };
        for step in steps.iter().chain([&last]) {
            apply(step);
            let (&Step::Read { .. } | &Step::Resume) = step else { continue };
            let mut seen = Vec::new();
            for (names, reader) in all.iter().zip(&mut readers) {
                if let Step::Resume = step {
                    let cursor = reader.cursor().unwrap();
                    *reader = subscribe(&hub, names, Start::After(cursor), Overflow::Latest);
                }
                // Events that left the pattern's log in a segment that the reader holds may be read although they were replaced.
                reader.release();
                let before = hub.stats();
                let read = read(reader, matches!(step, Step::Read { encoded: true }));
                let stats = hub.stats();
                prop_assert_eq!((stats.gaps, stats.missed), (0, 0));
                prop_assert_eq!(stats.delivered - before.delivered, read.0.len() as u64, "{:?}", names);
                seen.push((read.0, stats.conflated - before.conflated));
            }
            prop_assert!(seen.iter().all(|one| *one == seen[0]), "{:?}", seen);
        }
    }
}
