//! Memory that a reader that stands still keeps of history that is gone for everyone else.

use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{Event, LocalHub, Retention, Subscribe, Subscriber, Topic};

use super::model::Lines;

// A segment has so many events at most, is sealed at so many bytes, and keeping an event takes so many beside its payload.
const EVENTS: usize = 256;
const BYTES: usize = 64 * 1024;
const BESIDE: usize = 128;

proptest! {
    #![proptest_config(crate::support::cases(64))]

    #[test]
    fn a_reader_that_stands_still_pins_one_segment_until_it_detaches(len in 0..3_000_usize, read in 1..600_u64) {
        let hub = LocalHub::builder().retain(Retention::count(1_000).bytes(usize::MAX)).live_buffer(0).build();
        let topic = Topic::new("a").unwrap();
        let mut subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
        let publish = |count: u64| (0..count).for_each(|_| {
            hub.publish_now(&topic, Event::text("x".repeat(len))).unwrap();
        });
        publish(600);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..read {
            let polled = subscription.poll_encoded(&mut cx, &Lines(None), 1);
            prop_assert!(matches!(polled, Poll::Ready(EncodedDelivery::Events(encoding)) if encoding.events == 1));
        }
        publish(2_000);
        let pinned = hub.stats().pinned_bytes;
        prop_assert!(pinned > 0 && pinned <= BYTES + len + EVENTS * BESIDE, "{pinned}");
        subscription.release();
        prop_assert_eq!(hub.stats().pinned_bytes, 0);
        let Poll::Ready(Delivery::Gap(gap)) = subscription.poll_next(&mut cx) else { panic!("no gap") };
        let missed = gap.missed.unwrap();
        prop_assert!((1_200..=1_600).contains(&(missed + read)), "{missed}");
    }
}
