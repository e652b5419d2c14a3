//! Polls of sources without cursors: all events up to the source's end, or a refusal.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::{Response, StatusCode};
use http_body_util::Full;
use tidings::subscriber::{BoxSubscriber, Delivery, SubscriberExt, SubscriptionEnd, from_stream};
use tidings::{Body, Cursor, Endpoint, Event, Rejection, Subscriber, Topic, Transport};
use tokio::time::Instant;

use crate::support::Feed;
use crate::support::http::{get, pass, text};

const POLLS: [&str; 2] = ["/?transport=short-poll", "/?transport=long-poll&wait=20"];

#[derive(Debug, Clone)]
enum Step {
    Event(String),
    Pause(Duration),
    End,
}

/// A stream that follows a script. It is pending after the last step.
struct Script {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream for Script {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match self.steps.pop_front() {
                Some(Step::Event(text)) => return Poll::Ready(Some(text.into())),
                Some(Step::Pause(time)) => self.pause = Some(Box::pin(pass(time))),
                Some(Step::End) => return Poll::Ready(None),
                None => return Poll::Pending,
            }
        }
    }
}

fn event(text: &str) -> Step {
    Step::Event(text.to_owned())
}

fn source(steps: &[Step]) -> BoxSubscriber {
    from_stream(Topic::new("t").unwrap(), Script { steps: steps.to_vec().into(), pause: None }).boxed()
}

/// Polls a source of the publisher, and a source that a handler passes to `respond`.
async fn polled(target: &str, steps: &[Step]) -> [(StatusCode, String); 2] {
    let steps: VecDeque<_> = steps.to_vec().into();
    let of = steps.clone();
    let endpoint = Endpoint::new(move |_| {
        let source = source(&of.clone().into_iter().collect::<Vec<_>>());
        async move { Ok::<_, Rejection>(source) }
    });
    let request = || get(target).body(Full::<Bytes>::default()).unwrap();
    let asked = answer(endpoint.handle(request()).await).await;
    let given = source(&steps.into_iter().collect::<Vec<_>>());
    [asked, answer(endpoint.respond(request(), given).await).await]
}

async fn answer(response: Response<Body>) -> (StatusCode, String) {
    (response.status(), text(response).await)
}

/// Returns the reply with two events and the end of the source. It has the reserved cursor, so that the client can tell that it
/// has everything.
fn ended_body() -> String {
    let cursor = Cursor::new(0, 1);
    format!(
        r#"{{"cursor":"{cursor}","events":[{{"topic":"t","data":"a"}},{{"topic":"t","data":"b"}},{{"id":"{cursor}","end":{{"topic":"t","reason":"done"}}}}],"end":true}}"#
    )
}

#[tokio::test(start_paused = true)]
async fn poll_of_a_source_that_ends_at_once_gets_all_of_it() {
    for target in POLLS {
        let expected = (StatusCode::OK, ended_body());
        let steps = [event("a"), event("b"), Step::End];
        assert_eq!(polled(target, &steps).await, [expected.clone(), expected], "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_poll_waits_for_the_end_of_a_source_without_cursors() {
    let steps =
        [event("a"), Step::Pause(Duration::from_secs(3)), event("b"), Step::Pause(Duration::from_secs(2)), Step::End];
    let begin = Instant::now();
    let expected = (StatusCode::OK, ended_body());
    assert_eq!(polled(POLLS[1], &steps).await, [expected.clone(), expected]);
    assert_eq!(begin.elapsed().as_secs(), 2 * 5);
}

#[tokio::test(start_paused = true)]
async fn poll_that_would_lose_events_of_a_source_without_cursors_is_refused() {
    // A stream gives at most 64 events at once, and a reply takes one such batch.
    let many = [vec![event(&"x".repeat(1_100)); 65], vec![Step::End]].concat();
    for target in POLLS {
        for steps in [
            &[][..],
            &[event("first")],
            &[event("first"), Step::Pause(Duration::from_secs(60)), event("second"), Step::End],
            &many,
        ] {
            for (status, text) in polled(target, steps).await {
                assert_eq!(status, StatusCode::BAD_REQUEST, "{target} {text}");
                let error = "{\"error\":\"the events have no cursors and their source has not ended, so a poll would lose the \
                             rest: use SSE (Accept: text/event-stream), NDJSON (Accept: application/x-ndjson), a WebSocket\"}";
                assert_eq!(text, error);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn poll_of_a_subscriber_without_cursors_is_refused_with_the_usable_transports() {
    for (here, reported) in [
        (&[Transport::ShortPoll, Transport::LongPoll][..], "no other transport is offered here"),
        (
            &[Transport::ShortPoll, Transport::LongPoll, Transport::Chunked],
            "use NDJSON (Accept: application/x-ndjson)\"",
        ),
    ] {
        for target in POLLS {
            let feed = Feed::new(0);
            feed.event("t", "first");
            let of = feed.clone();
            let publisher = move |_| {
                let reader = of.reader();
                async move { Ok::<_, Rejection>(reader) }
            };
            let endpoint = Endpoint::builder(publisher).transports(here.iter().copied()).build();
            let request = || get(target).body(Full::<Bytes>::default()).unwrap();
            let (status, text) = answer(endpoint.handle(request()).await).await;
            assert!(status == StatusCode::BAD_REQUEST && text.contains(reported), "{status} {text}");
            feed.end(SubscriptionEnd::Finished);
            assert_eq!(answer(endpoint.handle(request()).await).await.0, StatusCode::OK);
        }
    }
}

/// A client without a cursor cannot request the events of a failed poll again.
#[tokio::test(start_paused = true)]
async fn poll_of_a_source_without_cursors_that_fails_is_an_error() {
    struct Fails(Option<BoxSubscriber>);

    impl Subscriber for Fails {
        fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
            match self.0.take() {
                Some(mut source) => source.poll_next(cx),
                None => Poll::Ready(Delivery::End(SubscriptionEnd::Failed)),
            }
        }
    }

    let endpoint = Endpoint::new(|_| async { Ok::<_, Rejection>(Fails(Some(source(&[event("a")])))) });
    for target in POLLS {
        let response = endpoint.handle(get(target).body(Full::<Bytes>::default()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn drain_refuses_a_held_poll_of_a_source_without_cursors() {
    let endpoint = Endpoint::new(|_| async { Ok::<_, Rejection>(source(&[event("a")])) });
    let poll = tokio::spawn(endpoint.handle(get(POLLS[1]).body(Full::<Bytes>::default()).unwrap()));
    pass(Duration::from_secs(1)).await;
    endpoint.drain().await;
    assert_eq!(poll.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}
