//! An event that expires beside one that is read.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use loom::thread;
use tidings::subscriber::{EncodedDelivery, EventRef, Format};
use tidings::{Event, Retention, Subscribe, Subscriber};

use super::{hub, publish, read, topic};

#[test]
fn expired_event_published_during_encode_is_not_delivered() {
    struct Names;
    impl Format for Names {
        fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
            out.extend_from_slice(event.event.as_str().unwrap().as_bytes());
        }
    }
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        // The reader is in a segment with room.
        (publish(&hub, "a"), publish(&hub, "a"));
        read(&mut subscription, 2);
        hub.publish_now(&topic("a"), "lives").unwrap();
        let publisher = thread::spawn(move || {
            hub.publish_now(&topic("a"), Event::text("over").with_ttl(Duration::ZERO)).unwrap();
        });
        let told = subscription.poll_encoded(&mut Context::from_waker(Waker::noop()), &Names, usize::MAX);
        assert!(matches!(&told, Poll::Ready(EncodedDelivery::Events(events)) if events.bytes == "lives"), "{told:?}");
        publisher.join().unwrap();
    });
}
