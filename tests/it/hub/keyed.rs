//! Topics that keep the newest event of each key.

use std::task::Poll;
use std::time::Duration;

use tidings::subscriber::{Delivery, EncodedDelivery, SubscriberExt, SubscriptionEnd};
use tidings::{
    Cursor, EndReason, Event, Gap, GapReason, LocalHub, PublishError, Retention, Snapshot, Start, StateLimits,
    Subscribe, Subscriber, Subscription,
};

use crate::support::{CountingFormat, VirtualTimer, next_gap, poll, poll_encoded, ready_batches, topic};

fn set(key: &str, value: &str) -> Event {
    Event::text(value).with_key(key).unwrap()
}

fn removal(key: &str) -> Event {
    Event::removal(key).unwrap()
}

/// Returns a hub whose topics `cars/…` keep the newest event of each key, with these limits and a history of one event.
fn hub(limits: StateLimits) -> LocalHub {
    let retention = Retention::count(1).state_limits(limits);
    LocalHub::builder().retain_for("cars/**", retention).live_buffer(0).build()
}

fn subscribe(hub: &LocalHub, start: Start) -> Subscription {
    hub.subscribe(Subscribe::topics(["cars/a"]).start(start)).unwrap()
}

/// Returns all ready events: `key=value`, or `-key` for a removal.
fn changes(subscription: &mut Subscription) -> Vec<String> {
    let change = |event: &Event| match event.as_str() {
        Some(value) => format!("{}={value}", event.key().unwrap_or("")),
        None => format!("-{}", event.key().unwrap()),
    };
    ready_batches(subscription).flat_map(|batch| batch.iter().map(|e| change(e.event)).collect::<Vec<_>>()).collect()
}

fn nowhere() -> Cursor {
    Cursor::new(0, 0)
}

#[test]
fn newcomer_gets_the_newest_event_of_each_key_and_then_changes() {
    let hub = hub(StateLimits::default());
    for (key, value) in [("1", "a"), ("2", "b"), ("1", "c"), ("3", "d")] {
        hub.publish_now("cars/a", set(key, value)).unwrap();
    }
    hub.publish_now("cars/a", removal("2")).unwrap();
    for start in [Start::Now, Start::Oldest, Start::Last(1), Start::After(nowhere())] {
        let mut newcomer = subscribe(&hub, start);
        assert_eq!(newcomer.cursor(), Some(nowhere()), "it starts over until it has an event");
        assert_eq!(changes(&mut newcomer), ["1=c", "3=d"], "{start:?}");
        assert_eq!(newcomer.cursor(), Some(hub.cursor()));
    }
    let mut newcomer = subscribe(&hub, Start::Now);
    hub.publish_now("cars/a", removal("3")).unwrap();
    assert_eq!(changes(&mut newcomer), ["1=c", "3=d", "-3"], "an earlier state, and the change");
    hub.publish_now("cars/a", set("2", "e")).unwrap();
    hub.publish_now("cars/a", removal("1")).unwrap();
    assert_eq!(changes(&mut newcomer), ["2=e", "-1"]);
}

#[test]
fn client_older_than_history_gets_the_changes_and_removals_since_its_cursor() {
    let hub = hub(StateLimits::default());
    hub.publish_batch(["1", "2", "3"].map(|key| ("cars/a", set(key, "a")))).unwrap();
    let cursor = hub.cursor();
    for value in ["b", "c"] {
        hub.publish_now("cars/a", set("1", value)).unwrap();
    }
    hub.publish_now("cars/a", removal("2")).unwrap();
    hub.publish_now("cars/a", set("4", "d")).unwrap();
    let mut resumed = subscribe(&hub, Start::After(cursor));
    assert_eq!(resumed.cursor(), Some(cursor));
    assert_eq!(changes(&mut resumed), ["1=c", "-2", "4=d"]);
}

#[test]
fn lagging_subscriber_gets_the_state_since_its_position_and_no_gap() {
    let hub = hub(StateLimits::default());
    for overflow in [tidings::Overflow::Gap, tidings::Overflow::Disconnect, tidings::Overflow::Latest] {
        let mut lagging = hub.subscribe(Subscribe::topics(["cars/a"]).overflow(overflow)).unwrap();
        changes(&mut lagging);
        for n in 0..1_000 {
            hub.publish_now("cars/a", set(&(n % 3).to_string(), &n.to_string())).unwrap();
        }
        hub.publish_now("cars/a", removal("0")).unwrap();
        assert_eq!(changes(&mut lagging), ["1=997", "2=998", "-0"], "{overflow:?}");
    }
    assert_eq!((hub.stats().gaps, hub.stats().missed), (0, 0));
}

#[test]
fn forgotten_removal_is_a_gap_with_a_snapshot_and_the_whole_state() {
    let hub = hub(StateLimits::default().removals(1));
    hub.publish_batch(["1", "2", "3"].map(|key| ("cars/a", set(key, "a")))).unwrap();
    let cursor = hub.cursor();
    let mut lagging = subscribe(&hub, Start::After(cursor));
    for key in ["1", "2"] {
        hub.publish_now("cars/a", removal(key)).unwrap();
    }
    for value in ["b", "c"] {
        hub.publish_now("cars/a", set("4", value)).unwrap();
    }
    let check = |gap: &Gap, reason| {
        assert_eq!((gap.reason, gap.snapshot, &gap.topic), (reason, true, &Some(topic("cars/a"))));
        assert_eq!((gap.cursor.sequence(), gap.gone.unwrap().sequence(), gap.after), (0, 4, Some(cursor)));
    };
    let mut resumed = subscribe(&hub, Start::After(cursor));
    assert_eq!(resumed.cursor(), Some(cursor));
    let gap = next_gap(&mut resumed);
    check(&gap, GapReason::Evicted);
    assert_eq!(resumed.cursor(), Some(gap.cursor), "a client that is cut here gets the gap again");
    let again = next_gap(&mut subscribe(&hub, Start::After(gap.cursor)));
    check(&again.with_after(cursor), GapReason::Evicted);
    assert_eq!(changes(&mut resumed), ["3=a", "4=c"]);
    check(&next_gap(&mut lagging), GapReason::Overflow);
    assert_eq!(changes(&mut lagging), ["3=a", "4=c"]);
}

#[test]
fn cursor_of_another_epoch_or_ahead_is_a_gap_with_a_snapshot_and_the_whole_state() {
    let hub = hub(StateLimits::default());
    hub.publish_now("cars/a", set("1", "a")).unwrap();
    let ahead = Cursor::new(hub.cursor().epoch(), 9);
    let starts =
        [Start::After(Cursor::new(7, 1)), Start::After(ahead), Start::After(ahead.with_tag(1)), Start::Unreadable];
    for (start, reason) in
        starts.into_iter().zip([GapReason::Epoch, GapReason::Invalid, GapReason::Invalid, GapReason::Invalid])
    {
        for names in [vec!["cars/a"], vec!["cars/a", "news"], vec!["cars/*"], vec!["**"]] {
            let mut back = hub.subscribe(Subscribe::patterns(names).start(start)).unwrap();
            assert_eq!(back.cursor(), None);
            let gap = next_gap(&mut back);
            assert_eq!((gap.reason, gap.snapshot, gap.cursor.sequence()), (reason, true, 0));
            assert_eq!(changes(&mut back), ["1=a"]);
        }
        let mut other = hub.subscribe(Subscribe::topics(["news"]).start(start)).unwrap();
        assert!(!next_gap(&mut other).snapshot, "no keyed topic is in it");
    }
    let mut other = hub.subscribe(Subscribe::topics(["news"]).start(Start::After(nowhere()))).unwrap();
    assert_eq!(next_gap(&mut other).reason, GapReason::Epoch);
}

#[test]
fn polls_that_receive_the_state_in_parts_get_all_of_it_although_removals_are_forgotten() {
    let hub = hub(StateLimits::default().removals(0));
    hub.publish_batch((0..600).map(|n| ("cars/a", set(&n.to_string(), "a")))).unwrap();
    for name in ["cars/a", "cars/*"] {
        let (mut received, mut cursor) = (0, nowhere());
        // After the first part removals are forgotten that the client needs not know.
        for _ in 0..3 {
            hub.publish_now("cars/a", set("gone", "a")).unwrap();
            hub.publish_now("cars/a", removal("gone")).unwrap();
        }
        hub.publish_now("cars/a", set("0", "b")).unwrap();
        for poll_number in 0..1_000 {
            let mut part = hub.subscribe(Subscribe::patterns([name]).start(Start::After(cursor))).unwrap();
            match poll_encoded(&mut part, &CountingFormat::default(), 500) {
                Poll::Ready(EncodedDelivery::Events(events)) => received += events.events,
                Poll::Pending => break,
                other => panic!("{other:?} in poll {poll_number}"),
            }
            cursor = part.cursor().unwrap();
        }
        assert_eq!((received, cursor), (600, hub.cursor()), "{name}");
    }
}

#[test]
fn events_that_a_topic_does_not_take_are_refused_with_their_whole_batch() {
    let hub = hub(StateLimits::default().keys(2).bytes(20));
    let (cars, plain) = (topic("cars/a"), topic("news"));
    let expiring = set("1", "a").with_ttl(Duration::from_secs(1));
    let full = PublishError::StateFull { topic: cars.clone() };
    for (bad, error) in [
        (vec![(&cars, Event::text("a"))], PublishError::KeyRequired(cars.clone())),
        (vec![(&cars, expiring)], PublishError::TtlUnsupported(cars.clone())),
        (vec![(&plain, removal("1"))], PublishError::NotKeyed(plain.clone())),
        (vec![(&cars, set("2", "a")), (&cars, set("3", "a"))], full.clone()),
        (vec![(&cars, set("1", &"a".repeat(20)))], full.clone()),
    ] {
        let batch = std::iter::once((&cars, set("1", "a"))).chain(bad);
        assert_eq!(hub.publish_batch(batch), Err(error));
        assert_eq!((hub.cursor().sequence(), hub.stats().topics), (0, 0), "a refused batch leaves nothing");
    }
    hub.publish_batch([(&cars, set("1", "aaaaaaaa")), (&cars, set("2", "a"))]).unwrap();
    assert_eq!(hub.publish_now(&cars, set("3", "")), Err(full.clone()));
    // Of a full state a key can be replaced and removed, and a batch may use the room that it makes.
    hub.publish_now(&cars, set("1", "bbbbbbbb")).unwrap();
    hub.publish_now(&cars, removal("9")).unwrap();
    hub.publish_batch([(&cars, removal("2")), (&cars, set("3", "c"))]).unwrap();
    assert_eq!(hub.publish_batch([(&cars, set("4", "")), (&cars, removal("1"))]), Err(full));
    assert_eq!(changes(&mut subscribe(&hub, Start::Now)), ["1=bbbbbbbb", "3=c"]);
    assert_eq!((hub.stats().keys, hub.stats().retained), (2, 1));
}

#[test]
fn states_take_at_most_half_of_the_budget_and_are_not_evicted() {
    let retention = Retention::latest_per_key();
    let hub =
        LocalHub::builder().retain(Retention::default()).retain_for("cars/*", retention).max_bytes(100_000).build();
    let mut kept = 0;
    while hub.publish_now(format!("cars/{}", kept % 3), set(&kept.to_string(), &"x".repeat(500))).is_ok() {
        kept += 1;
        assert!(kept < 1_000, "half of the budget is full");
    }
    let refused = hub.publish_now("cars/9", set("1", &"x".repeat(500)));
    assert_eq!(refused, Err(PublishError::StateFull { topic: topic("cars/9") }));
    let full = hub.stats();
    assert!((40_000..=50_000).contains(&full.state_bytes), "{full:?}");
    for n in 0..1_000 {
        hub.publish_now("news", n.to_string()).unwrap();
    }
    let stats = hub.stats();
    assert_eq!((stats.keys, stats.state_bytes), (kept, full.state_bytes));
    assert!(stats.bytes <= 100_000 && stats.evicted_by_budget > 0, "{stats:?}");
    let mut all = hub.subscribe(Subscribe::patterns(["cars/*"])).unwrap();
    assert_eq!(changes(&mut all).len(), kept);
    for n in 0..kept {
        hub.publish_now(format!("cars/{}", n % 3), removal(&n.to_string())).unwrap();
    }
    assert_eq!(hub.stats().keys, 0);
}

#[test]
fn topic_with_a_state_stays_when_all_history_has_expired_and_is_dropped_without_one() {
    let clock = VirtualTimer::new();
    let limits = StateLimits::default().removal_age(Duration::from_secs(60));
    let retention = Retention::default().age(Duration::from_secs(1)).state_limits(limits);
    let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
    hub.publish_now("a", set("1", "a")).unwrap();
    let cursor = hub.cursor();
    clock.advance(Duration::from_secs(3_600));
    hub.sweep();
    assert_eq!((hub.stats().topics, hub.stats().retained, hub.stats().keys), (1, 0, 1));
    hub.publish_now("a", removal("1")).unwrap();
    clock.advance(Duration::from_secs(59));
    hub.sweep();
    assert_eq!((hub.stats().topics, hub.stats().keys), (1, 0), "the removal is kept");
    let back = || hub.subscribe(Subscribe::topics(["a"]).start(Start::After(cursor))).unwrap();
    assert_eq!(changes(&mut back()), ["-1"]);
    clock.advance(Duration::from_secs(1));
    hub.sweep();
    assert_eq!((hub.stats().topics, hub.stats().bytes), (0, 0));
    let mut back = back();
    assert!(next_gap(&mut back).snapshot, "the client forgets the key");
    assert!(poll(&mut back).is_pending());
}

#[test]
fn state_is_encoded_once_for_many_newcomers() {
    let (hub, format) = (hub(StateLimits::default()), CountingFormat::default());
    hub.publish_batch((0..1_000).map(|n| ("cars/a", set(&n.to_string(), "a")))).unwrap();
    let read = |subscription: &mut Subscription| {
        let mut events = 0;
        while let Poll::Ready(EncodedDelivery::Events(batch)) = poll_encoded(subscription, &format, 4_096) {
            events += batch.events;
        }
        events
    };
    let mut newcomers: Vec<_> = (0..50).map(|_| subscribe(&hub, Start::Now)).collect();
    assert!(newcomers.iter_mut().all(|newcomer| read(newcomer) == 1_000));
    assert_eq!(format.encoded(), 1_000);
    // The change is read from the log.
    hub.publish_now("cars/a", set("7", "b")).unwrap();
    assert_eq!(read(&mut subscribe(&hub, Start::Now)), 1_001);
    assert_eq!(format.encoded(), 1_001);
}

#[test]
fn newcomer_that_releases_in_the_middle_of_the_state_gets_the_rest_once() {
    let hub = hub(StateLimits::default().removals(0));
    hub.publish_batch((0..700).map(|n| ("cars/a", set(&n.to_string(), "a")))).unwrap();
    let mut newcomer = subscribe(&hub, Start::Now);
    let mut received = Vec::new();
    for n in 0..20 {
        newcomer.release();
        hub.publish_now("cars/a", set("new", &n.to_string())).unwrap();
        hub.publish_now("cars/a", removal("new")).unwrap();
        let Poll::Ready(Delivery::Events(batch)) = poll(&mut newcomer) else { break };
        let old = batch.iter().map(|event| event.cursor.unwrap().sequence()).filter(|&sequence| sequence <= 700);
        received.extend(old);
    }
    assert_eq!(received, Vec::from_iter(1..=700));
}

#[test]
fn finished_topic_gives_newcomers_its_state_and_then_the_end() {
    let hub = hub(StateLimits::default());
    hub.publish_batch(["1", "2"].map(|key| ("cars/a", set(key, "a")))).unwrap();
    hub.finish("cars/a", EndReason::Done).unwrap();
    let mut newcomer = subscribe(&hub, Start::Now);
    let Poll::Ready(Delivery::Events(batch)) = poll(&mut newcomer) else { panic!("no state") };
    assert_eq!(batch.len(), 2);
    assert!(matches!(poll(&mut newcomer), Poll::Ready(Delivery::TopicEnd(end)) if end.is_last));
    assert!(matches!(poll(&mut newcomer), Poll::Ready(Delivery::End(SubscriptionEnd::Finished))));
    let mut closed = hub.subscribe(Subscribe::patterns(["cars/*"])).unwrap();
    hub.close();
    assert_eq!(changes(&mut closed), ["1=a", "2=a"], "a close delivers the state");
}

#[test]
fn added_topic_gets_its_whole_state_although_the_client_has_a_cursor() {
    let hub = hub(StateLimits::default());
    hub.publish_now("cars/a", set("1", "a")).unwrap();
    hub.publish_now("cars/b", set("1", "b")).unwrap();
    hub.publish_now("cars/b", set("2", "c")).unwrap();
    let names = ["cars/a", "cars/b"];
    let request = Subscribe::topics(names).start(Start::After(hub.cursor())).added([topic("cars/b")]);
    let mut session = hub.subscribe(request).unwrap();
    assert_eq!(changes(&mut session), ["1=b", "2=c"]);
    assert_eq!(session.cursor(), Some(hub.cursor()));
}

/// Recovery that must not be asked.
fn asked(gap: &Gap) -> std::future::Ready<Option<Snapshot>> {
    panic!("asked for a snapshot at {gap:?}")
}

#[test]
fn subscriber_with_keyed_topics_is_not_recovered_by_a_snapshot_of_the_application() {
    let hub = hub(StateLimits::default().removals(0));
    hub.publish_now("cars/a", set("1", "a")).unwrap();
    hub.publish_now("cars/b", set("1", "a")).unwrap();
    let cursor = hub.cursor();
    for key in ["1", "2", "3"] {
        hub.publish_now("cars/a", set(key, "b")).unwrap();
        hub.publish_now("cars/a", removal(key)).unwrap();
    }
    let news =
        LocalHub::builder().retain_for("cars/**", Retention::latest_per_key()).retain(Retention::count(0)).build();
    for start in [Start::After(Cursor::new(7, 1)), Start::After(cursor), Start::Unreadable] {
        let subscription = subscribe(&hub, start);
        let mut client = subscription.recover_with(asked).with_start(start);
        assert!(next_gap(&mut client).snapshot, "{start:?}");
    }
    news.publish_now("news", "a").unwrap();
    let start = Start::After(Cursor::new(news.cursor().epoch(), 0));
    let subscription = news.subscribe(Subscribe::topics(["news", "cars/a"]).start(start)).unwrap();
    let mut client = subscription.recover_with(asked).with_start(start);
    assert!(!next_gap(&mut client).snapshot, "the gap of the news alone");
}

/// A client that is cut before its gap keeps what it has of the state.
#[test]
fn client_of_an_unreadable_cursor_that_is_cut_before_its_gap_gets_a_gap_again() {
    let hub = hub(StateLimits::default());
    hub.publish_now("cars/a", set("1", "a")).unwrap();
    let state = || Snapshot::new(["b", "c"].map(|text| (topic("news"), text.into())));
    for names in [&["cars/a"][..], &["cars/*"], &["cars/a", "news"]] {
        for opening in [Snapshot::default(), state()] {
            let subscribe = |start| hub.subscribe(Subscribe::patterns(names.iter().copied()).start(start)).unwrap();
            let recovering = subscribe(Start::Unreadable).recover_with(|_: &Gap| async { None });
            let mut cut = recovering.with_start(Start::Unreadable).with_snapshot(opening);
            let mut cursors: Vec<_> = cut.cursor().into_iter().collect();
            while let Poll::Ready(Delivery::Events(events)) = poll(&mut cut) {
                cursors.extend(events.iter().filter_map(|event| event.cursor));
            }
            assert!(!cursors.is_empty());
            for cursor in cursors {
                let gap = next_gap(&mut subscribe(Start::After(cursor)));
                assert!(gap.snapshot && gap.topic.is_none(), "{names:?} at {cursor}: {gap:?}");
            }
        }
    }
}

#[test]
fn snapshot_at_the_beginning_precedes_the_whole_state() {
    let hub = hub(StateLimits::default());
    hub.publish_now("cars/a", set("1", "a")).unwrap();
    let snapshot = Snapshot::new([(topic("news"), "b".into())]).with_cursor(hub.cursor());
    let subscription = hub.subscribe(Subscribe::topics(["news", "cars/a"])).unwrap();
    let mut client = subscription.recover_with(|_: &Gap| async { None }).with_snapshot(snapshot);
    let read: Vec<_> = ready_batches(&mut client).map(|batch| batch.topic().to_string()).collect();
    assert_eq!(read, ["news", "cars/a"]);
    assert_eq!(client.cursor(), Some(hub.cursor()));
}

#[test]
fn tags_of_events_count_in_the_bytes_of_the_hub() {
    let bytes = |event: Event| {
        let hub = LocalHub::new();
        hub.publish_now("a", event).unwrap();
        hub.stats().bytes
    };
    assert!(bytes(Event::text("a").with_tag("b").unwrap()) > bytes(Event::text("ab")) + 100);
}
