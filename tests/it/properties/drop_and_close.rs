use std::task::Poll;

use proptest::collection::vec;
use proptest::prelude::*;
use tidings::subscriber::{Batch, Delivery, SubscriptionEnd};
use tidings::{
    Cursor, Event, Hub, LocalHub, PublishError, Retention, Start, Subscribe, SubscribeError, Subscriber, Subscription,
};

use super::{TOPICS, bursts, publish, read, unlimited_hub};
use crate::support::{poll, sequences, topic};

proptest! {
    /// Drop safety: subscriptions that are dropped at any time leave nothing in the hub.
    #[test]
    fn p9_dropped_subscriptions_leave_nothing(steps in vec((0_usize..8, 0_usize..3), 0..60)) {
        let hub = LocalHub::builder().retain(Retention::count(0)).build();
        let mut all: Vec<Subscription> = Vec::new();
        for (step, at) in steps {
            match step {
                0 | 1 => all.push(hub.subscribe(Subscribe::topics(TOPICS[..=at].iter().copied()).start(Start::Oldest)).unwrap()),
                2 => drop((!all.is_empty()).then(|| all.swap_remove(at % all.len()))),
                3 | 4 => drop(publish(&hub, &[at])),
                5 => all.iter_mut().for_each(Subscriber::release),
                _ => all.iter_mut().skip(at).step_by(2).for_each(|subscription| {
                    drop(poll(subscription));
                }),
            }
        }
        let topics: usize = all.iter().map(|_| 1).sum();
        prop_assert!(hub.stats().subscriptions >= topics);
        drop(all);
        hub.sweep();
        let stats = hub.stats();
        prop_assert_eq!((stats.subscriptions, stats.topics, stats.retained), (0, 0, 0));
    }

    /// Close: all subscriptions get every event before it, then the end at each poll. Publishes after it are refused.
    #[test]
    fn p16_closed_hub_delivers_all_accepted_events_and_stays_closed(topics in bursts(40), already in 0_usize..40) {
        let hub = unlimited_hub();
        let mut one = hub.subscribe(Subscribe::topics(TOPICS[..1].iter().copied())).unwrap();
        let mut several = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let (before, after) = topics.split_at(already.min(topics.len()));
        let mut published = publish(&hub, before);
        let mut seen = read(&mut several);
        published.extend(publish(&hub, after));
        hub.close();
        let rest = |subscription: &mut Subscription| {
            let mut seen = Vec::new();
            loop {
                match poll(subscription) {
                    Poll::Ready(Delivery::Events(batch)) => {
                        seen.extend(sequences(&batch));
                    }
                    Poll::Ready(Delivery::End(SubscriptionEnd::Closed)) => break,
                    other => panic!("{other:?}"),
                }
            }
            for _ in 0..3 {
                assert!(matches!(poll(subscription), Poll::Ready(Delivery::End(SubscriptionEnd::Closed))));
            }
            seen
        };
        let mut sequences: Vec<_> = seen.drain(..).map(|event| event.sequence).collect();
        sequences.extend(rest(&mut several));
        prop_assert_eq!(sequences, published.iter().map(|event| event.sequence).collect::<Vec<_>>());
        prop_assert_eq!(rest(&mut one).len(), published.iter().filter(|event| event.topic == TOPICS[0]).count());
        prop_assert_eq!(hub.publish_now(topic("a"), "late").unwrap_err(), PublishError::Closed);
        let all = hub.publish_batch([(topic("b"), Event::text("late"))]);
        prop_assert_eq!(all.unwrap_err(), PublishError::Closed);
        prop_assert_eq!(hub.subscribe(Subscribe::topics(TOPICS)).unwrap_err(), SubscribeError::Closed);
        prop_assert_eq!(hub.stats().published, published.len() as u64);
        // Each hub has its own epoch.
        prop_assert_ne!(unlimited_hub().cursor().epoch(), hub.cursor().epoch());
    }
}

/// Types that move to another thread are `Send`, and types that several threads use are `Sync`.
#[test]
fn p21_public_types_are_send_and_shared_ones_are_sync() {
    fn send<T: Send>() {}
    fn sync<T: Send + Sync>() {}

    sync::<Event>();
    sync::<Batch>();
    sync::<Cursor>();
    sync::<LocalHub>();
    send::<Subscription>();
    send::<<LocalHub as Hub>::Subscription>();
    send::<Delivery>();
    #[cfg(feature = "full")]
    {
        sync::<tidings::Endpoint>();
        sync::<tidings::Body>();
        sync::<tidings::SubscribeRequest>();
        send::<tidings::subscriber::BoxSubscriber>();
    }
}
