//! Deliveries of several parts to a throttled session.

use std::task::{Context, Poll};
use std::time::Duration;

use tidings::subscriber::{BoxSubscriber, SubscriberExt, from_stream};
use tidings::{Accepted, Endpoint, Event, LocalHub, Rejection, Retention, SubscribeRequest, Topic};
use tokio::time::Instant;

use super::throttle::{SECOND, SLACK, next};
use crate::support::http::{App, piece, stream};

#[tokio::test(start_paused = true)]
async fn client_that_resumes_gets_its_whole_history_at_once() {
    let app = App::with_hub(LocalHub::builder().retain(Retention::count(1_000)).build());
    let endpoint = app.builder().max_batch_bytes(1_000).build();
    let start = app.hub.cursor();
    (0..500).for_each(|number| drop(app.publish(&format!("<{number}>{}", "x".repeat(100)))));
    let (begin, mut read) = (Instant::now(), String::new());
    let mut body = stream(&endpoint, &format!("/?transport=chunked&throttle=60000&cursor={start}")).await;
    while !read.contains("<499>") {
        read += &next(&mut body).await;
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

/// A stream of events has no head that ends a delivery.
#[tokio::test(start_paused = true)]
async fn source_without_a_head_gives_one_batch_an_interval() {
    struct Numbers(u32);
    impl futures_core::Stream for Numbers {
        type Item = Event;

        fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
            self.0 += 1;
            Poll::Ready((self.0 <= 100).then(|| Event::text(format!("<{}>", self.0))))
        }
    }
    let endpoint = Endpoint::new(|_: SubscribeRequest| async {
        let subscriber: BoxSubscriber = from_stream(Topic::new("news").unwrap(), Numbers(0)).boxed();
        Ok::<_, Rejection>(Accepted::new(subscriber).with_throttle(SECOND))
    });
    let mut body = stream(&endpoint, "/?transport=chunked").await;
    let begin = Instant::now();
    let first = next(&mut body).await;
    assert!(first.contains("<64>") && !first.contains("<65>"));
    assert!(next(&mut body).await.contains("<100>"));
    assert!((SECOND..SECOND + SLACK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    assert!(next(&mut body).await.contains(r#""end":{"topic":"news""#));
    assert_eq!(piece(&mut body).await, None);
    assert!(begin.elapsed() < SECOND + SLACK, "the end does not wait");
}
