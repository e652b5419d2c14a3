//! Snapshots that are older than the missing events, and snapshots without a cursor, over a hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidings::subscriber::{Delivery, EncodedDelivery, Recover, SubscriberExt};
use tidings::{
    Cursor, Event, Gap, GapReason, LocalHub, Retention, Snapshot, Start, Subscribe, Subscriber, Subscription, Topic,
};

use crate::support::counting::CursorLineFormat;

/// Names that a subscription of a case follows.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// Topic `t/a` alone.
    One,
    /// Topics `t/a` and `t/b`.
    Two,
    /// Pattern `t/*`.
    Pattern,
}

impl Names {
    fn subscribe(self) -> Subscribe {
        match self {
            Self::One => Subscribe::topics(["t/a"]),
            Self::Two => Subscribe::topics(["t/a", "t/b"]),
            Self::Pattern => Subscribe::patterns(["t/*"]),
        }
    }
}

/// Returns a hub with `first` events of `t/a` and then `second` events of `t/b`.
fn hub(retain: usize, first: usize, second: usize) -> LocalHub {
    let hub = LocalHub::builder().retain(Retention::count(retain)).build();
    for (topic, events) in [("t/a", first), ("t/b", second)] {
        (0..events).for_each(|_| assert!(hub.publish_now(Topic::new(topic).unwrap(), "x").is_ok()));
    }
    hub
}

fn snapshot() -> Snapshot {
    Snapshot::new([(Topic::new("state").unwrap(), Event::text("s"))])
}

/// Returns the subscriber of a client with this start, and a snapshot with the cursor `as_of` for each gap.
fn recovering(
    hub: &LocalHub,
    names: Names,
    start: Start,
    as_of: Cursor,
) -> Recover<Subscription, impl tidings::subscriber::Recovery> {
    let subscription = hub.subscribe(names.subscribe().start(start)).unwrap();
    subscription.recover_with(move |_: &Gap| async move { Some(snapshot().with_cursor(as_of)) }).with_start(start)
}

/// Reads everything: the sequence of an event, the reason of a gap, with `+` if a snapshot follows, and `s` for the
/// snapshot.
fn yielded(subscriber: &mut impl Subscriber, encoded: bool) -> Vec<String> {
    let (mut all, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    let item = |gap: &Gap| format!("{}{}", gap.reason.as_str(), if gap.snapshot { "+" } else { "" });
    let event = |cursor: &str, topic: &str| match topic {
        "state" => "s".to_owned(),
        _ => cursor.parse::<Cursor>().unwrap().sequence().to_string(),
    };
    loop {
        if encoded {
            match subscriber.poll_encoded(&mut cx, &CursorLineFormat, 30) {
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    for line in std::str::from_utf8(&events.bytes).unwrap().lines() {
                        let mut words = line.split(' ');
                        all.push(event(words.next().unwrap(), words.next().unwrap()));
                    }
                }
                Poll::Ready(EncodedDelivery::Gap(gap)) => all.push(item(&gap)),
                _ => return all,
            }
        } else {
            match subscriber.poll_next(&mut cx) {
                Poll::Ready(Delivery::Events(batch)) => {
                    all.extend(batch.iter().map(|it| event(&it.cursor.unwrap().to_string(), it.topic.as_str())));
                }
                Poll::Ready(Delivery::Gap(gap)) => all.push(item(&gap)),
                _ => return all,
            }
        }
    }
}

/// Returns a start at a cursor of another epoch.
fn other_epoch() -> Start {
    Start::After("zz.a5".parse().unwrap())
}

#[test]
fn snapshot_older_than_the_missing_events_is_not_sent() {
    use Names::{One, Pattern, Two};
    let all = ["1", "2", "3", "4", "5", "6", "7", "8"];
    let sent = |gap: &str, from: usize| -> Vec<String> {
        [gap, "s"].into_iter().chain(all.into_iter().skip(from)).map(str::to_owned).collect()
    };
    let not_sent = |gap: &str, rest: &[&str]| -> Vec<String> {
        [gap].into_iter().chain(rest.iter().copied()).map(str::to_owned).collect()
    };
    for names in [One, Two, Pattern] {
        // Eight events of one topic: the number retained, the start, the cursor of the snapshot, and the items.
        for (retain, start, as_of, expected) in [
            (8, Start::Unreadable, 5, not_sent("invalid", &[])),
            (8, Start::Unreadable, 8, sent("invalid+", 8)),
            (2, Start::Unreadable, 7, not_sent("invalid", &[])),
            (8, other_epoch(), 5, sent("epoch+", 5)),
            (8, other_epoch(), 0, sent("epoch+", 0)),
            (2, other_epoch(), 5, not_sent("epoch", &["7", "8"])),
            (2, other_epoch(), 6, sent("epoch+", 6)),
            (2, other_epoch(), 8, sent("epoch+", 8)),
            (0, other_epoch(), 5, not_sent("epoch", &[])),
            (0, other_epoch(), 7, not_sent("epoch", &[])),
            (0, other_epoch(), 8, sent("epoch+", 8)),
        ] {
            for encoded in [true, false] {
                let hub = hub(retain, 8, 0);
                let as_of = Cursor::new(hub.cursor().epoch(), as_of);
                let mut subscriber = recovering(&hub, names, start, as_of);
                let case = format!("{names:?} {retain} {start:?} {as_of}");
                assert_eq!(yielded(&mut subscriber, encoded), expected, "{case}");
                assert_eq!(subscriber.cursor(), Some(hub.cursor()), "{case}");
            }
        }
    }
    // Each of two topics lost two events. The last of all of them decides.
    for names in [Two, Pattern] {
        for (as_of, expected) in [
            (2, not_sent("epoch", &["3", "4", "7", "8"])),
            (5, not_sent("epoch", &["3", "4", "7", "8"])),
            (6, not_sent("epoch+", &["s", "7", "8"])),
        ] {
            let hub = hub(2, 4, 4);
            let as_of = Cursor::new(hub.cursor().epoch(), as_of);
            assert_eq!(
                yielded(&mut recovering(&hub, names, other_epoch(), as_of), true),
                expected,
                "{names:?} {as_of}"
            );
        }
    }
}

/// A cursor of another epoch cannot be compared with the events of this epoch.
#[test]
fn snapshot_of_another_epoch_is_sent_only_if_no_event_of_this_epoch_is_missing() {
    for (as_of, retain, events, start, expected) in [
        ("zz.a9", 8, 0, other_epoch(), &["epoch+", "s"][..]),
        ("zz.a9", 8, 2, other_epoch(), &["epoch+", "s", "1", "2"]),
        ("zz.a9", 1, 2, other_epoch(), &["epoch", "2"]),
        ("zz.a9", 8, 0, Start::Unreadable, &["invalid+", "s"]),
        ("zz.a9", 8, 2, Start::Unreadable, &["invalid"]),
        // Older than the cursor of the client.
        ("zz.a5", 8, 2, other_epoch(), &["epoch+", "s", "1", "2"]),
        ("zz.a4", 8, 2, other_epoch(), &["epoch", "1", "2"]),
    ] {
        let hub = hub(retain, events, 0);
        let as_of: Cursor = as_of.parse().unwrap();
        assert_eq!(
            yielded(&mut recovering(&hub, Names::One, start, as_of), true),
            expected,
            "{retain} {events} {start:?}"
        );
    }
}

/// A client that starts with a snapshot gets a gap for events that are not in the snapshot.
#[test]
fn snapshot_at_start_does_not_replace_a_later_gap() {
    let hub = hub(2, 8, 0);
    let epoch = hub.cursor().epoch();
    for (as_of, expected) in [(5, &["s", "epoch", "7", "8"][..]), (6, &["s", "7", "8"])] {
        let subscription = hub.subscribe(Names::One.subscribe().start(other_epoch())).unwrap();
        let recovering = subscription.recover_with(|_: &Gap| async { None }).with_start(other_epoch());
        let mut recovering = recovering.with_snapshot(snapshot().with_cursor(Cursor::new(epoch, as_of)));
        assert_eq!(yielded(&mut recovering, true), expected);
    }
}

/// One snapshot replaces all gaps whose events were lost before the call, whether topics lose them one after the other or in
/// rotation.
#[test]
fn undated_snapshot_is_requested_once_after_an_overflow_of_many_topics() {
    let topics: Vec<_> = (0..64).map(|number| Topic::new(format!("t/{number}")).unwrap()).collect();
    for (subscribe, most) in [(Subscribe::topics(&topics), 1), (Subscribe::patterns(["t/*"]), 2)] {
        for in_rotation in [false, true] {
            for encoded in [true, false] {
                let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
                let subscription = hub.subscribe(subscribe.clone()).unwrap();
                let calls = Arc::new(AtomicUsize::new(0));
                let count = calls.clone();
                let mut recovering = subscription.recover_with(move |gap: &Gap| {
                    assert_eq!(gap.reason, GapReason::Overflow);
                    count.fetch_add(1, Ordering::Relaxed);
                    async { Some(snapshot()) }
                });
                // More than a segment of 64 KiB for each topic.
                let publish = |of: usize| assert!(hub.publish_now(&topics[of % 64], "x".repeat(1_000)).is_ok());
                (0..64 * 100).for_each(|number| publish(if in_rotation { number } else { number / 100 }));
                let all = yielded(&mut recovering, encoded);
                let first = calls.load(Ordering::Relaxed);
                // A gap of the log of a pattern may have no topic, and may follow events of some topics.
                assert!((1..=most).contains(&first), "{first}: {all:?}");
                assert_eq!(all.iter().filter(|it| *it == "s").count(), first);
                assert_eq!(all.iter().filter(|it| it.starts_with("overflow")).count(), first);
                // Events that are lost later are not in a snapshot of before.
                (0..64 * 100).for_each(publish);
                yielded(&mut recovering, encoded);
                assert!((first + 1..=first + most).contains(&calls.load(Ordering::Relaxed)));
            }
        }
    }
}

/// A snapshot without a cursor covers no gap after older events of its topic.
#[test]
fn undated_snapshot_does_not_hide_a_gap_behind_older_events_of_its_topic() {
    let hub = LocalHub::builder().retain(Retention::count(40)).live_buffer(0).build();
    let topic = Topic::new("t").unwrap();
    let publish = |number: usize| assert!(hub.publish_now(&topic, format!("{number:04}{}", "x".repeat(8_000))).is_ok());
    let subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
    let mut recovering = subscription.recover_with(|_: &Gap| async { Some(snapshot()) });
    (0..100).for_each(publish);
    let (mut cx, mut last, mut gaps) = (Context::from_waker(Waker::noop()), None, 0);
    for step in 0.. {
        if step == 3 {
            // The client has the gap, the snapshot and the first events when other events leave history unread.
            (100..116).for_each(publish);
        }
        match recovering.poll_next(&mut cx) {
            Poll::Ready(Delivery::Gap(_)) => (last, gaps) = (None, gaps + 1),
            Poll::Ready(Delivery::Events(batch)) => {
                for number in batch.iter().filter_map(|event| event.event.as_str()?.get(..4)?.parse::<usize>().ok()) {
                    assert!(last.is_none_or(|last| number == last + 1), "{number} after {last:?} without a gap");
                    last = Some(number);
                }
            }
            _ if step > 3 => break,
            _ => {}
        }
    }
    assert_eq!((last, gaps), (Some(115), 2));
}
