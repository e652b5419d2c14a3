//! Limit of the topics that have a state.

use std::time::Duration;

use tidings::{Event, LocalHub, LocalHubBuilder, PublishError, Retention, Subscribe};

use crate::support::VirtualTimer;

fn set(key: &str) -> Event {
    Event::text("x").with_key(key).unwrap()
}

fn builder() -> LocalHubBuilder {
    LocalHub::builder().retain_for("cars/*", Retention::latest_per_key())
}

#[test]
fn topics_with_a_state_are_at_most_the_limit_of_topics() {
    let hub = builder().max_topics(10).build();
    for topic in 0..10 {
        hub.publish_now(format!("cars/{topic}"), set("1")).unwrap();
    }
    let refused = Err(PublishError::TooManyTopics { topics: 1, limit: 10 });
    assert_eq!(hub.publish_now("cars/10", set("1")).map(drop), refused);
    assert_eq!(hub.publish_now("cars/10", Event::removal("1").unwrap()).map(drop), refused);
    let batch = [("cars/10", set("1")), ("cars/11", set("1")), ("cars/10", set("2"))];
    let refused = Err(PublishError::TooManyTopics { topics: 2, limit: 10 });
    assert_eq!(hub.publish_batch(batch).map(drop), refused);
    for topic in 0..100 {
        hub.publish_now(format!("news/{topic}"), "x").unwrap();
    }
    hub.publish_now("cars/9", set("2")).unwrap();
    assert!(hub.stats().topics <= 20, "{:?}", hub.stats());
    assert_eq!(hub.stats().keys, 11);
}

/// A topic with one small key takes more memory than the key.
#[test]
fn topics_with_a_state_count_in_the_bytes_of_the_states() {
    let hub = builder().max_bytes(1 << 20).build();
    let published = (0..10_000).take_while(|topic| hub.publish_now(format!("cars/{topic}"), set("1")).is_ok());
    assert!((1..1 << 9).contains(&published.count()), "{:?}", hub.stats());
    let stats = hub.stats();
    assert!(stats.state_bytes >= stats.keys * 1_000 && stats.bytes <= 1 << 20, "{stats:?}");
}

#[test]
fn topics_with_a_state_and_no_history_refuse_no_subscription() {
    let clock = VirtualTimer::new();
    let hub = builder().max_topics(10).clock(clock.clone()).build();
    for topic in 0..10 {
        hub.publish_now(format!("cars/{topic}"), set("1")).unwrap();
    }
    clock.advance(Duration::from_secs(3_601));
    hub.sweep();
    assert_eq!((hub.stats().retained, hub.stats().keys), (0, 10));
    let subscriptions = (0..50).map(|topic| hub.subscribe(Subscribe::topics([format!("news/{topic}")])));
    let subscriptions: Vec<_> = subscriptions.collect();
    let accepted = subscriptions.iter().filter(|subscription| subscription.is_ok()).count();
    assert!((10..=20).contains(&accepted), "{accepted}");
}
