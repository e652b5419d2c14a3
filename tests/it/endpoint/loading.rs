//! Subscribers that read their first events from a store, which takes time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use tidings::subscriber::{Batch, Delivery, SubscriberInfo};
use tidings::transport::short_poll::PollQueue;
use tidings::{Cursor, Endpoint, Gap, GapReason, Rejection, Subscriber, Topic};
use tokio::time::Instant;

use crate::support::http::{To, get, pass, text};

const TIME: Duration = Duration::from_millis(700);

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A subscriber that loads one delivery, and is pending after it.
struct Loader {
    loading: Option<(Pause, Delivery)>,
    cursor: Option<Cursor>,
}

impl Loader {
    fn new(delivery: Delivery) -> Self {
        let cursor = match &delivery {
            Delivery::Events(_) => Some(Cursor::new(7, 1)),
            _ => None,
        };
        Self { loading: Some((Box::pin(pass(TIME)), delivery)), cursor }
    }
}

impl Subscriber for Loader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let Some((pause, _)) = &mut self.loading else { return Poll::Pending };
        ready!(pause.as_mut().poll(cx));
        self.cursor = Some(Cursor::new(7, 2));
        self.loading.take().map_or(Poll::Pending, |(_, delivery)| Poll::Ready(delivery))
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    fn info(&self) -> SubscriberInfo<'_> {
        let info = SubscriberInfo::new();
        if self.loading.is_some() { info.with_loading() } else { info }
    }
}

fn events() -> Delivery {
    Delivery::Events(Batch::new(Topic::new("news").unwrap(), 7, [(2, "late".into())]))
}

fn gap() -> Delivery {
    Delivery::Gap(Gap::new(GapReason::Epoch, Cursor::new(7, 2)))
}

fn endpoint(delivery: fn() -> Delivery) -> Endpoint {
    Endpoint::new(move |_| async move { Ok::<_, Rejection>(Loader::new(delivery())) })
}

#[tokio::test(start_paused = true)]
async fn short_poll_waits_for_events_that_are_loaded() {
    let (begin, cursor) = (Instant::now(), Cursor::new(7, 2));
    let response = get("/?transport=short-poll").to(&endpoint(events)).await;
    let event = format!(r#"{{"id":"{cursor}","topic":"news","data":"late"}}"#);
    assert_eq!(text(response).await, format!(r#"{{"cursor":"{cursor}","events":[{event}]}}"#));
    assert_eq!(begin.elapsed(), TIME);
    let response = get("/?transport=short-poll").to(&endpoint(gap)).await;
    assert!(text(response).await.contains(r#""reason":"epoch""#), "a gap is loaded, too");
}

#[tokio::test(start_paused = true)]
async fn stream_without_controls_waits_for_a_gap_that_is_loaded() {
    let begin = Instant::now();
    let response = get("/?transport=sse&controls=off").to(&endpoint(gap)).await;
    assert_eq!((response.status(), begin.elapsed()), (StatusCode::GONE, TIME));
}

#[tokio::test(start_paused = true)]
async fn poll_queue_replies_when_its_events_are_loaded() {
    let begin = Instant::now();
    assert!(!PollQueue::new(Loader::new(events())).reply_loaded().await.is_empty());
    assert_eq!(begin.elapsed(), TIME);
    assert!(PollQueue::new(Loader::new(events())).reply().is_empty(), "nothing is ready at once");
}
