use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use bytes::Bytes;
use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, EventRef, Format, Slot, SubscriberExt};
use tidings::{Event, LocalHub, Start, Subscribe, Subscriber};

use super::{TOPICS, bursts, keeper, poll, publish, read, topic};

/// Counts how often it is woken.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does something when it is woken, and when it is dropped.
struct Acts<F: Fn()>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Acts<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl<F: Fn()> Drop for Acts<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

proptest! {
    /// No lost wake-up: whoever was told to wait is woken by the next event, by the waker that it gave last; a wake that
    /// brings nothing does no harm.
    #[test]
    fn p7_the_last_waker_is_woken_by_the_next_event(several: bool, polls in 1_usize..5, at in 0_usize..2) {
        let hub = keeper();
        let topics = if several { &TOPICS[..2] } else { &TOPICS[at..=at] };
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        let wakers: Vec<_> = (0..polls).map(|_| Arc::new(Counted::default())).collect();
        for waker in &wakers {
            prop_assert!(subscription.poll_next(&mut Context::from_waker(&waker.clone().into())).is_pending());
        }
        let published = publish(&hub, &[at]);
        prop_assert_eq!(wakers.last().unwrap().0.load(Ordering::Relaxed), 1);
        prop_assert_eq!(read(&mut subscription), published);
    }

    /// A wait that is given up takes nothing with it.
    #[test]
    fn p10_a_dropped_wait_takes_nothing(topics in bursts(40), waits in 0_usize..4) {
        let hub = keeper();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let mut seen = Vec::new();
        for at in topics.chunks(3) {
            for _ in 0..waits {
                let mut wait = subscription.next();
                prop_assert!(std::pin::Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            let published = publish(&hub, at);
            let read = read(&mut subscription);
            prop_assert_eq!(&read, &published);
            seen.extend(read);
        }
        prop_assert_eq!(seen.len(), topics.len());
    }

    /// Work of waking is linear: so many parked, so many wakes, in one round for all that is published at once.
    #[test]
    fn p23_each_who_waits_is_woken_once(parked in 0_usize..200, events in 1_usize..20) {
        let (hub, ticks) = (keeper(), topic("ticks"));
        let counted = Arc::new(Counted::default());
        let waker: Waker = counted.clone().into();
        let mut all: Vec<_> = (0..parked).map(|_| hub.subscribe(Subscribe::topics([&ticks])).unwrap()).collect();
        for subscription in &mut all {
            prop_assert!(subscription.poll_next(&mut Context::from_waker(&waker)).is_pending());
        }
        hub.publish_batch((0..events).map(|n| (ticks.clone(), Event::text(n.to_string())))).unwrap();
        prop_assert_eq!(counted.0.load(Ordering::Relaxed), parked);
        hub.publish_now(&ticks, "nobody waits").unwrap();
        prop_assert_eq!(counted.0.load(Ordering::Relaxed), parked);
    }
}

/// Wakers are woken and dropped outside of every lock: here both use the hub.
#[test]
fn p8_a_waker_may_use_the_hub_when_it_is_woken_and_when_it_is_dropped() {
    for topics in [&TOPICS[..1], &TOPICS[..2]] {
        let hub = keeper();
        let waker = || {
            let hub = hub.clone();
            Waker::from(Arc::new(Acts(move || {
                // To one that is not followed here: else each waker that is dropped would bring the next event.
                hub.publish_now(topic("c/d"), "from a waker").unwrap();
                drop(hub.subscribe(Subscribe::topics(TOPICS)).unwrap());
            })))
        };
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        // The second replaces the first, which is dropped.
        for _ in 0..2 {
            while subscription.poll_next(&mut Context::from_waker(&waker())).is_ready() {}
        }
        hub.publish_now(topic("a"), "wakes").unwrap();
        while subscription.poll_next(&mut Context::from_waker(&waker())).is_ready() {}
        drop(subscription);
    }
}

/// Code of the application's that runs inside the hub may use the hub.
#[test]
fn p11_a_payload_and_a_format_may_use_the_hub() {
    struct Payload(LocalHub);

    impl AsRef<[u8]> for Payload {
        fn as_ref(&self) -> &[u8] {
            b"payload"
        }
    }

    impl Drop for Payload {
        fn drop(&mut self) {
            // The hub may be closed, by what drops the last of its history.
            let _ = self.0.publish_now(topic("b"), "from a payload");
            drop(self.0.subscribe(Subscribe::topics(TOPICS)));
        }
    }

    struct Publishing(LocalHub);

    impl Format for Publishing {
        fn slot(&self) -> Option<Slot> {
            Some(Slot::APPLICATION[0])
        }

        fn encode(&self, event: &EventRef<'_>, out: &mut bytes::BytesMut) {
            self.0.publish_now(topic("c/d"), "from a format").unwrap();
            out.extend_from_slice(event.event.payload());
        }
    }

    let hub = LocalHub::builder().retain(tidings::Retention::count(2)).build();
    let mut subscription = hub.subscribe(Subscribe::topics(TOPICS[..2].iter().copied())).unwrap();
    for _ in 0..200 {
        hub.publish_now(topic("a"), Event::binary(Bytes::from_owner(Payload(hub.clone())))).unwrap();
    }
    let format = Publishing(hub.clone());
    let mut cx = Context::from_waker(Waker::noop());
    let mut pieces = 0;
    while let Poll::Ready(EncodedDelivery::Events(_) | EncodedDelivery::Gap(_)) =
        subscription.poll_encoded(&mut cx, &format, 64)
    {
        pieces += 1;
    }
    assert!(pieces > 1);
    hub.close();
    hub.sweep();
}

/// Publishing waits for no subscriber: one that is stuck in the middle of a read holds nobody up.
#[test]
fn p12_publishing_waits_for_no_subscriber() {
    struct Stuck(Barrier, AtomicBool);

    impl Format for Stuck {
        fn slot(&self) -> Option<Slot> {
            Some(Slot::APPLICATION[0])
        }

        fn encode(&self, event: &EventRef<'_>, out: &mut bytes::BytesMut) {
            if !self.1.swap(true, Ordering::Relaxed) {
                self.0.wait();
                self.0.wait();
            }
            out.extend_from_slice(event.event.payload());
        }
    }

    for topics in [&TOPICS[..1], &TOPICS[..2]] {
        let (hub, format) = (keeper(), Stuck(Barrier::new(2), AtomicBool::new(false)));
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        let mut other = hub.subscribe(Subscribe::topics(topics)).unwrap();
        publish(&hub, &[0]);
        thread::scope(|scope| {
            scope.spawn(|| subscription.poll_encoded(&mut Context::from_waker(Waker::noop()), &format, 64).is_ready());
            format.0.wait();
            // It is in the encoder now, and stays there until all this is done.
            publish(&hub, &[0; 100]);
            assert_eq!(read(&mut other).len(), 101);
            let late = hub.subscribe(Subscribe::topics(topics).start(Start::Oldest)).unwrap();
            drop(late);
            format.0.wait();
        });
        assert!(matches!(poll(&mut subscription), Poll::Ready(Delivery::Events(_))));
    }
}
