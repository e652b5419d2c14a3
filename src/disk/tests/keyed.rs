use super::support::{next, texts, wait};
use crate::contract::{Delivery, PublishError, Start, Subscribe, Subscriber, SubscriptionEnd};
use crate::disk::builder::DiskHubBuilder;
use crate::disk::hub::DiskHub;
use crate::disk::store::DiskError;
use crate::disk::store::tests::support::Directory;
use crate::hub::LocalHub;
use crate::model::{Cursor, Event, GapReason, Overflow, Pattern, Retention, StateLimits};
use crate::time::milliseconds_since_1970;

fn builder(directory: &Directory) -> DiskHubBuilder {
    DiskHub::builder(&directory.0)
        .retain_for("cars", Retention::count(1).state_limits(StateLimits::default().removals(0)))
        .memory(LocalHub::builder().retain(Retention::count(2)).live_buffer(0))
}

fn publish(hub: &DiskHub, topic: &str, key: &str, text: &str) -> Cursor {
    let event = Event::text(text.to_owned()).with_key(key).unwrap();
    wait(hub.publish(topic, event)).unwrap().cursor().unwrap()
}

fn remove(hub: &DiskHub, topic: &str, key: &str) {
    wait(hub.publish(topic, Event::removal(key).unwrap())).unwrap();
}

fn trim(hub: &DiskHub) {
    while hub.handle.store.trim(milliseconds_since_1970(), 100).unwrap() {}
}

#[test]
fn state_survives_a_restart_and_new_client_gets_it_before_changes() {
    let directory = Directory::new();
    let hub = builder(&directory).open().unwrap();
    for (key, text) in [("1", "home"), ("2", "station"), ("1", "bridge"), ("3", "port")] {
        publish(&hub, "cars", key, text);
    }
    remove(&hub, "cars", "3");
    trim(&hub);
    drop(hub);
    let hub = builder(&directory).open().unwrap();
    for what in [Subscribe::topics(["cars"]), Subscribe::patterns(["**"])] {
        let mut client = hub.subscribe(what).unwrap();
        assert_eq!(texts(&mut client, 2), ["station", "bridge"]);
    }
    let mut client = hub.subscribe(Subscribe::topics(["cars"])).unwrap();
    publish(&hub, "cars", "2", "park");
    assert_eq!(texts(&mut client, 3), ["station", "bridge", "park"]);
}

#[test]
fn client_that_missed_a_forgotten_removal_gets_a_snapshot_gap_after_a_restart() {
    let directory = Directory::new();
    let hub = builder(&directory).open().unwrap();
    let seen = publish(&hub, "cars", "1", "home");
    publish(&hub, "news", "a", "first");
    publish(&hub, "cars", "2", "station");
    remove(&hub, "cars", "1");
    publish(&hub, "cars", "3", "port");
    trim(&hub);
    drop(hub);
    let hub = builder(&directory).open().unwrap();
    for topics in [&["cars"][..], &["cars", "news"]] {
        let mut client = hub.subscribe(Subscribe::topics(topics.iter().copied()).start(Start::After(seen))).unwrap();
        let Delivery::Gap(gap) = next(&mut client) else { panic!("a removal is forgotten") };
        assert_eq!((gap.reason, gap.snapshot, gap.cursor.sequence()), (GapReason::Evicted, true, 0));
        assert_eq!(gap.topic.unwrap().as_str(), "cars");
        let expected: &[_] = if topics.len() == 1 { &["station", "port"] } else { &["first", "station", "port"] };
        assert_eq!(texts(&mut client, expected.len()), expected);
    }
    let later = hub.cursor();
    publish(&hub, "cars", "2", "park");
    drop(hub);
    let hub = builder(&directory).open().unwrap();
    assert_eq!(texts(&mut hub.subscribe(Subscribe::topics(["cars"]).start(Start::After(later))).unwrap(), 1), ["park"]);
}

#[test]
fn client_in_the_middle_of_a_state_continues_after_a_restart() {
    let directory = Directory::new();
    let hub = builder(&directory).open().unwrap();
    for key in 0..600 {
        publish(&hub, "cars", &key.to_string(), &key.to_string());
    }
    trim(&hub);
    let mut client = hub.subscribe(Subscribe::topics(["cars"])).unwrap();
    let first = next(&mut client);
    let Delivery::Events(batch) = first else { panic!("{first:?}") };
    let cut = client.cursor().unwrap();
    assert!(cut.tag().is_some(), "{cut}");
    remove(&hub, "cars", "599");
    publish(&hub, "cars", "0", "0");
    trim(&hub);
    drop(hub);
    let hub = builder(&directory).open().unwrap();
    let mut client = hub.subscribe(Subscribe::topics(["cars"]).start(Start::After(cut))).unwrap();
    // The removal is later than the tag.
    assert!(matches!(next(&mut client), Delivery::Gap(gap) if gap.snapshot));
    assert_eq!(texts(&mut client, 599).last().map(String::as_str), Some("0"));
    // Without one, the rest follows without a gap.
    let mut client = hub.subscribe(Subscribe::topics(["cars"])).unwrap();
    let Delivery::Events(again) = next(&mut client) else { panic!("the state") };
    let cut = client.cursor().unwrap();
    assert!(again.len() >= batch.len() - 1 && cut.tag().is_some());
    drop(hub);
    let hub = builder(&directory).open().unwrap();
    let mut client = hub.subscribe(Subscribe::topics(["cars"]).start(Start::After(cut))).unwrap();
    assert_eq!(texts(&mut client, 599 - again.len()).last().map(String::as_str), Some("0"));
}

#[test]
fn state_that_does_not_fit_into_a_limit_is_an_error_at_open_that_names_it() {
    let directory = Directory::new();
    let hub = builder(&directory).open().unwrap();
    for key in ["1", "2", "3"] {
        publish(&hub, "cars", key, "home");
    }
    drop(hub);
    let of = |limits| DiskHub::builder(&directory.0).retain_for("cars", Retention::default().state_limits(limits));
    let all = StateLimits::default();
    let cases = [
        (of(all.keys(2)), "StateLimits::keys", 2),
        (of(all.bytes(14)), "StateLimits::bytes", 14),
        (of(all).memory(LocalHub::builder().max_bytes(4_000)), "half of LocalHubBuilder::max_bytes", 2_000),
        (of(all).memory(LocalHub::builder().max_topics(0)), "LocalHubBuilder::max_topics", 0),
    ];
    for (builder, expected, limit) in cases {
        match builder.open() {
            Err(DiskError::StateTooLarge { topic, setting, value }) => {
                assert_eq!((topic.as_str(), setting, value), ("cars", expected, limit));
            }
            other => panic!("{other:?}"),
        }
    }
    let hub = of(all.keys(3).bytes(15)).open().unwrap();
    assert!(matches!(
        wait(hub.publish("cars", Event::text("x").with_key("4").unwrap())),
        Err(PublishError::StateFull { .. })
    ));
}

#[test]
fn state_in_the_retention_of_memory_is_refused() {
    let directory = Directory::new();
    for memory in [
        LocalHub::builder().retain_for("cars", Retention::latest_per_key()),
        LocalHub::builder().retain(Retention::latest_per_key()),
    ] {
        let error = DiskHub::builder(&directory.0).memory(memory).open().unwrap_err();
        assert!(matches!(&error, DiskError::Settings(text) if text.contains("DiskHubBuilder::retain_for")), "{error}");
    }
}

#[test]
fn client_that_follows_another_keyed_topic_gets_its_state_with_events_from_disk() {
    let directory = Directory::new();
    let keyed = || builder(&directory).retain_for("trains", Retention::latest_per_key());
    let hub = keyed().open().unwrap();
    publish(&hub, "trains", "a", "north");
    let here = publish(&hub, "cars", "1", "home");
    publish(&hub, "news", "x", "first");
    publish(&hub, "trains", "b", "south");
    drop(hub);
    let hub = keyed().open().unwrap();
    let start = Subscribe::topics(["cars", "news", "trains"]).start(Start::After(here));
    let added = start.clone().added([Pattern::new("trains").unwrap()]);
    assert_eq!(texts(&mut hub.subscribe(added).unwrap(), 3), ["north", "first", "south"]);
    let mut client = hub.subscribe(start).unwrap();
    let at = Cursor::new(hub.cursor().epoch(), here.sequence());
    assert!(client.skip_followed(at, &["cars", "news"].map(|name| Pattern::new(name).unwrap())));
    assert_eq!(texts(&mut client, 3), ["north", "first", "south"]);
}

#[test]
fn resume_with_a_gap_does_not_end_a_subscription_that_disconnects() {
    let (one, other) = (Directory::new(), Directory::new());
    let foreign = publish(&builder(&one).open().unwrap(), "news", "x", "first");
    let hub = builder(&other).open().unwrap();
    publish(&hub, "news", "x", "second");
    let what = Subscribe::topics(["news"]).overflow(Overflow::Disconnect).start(Start::After(foreign));
    let mut client = hub.subscribe(what).unwrap();
    assert!(matches!(next(&mut client), Delivery::Gap(gap) if gap.reason == GapReason::Epoch));
    assert_eq!(texts(&mut client, 1), ["second"]);
    hub.close();
    assert!(matches!(next(&mut client), Delivery::End(SubscriptionEnd::Closed)));
}
