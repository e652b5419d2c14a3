//! `recover_with` over scripted sources.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidings::subscriber::{Delivery, EncodedDelivery, Recover, Recovery, SubscriberExt, SubscriptionEnd, from_stream};
use tidings::{Cursor, Event, Gap, GapReason, LocalHub, Retention, Snapshot, Start, Subscribe, Subscriber, Topic};

use crate::support::counting::{Counters, CountingClient, CursorLineFormat};
use crate::support::{Feed, Reader, Task};

const EPOCH: u64 = 7;

fn at(sequence: u64) -> Cursor {
    Cursor::new(EPOCH, sequence)
}

/// Returns the cursor of no epoch.
fn nowhere() -> Cursor {
    "0.0".parse().unwrap()
}

/// Returns a snapshot of this number of events.
fn snapshot(events: usize) -> Snapshot {
    Snapshot::new((0..events).map(|number| (Topic::new("state").unwrap(), Event::text(number.to_string()))))
}

fn recovering(feed: &Feed, state: Option<Snapshot>) -> Recover<Reader, impl Recovery> {
    feed.reader().recover_with(move |_: &Gap| {
        let state = state.clone();
        async { state }
    })
}

/// Polls a subscriber until it is pending. Returns an event as its line, a gap as `gap cursor snapshot`.
fn lines<S: Subscriber>(subscriber: &mut S, max: usize) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match subscriber.poll_encoded(&mut Context::from_waker(Waker::noop()), &CursorLineFormat, max) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                all.extend(std::str::from_utf8(&events.bytes).unwrap().lines().map(str::to_owned));
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => all.push(format!("gap {} {}", gap.cursor, gap.snapshot)),
            Poll::Ready(EncodedDelivery::End(end)) => {
                all.push(format!("{end:?}"));
                return all;
            }
            Poll::Ready(EncodedDelivery::TopicEnd(end)) => all.push(format!("end {} {}", end.cursor, end.topic)),
            Poll::Pending => return all,
            Poll::Ready(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn gap_is_followed_by_the_snapshot_and_events_it_contains_are_skipped() {
    let feed = Feed::new(EPOCH);
    feed.event("a", "one");
    feed.gap(GapReason::Overflow, Some(3));
    for text in ["in it", "in it too", "after it"] {
        feed.event("a", text);
    }
    let mut subscriber = recovering(&feed, Some(snapshot(3).with_cursor(at(4))));
    let expected = ["7.a1 a one", "gap 0.0 true", "0.0 state 0", "0.0 state 1", "7.a4 state 2", "7.a5 a after it"];
    assert_eq!(lines(&mut subscriber, 1), expected);
    assert_eq!(subscriber.cursor(), Some(at(5)));
}

#[test]
fn gap_without_a_usable_snapshot_is_delivered_unchanged() {
    for (state, reason) in
        [(None, "no snapshot"), (Some(snapshot(2).with_cursor(at(1))), "older than the missing event")]
    {
        let feed = Feed::new(EPOCH);
        feed.event("a", "one");
        feed.gap(GapReason::Evicted, None);
        feed.event("a", "three");
        assert_eq!(
            lines(&mut recovering(&feed, state), 100),
            ["7.a1 a one", "gap 7.a2 false", "7.a3 a three"],
            "{reason}"
        );
    }
}

#[test]
fn empty_snapshot_is_complete_with_its_gap() {
    let feed = Feed::new(EPOCH);
    feed.gap(GapReason::Overflow, None);
    feed.event("a", "in it");
    feed.event("a", "after it");
    let mut subscriber = recovering(&feed, Some(snapshot(0).with_cursor(at(2))));
    assert_eq!(lines(&mut subscriber, 100), ["gap 7.a2 true", "7.a3 a after it"]);
    // Without missing events, nothing is delivered for an empty snapshot.
    let mut subscriber = recovering(&feed, None).with_snapshot(snapshot(0).with_cursor(at(2)));
    assert_eq!(lines(&mut subscriber, 100), ["7.a3 a after it"]);
}

#[test]
fn client_that_starts_with_a_snapshot_keeps_its_cursor_until_the_last_event() {
    for (start, held) in [(Start::Now, "-".to_owned()), (Start::After(at(0)), "7.0".to_owned())] {
        let feed = Feed::new(EPOCH);
        feed.event("a", "in it");
        let mut subscriber = feed
            .reader()
            .recover_with(|_: &Gap| async { None })
            .with_start(start)
            .with_snapshot(snapshot(2).with_cursor(at(1)));
        assert_eq!(subscriber.cursor().map_or("-".into(), |cursor| cursor.to_string()), held);
        assert_eq!(lines(&mut subscriber, 1), [format!("{held} state 0"), "7.a1 state 1".into()]);
    }
}

#[test]
fn events_covered_by_a_snapshot_ahead_of_its_source_are_skipped() {
    let feed = Feed::new(EPOCH);
    let mut subscriber = recovering(&feed, None).with_snapshot(snapshot(1).with_cursor(at(2)));
    assert_eq!(lines(&mut subscriber, 100), ["7.a2 state 0"]);
    assert_eq!(subscriber.cursor(), Some(at(2)));
    for (text, expected) in [("one", None), ("two", None), ("three", Some("7.a3 a three"))] {
        feed.event("a", text);
        assert_eq!(lines(&mut subscriber, 100), expected.as_slice());
    }
}

#[test]
fn source_without_cursors_skips_no_event_after_a_snapshot() {
    struct Once(Option<Event>);

    impl futures_core::Stream for Once {
        type Item = Event;

        fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
            Poll::Ready(self.0.take())
        }
    }

    let source = from_stream(Topic::new("a").unwrap(), Once(Some("one".into())));
    let mut subscriber = source.recover_with(|_: &Gap| async { None }).with_snapshot(snapshot(2));
    let end = format!("end {} a", Cursor::new(0, 1));
    assert_eq!(lines(&mut subscriber, 100), ["- state 0", "- state 1", "- a one", &end, "Finished"]);
}

#[test]
fn events_encoded_with_skipped_ones_are_delivered_in_pieces() {
    let feed = Feed::new(EPOCH);
    for number in 1..=9 {
        feed.event("a", number.to_string());
    }
    let mut subscriber = recovering(&feed, None).with_snapshot(snapshot(1).with_cursor(at(3)));
    let mut cx = Context::from_waker(Waker::noop());
    let mut ends = Vec::new();
    while let Poll::Ready(EncodedDelivery::Events(events)) = subscriber.poll_encoded(&mut cx, &CursorLineFormat, 19) {
        let text = std::str::from_utf8(&events.bytes).unwrap().to_owned();
        assert!(text.len() <= 19, "{text}");
        // The cursor is that of the last event.
        let last = text.lines().last().unwrap().split(' ').next().unwrap().to_owned();
        assert_eq!(subscriber.cursor().unwrap().to_string(), last);
        ends.push(last);
    }
    assert_eq!(ends, ["7.a3", "7.a5", "7.a7", "7.a9"]);
}

#[test]
fn cursor_does_not_move_while_the_snapshot_is_pending() {
    let unreadable = Cursor::new(0, 2);
    for (reason, start, expected) in [
        (GapReason::Evicted, Start::After(at(0)), at(0)),
        (GapReason::Evicted, Start::Now, nowhere()),
        // The hub may reach this cursor later, and would then deliver no gap.
        (GapReason::Invalid, Start::After(at(9)), unreadable),
        (GapReason::Invalid, Start::Unreadable, unreadable),
        (GapReason::Epoch, Start::After("zz.a5".parse().unwrap()), "zz.a5".parse().unwrap()),
    ] {
        let feed = Feed::new(EPOCH);
        feed.gap(reason, None);
        let mut subscriber =
            feed.reader().recover_with(|_: &Gap| std::future::pending::<Option<Snapshot>>()).with_start(start);
        assert!(!subscriber.is_recovering());
        assert!(lines(&mut subscriber, 100).is_empty());
        assert!(subscriber.is_recovering());
        assert_eq!(subscriber.cursor(), Some(expected), "{reason:?} {start:?}");
    }
}

#[test]
fn failed_recovery_ends_the_subscriber_and_keeps_the_cursor() {
    let feed = Feed::new(EPOCH);
    feed.gap(GapReason::Evicted, None);
    feed.event("a", "two");
    let mut subscriber = feed
        .reader()
        .recover_with(|_: &Gap| async { Err::<Option<Snapshot>, _>(SubscriptionEnd::Failed) })
        .with_start(Start::After(at(0)));
    for _ in 0..2 {
        assert_eq!(lines(&mut subscriber, 100), ["Failed"]);
        assert_eq!(subscriber.cursor(), Some(at(0)));
    }
    let next = Task::new().with(|cx| subscriber.poll_next(cx));
    assert!(matches!(next, Poll::Ready(Delivery::End(SubscriptionEnd::Failed))));
}

#[test]
fn snapshot_is_requested_once_per_gap_and_not_for_a_recovered_one() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let feed = Feed::new(EPOCH);
    feed.gap(GapReason::Overflow, None);
    feed.gap(GapReason::Overflow, None);
    feed.event("a", "in it");
    feed.gap(GapReason::Overflow, None);
    let inner = feed.reader().recover_with(move |_: &Gap| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Some(snapshot(1).with_cursor(at(3))) }
    });
    let mut outer = inner.recover_with(|_: &Gap| async { Some(snapshot(0)) });
    // The second gap is covered by the snapshot, and the fourth is not. The outer wrapper gets the fourth only.
    assert_eq!(lines(&mut outer, 100), ["gap 0.0 true", "7.a3 state 0", "gap 7.a4 true"]);
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

/// A client that is cut at any byte of a recovery gets the same counts after it resumes.
#[test]
fn p2_client_cut_at_any_byte_of_a_recovery_starts_over() {
    for cut in 0.. {
        let counters = Counters::new(2);
        (0..40).for_each(|_| ["a", "b"].iter().for_each(|topic| counters.count(topic)));
        let mut client = CountingClient::new(false);
        client.cursor = Some("0.0".into());
        let was_cut = !read_up_to(&counters, &mut client, cut);
        if was_cut {
            client.cut();
            assert!(read_up_to(&counters, &mut client, usize::MAX));
        }
        assert!(client.has_base());
        for topic in ["a", "b"] {
            assert_eq!(client.counts.get(topic), counters.counts().get(topic), "after {cut} bytes");
        }
        if !was_cut {
            assert!(cut > 40, "only {cut} bytes");
            break;
        }
    }
}

/// Resumes at the cursor of the client and reads at most `left` bytes, where a gap counts as one. Returns whether that was
/// everything.
fn read_up_to(counters: &Counters, client: &mut CountingClient, mut left: usize) -> bool {
    let start = Start::After(client.cursor.as_deref().unwrap().parse().unwrap());
    let subscription = counters.hub().subscribe(Subscribe::topics(["a", "b"]).start(start)).unwrap();
    let of = counters.clone();
    let mut subscriber = subscription
        .recover_with(move |_: &Gap| {
            // Events are published before and after the snapshot.
            of.count("a");
            let state = of.snapshot();
            of.count("b");
            async { Some(state) }
        })
        .with_start(start);
    loop {
        let taken = match subscriber.poll_encoded(&mut Context::from_waker(Waker::noop()), &CursorLineFormat, 10) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                client.read(&events.bytes[..events.bytes.len().min(left)]);
                events.bytes.len()
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) if left > 0 => {
                client.read_gap(&gap);
                1
            }
            Poll::Ready(_) => return false,
            Poll::Pending => return true,
        };
        match left.checked_sub(taken) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
}

#[test]
fn gap_of_a_hub_carries_the_cursor_before_it() {
    for topics in [&["a"][..], &["a", "b"]] {
        let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
        let publish = |times: usize| {
            let topic = Topic::new("a").unwrap();
            (0..times).for_each(|_| assert!(hub.publish_now(&topic, "x").is_ok()));
        };
        let mut late = hub.subscribe(Subscribe::topics(topics.iter().copied())).unwrap();
        publish(2);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(late.poll_next(&mut cx), Poll::Ready(Delivery::Events(_))));
        let before = late.cursor().unwrap();
        publish(1_000);
        let back = hub.subscribe(Subscribe::topics(topics.iter().copied()).start(Start::After(before))).unwrap();
        for (mut subscription, reason) in [(late, GapReason::Overflow), (back, GapReason::Evicted)] {
            loop {
                let before = subscription.cursor();
                match subscription.poll_next(&mut cx) {
                    Poll::Ready(Delivery::Gap(gap)) => {
                        assert_eq!((gap.after, gap.reason), (before, reason));
                        break;
                    }
                    Poll::Ready(Delivery::Events(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// A snapshot without a cursor may be older than the event. Such a gap is of an event after the subscription began.
#[test]
fn gap_of_a_too_large_event_after_a_snapshot_without_a_cursor_is_delivered() {
    let feed = Feed::new(EPOCH);
    let mut subscriber = recovering(&feed, None).with_snapshot(snapshot(2));
    assert_eq!(lines(&mut subscriber, 100).len(), 2);
    feed.gap(GapReason::TooLarge, Some(1));
    let mut subscriber = recovering(&feed, None).with_snapshot(snapshot(2));
    feed.event("a", "later");
    let lines = lines(&mut subscriber, 100);
    assert_eq!(lines[2..], ["gap 7.a1 false".to_owned(), format!("{} a later", at(2))], "{lines:?}");
}
