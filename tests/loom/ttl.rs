//! An event that expires while another is encoded.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use loom::thread;
use tidings::subscriber::{EncodedDelivery, EventRef, Format};
use tidings::{Event, Retention, Subscribe, Subscriber};

use super::support::{hub, publish, read, topic};

#[test]
fn expired_event_published_during_encode_is_not_delivered() {
    struct Payload;
    impl Format for Payload {
        fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
            out.extend_from_slice(event.event.as_str().unwrap().as_bytes());
        }
    }
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        // The reader is in a segment that is not full.
        (publish(&hub, "a"), publish(&hub, "a"));
        read(&mut subscription, 2);
        hub.publish_now(&topic("a"), "lives").unwrap();
        let publisher = thread::spawn(move || {
            hub.publish_now(&topic("a"), Event::text("over").with_ttl(Duration::ZERO)).unwrap();
        });
        let polled = subscription.poll_encoded(&mut Context::from_waker(Waker::noop()), &Payload, usize::MAX);
        assert!(
            matches!(&polled, Poll::Ready(EncodedDelivery::Events(events)) if events.bytes == "lives"),
            "{polled:?}"
        );
        publisher.join().unwrap();
    });
}
