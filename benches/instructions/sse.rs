//! Server-sent events on the hub: what the encoder adds to `hub-encoded`. No executor, a timer that never fires.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use tidings::{Clock, Event, LocalHub, Sleep, SseEncoder, StdClock, Subscribe, Timer, Topic};

const SUBSCRIBERS: usize = 1_000;
const PAYLOAD: &[u8] = &[b'x'; 100];

/// Every encoder yields each burst.
pub(crate) fn encoder(burst: usize, rounds: usize) -> usize {
    let topic = Topic::new("bench").expect("valid");
    let (hub, mut cx) = (LocalHub::new(), Context::from_waker(Waker::noop()));
    let subscribe = || hub.subscribe(Subscribe::to([&topic])).expect("open");
    let mut streams: Vec<_> = (0..SUBSCRIBERS).map(|_| SseEncoder::new(subscribe(), &Never)).collect();
    for stream in &mut streams {
        while Pin::new(&mut *stream).poll_next(&mut cx).is_ready() {}
    }
    let mut deliveries = 0;
    // The first round makes the encoders' first delivery.
    for round in 0..=rounds {
        for _ in 0..burst {
            hub.publish_now(&topic, Event::binary(Bytes::from_static(PAYLOAD))).expect("open");
        }
        for stream in &mut streams {
            while let Poll::Ready(Some(bytes)) = Pin::new(&mut *stream).poll_next(&mut cx) {
                black_box(bytes);
            }
        }
        deliveries = round * burst * SUBSCRIBERS;
    }
    deliveries
}

struct Never;

impl Clock for Never {
    fn now(&self) -> Instant {
        StdClock::default().now()
    }
}

impl Timer for Never {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Self)
    }
}

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {
    fn reset(self: Pin<&mut Self>, _: Instant) {}
}
