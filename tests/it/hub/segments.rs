//! Memory that a stalled reader keeps after the events left history.

use std::task::Poll;

use proptest::prelude::*;
use tidings::subscriber::EncodedDelivery;
use tidings::{Event, LocalHub, Retention, Subscribe, Subscriber};

use crate::support::{LineFormat, next_gap, poll_encoded, topic};

/// Maximum events of a segment.
const EVENTS: usize = 256;
/// Bytes at which a segment is sealed.
const BYTES: usize = 64 * 1024;
/// Upper bound for the overhead of an event, in bytes.
const OVERHEAD: usize = 128;

proptest! {
    #![proptest_config(crate::support::cases(64))]

    #[test]
    fn stalled_reader_pins_one_segment_until_release(len in 0..3_000_usize, read in 1..600_u64) {
        let hub = LocalHub::builder().retain(Retention::count(1_000).bytes(usize::MAX)).live_buffer(0).build();
        let topic = topic("a");
        let mut subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
        let publish = |count: u64| (0..count).for_each(|_| {
            hub.publish_now(&topic, Event::text("x".repeat(len))).unwrap();
        });
        publish(600);
        for _ in 0..read {
            let polled = poll_encoded(&mut subscription, &LineFormat(None), 1);
            prop_assert!(matches!(polled, Poll::Ready(EncodedDelivery::Events(encoding)) if encoding.events == 1));
        }
        publish(2_000);
        let pinned = hub.stats().pinned_bytes;
        prop_assert!(pinned > 0 && pinned <= BYTES + len + EVENTS * OVERHEAD, "{pinned}");
        subscription.release();
        prop_assert_eq!(hub.stats().pinned_bytes, 0);
        let missed = next_gap(&mut subscription).missed.unwrap();
        prop_assert!((1_200..=1_600).contains(&(missed + read)), "{missed}");
    }
}
