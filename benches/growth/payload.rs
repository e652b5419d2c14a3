//! Large payloads.

use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tidings::subscriber::{EncodedDelivery, EventRef, Format, Slot};
use tidings::{Event, LocalHub, Retention, Subscribe, Subscriber};

use super::Wanted;
use super::measure::{heap, nanos_each, publish, topic};
use super::table::{Table, bytes, time};

const SIZES: [usize; 4] = [100, 1 << 10, 64 << 10, 1 << 20];
const SUBSCRIBERS: usize = 100;
const EVENTS: usize = 50;

/// The payload unchanged.
struct Plain;

impl Format for Plain {
    fn slot(&self) -> Option<Slot> {
        Some(Slot::APPLICATION[0])
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        out.extend_from_slice(event.event.payload());
    }
}

pub(crate) fn measure(wanted: &Wanted) {
    if !wanted.has("payload") {
        return;
    }
    let mut table = Table::new("bytes of a payload");
    for size in SIZES {
        let retention = Retention::count(EVENTS).bytes(usize::MAX);
        let (hub, topic) = (LocalHub::builder().retain(retention).max_event(2 << 20).build(), topic("payload"));
        let before = heap();
        for _ in 0..EVENTS {
            publish(&hub, &topic, Event::binary(vec![b'x'; size]));
        }
        table.put("heap of an event beyond its payload", bytes((heap() - before) / EVENTS as f64 - size as f64));
        let counted = hub.stats().bytes as f64 / EVENTS as f64;
        table.put("bytes that the budget counts beyond it", bytes(counted - size as f64));
        let shared = Bytes::from(vec![b'x'; size]);
        let publish = || publish(&hub, &topic, Event::binary(shared.clone()));
        table.put("publish of bytes that are there", time(nanos_each(100, publish)));
        let mut all: Vec<_> =
            (0..SUBSCRIBERS).map(|_| hub.subscribe(Subscribe::topics([&topic])).expect("open")).collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut deliver = || {
            publish();
            for one in &mut all {
                while let Poll::Ready(encoded) = one.poll_encoded(&mut cx, &Plain, 64 << 10) {
                    assert!(matches!(encoded, EncodedDelivery::Events(_)));
                }
            }
        };
        deliver();
        table.put(
            "publish and encode, shared by 100 deliveries, per delivery",
            time(nanos_each(1, deliver) / SUBSCRIBERS as f64),
        );
    }
    table.print(&SIZES);
}
