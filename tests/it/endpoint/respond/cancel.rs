//! Futures and bodies that are dropped after each number of polls.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use http_body::Body as _;
use tidings::{
    Accepted, Body, Endpoint, Event, Gap, LocalHub, Publisher, Rejection, Session, Snapshot, Start, Subscribe,
    SubscribeRequest, Subscription, Topic,
};

use super::support::{Desk, parts};
use crate::support::http::request;

/// Kinds of streams.
const ACCEPTS: [&str; 2] = ["text/event-stream", "application/x-ndjson"];

/// Polls a future at most this often. Returns its output if it is ready by then.
fn poll_times<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Takes at most this many frames of a body, until it is pending. Returns the text.
fn take(body: &mut Body, frames: usize) -> String {
    let mut text = String::new();
    for _ in 0..frames {
        match Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(frame)) => {
                text += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
            }
            Poll::Ready(None) => panic!("ended after {text}"),
            Poll::Pending => break,
        }
    }
    text
}

/// Returns the last cursor of a text of either format.
fn last_id(text: &str) -> Option<String> {
    let of_line = |line: &str| {
        let id = line.strip_prefix("id: ").map(str::to_owned);
        let object = || serde_json::from_str::<serde_json::Value>(line).ok();
        id.or_else(|| object()?.get("id")?.as_str().map(str::to_owned))
            .or_else(|| object()?.get("cursor")?.as_str().map(str::to_owned))
    };
    text.lines().rev().find_map(of_line)
}

/// Returns the numbers of the events in a text.
fn numbers(text: &str) -> Vec<usize> {
    let number = |rest: &str| rest.split('.').next().unwrap().parse().unwrap();
    text.split("event-").skip(1).map(number).collect()
}

#[tokio::test]
async fn future_dropped_after_any_number_of_polls_leaves_no_session() {
    for accept in ACCEPTS {
        for polls in 0..4 {
            let desk = Desk::new();
            let request = parts(request("POST", "/").header("accept", accept));
            let subscription = desk.subscribe(&request).unwrap();
            let response = poll_times(desk.events.respond(request, subscription), polls);
            assert_eq!(response.is_some(), polls > 0);
            assert_eq!(desk.open(), (usize::from(polls > 0), usize::from(polls > 0)));
            drop(response);
            assert_eq!(desk.open(), (0, 0), "{accept} after {polls} polls");
        }
    }
}

#[tokio::test]
async fn body_dropped_after_any_number_of_frames_loses_no_event() {
    for accept in ACCEPTS {
        // The number of frames that the client takes before it is cut, at each connection.
        for frames in 1..6 {
            let desk = Desk::new();
            let (mut cursor, mut seen) = (None::<String>, Vec::<usize>::new());
            for number in 0..12 {
                let post = request("POST", "/").header("accept", accept);
                let post = cursor.iter().fold(post, |it, cursor| it.header("last-event-id", cursor));
                let response = desk.send(post).await;
                desk.publish(&format!("event-{number}."));
                let mut body = response.into_body();
                let text = take(&mut body, frames);
                drop(body);
                assert_eq!(desk.open(), (0, 0));
                cursor = last_id(&text).or(cursor);
                seen.extend(numbers(&text));
            }
            let post = request("POST", "/").header("accept", accept).header("last-event-id", cursor.unwrap());
            let text = take(&mut desk.send(post).await.into_body(), 100);
            seen.extend(numbers(&text));
            assert_eq!(seen, (0..12).collect::<Vec<_>>(), "{accept}, {frames} frames");
        }
    }
}

#[tokio::test]
async fn body_with_a_snapshot_dropped_after_any_number_of_frames_leaves_no_session() {
    for accept in ACCEPTS {
        for frames in 0..6 {
            let desk = Desk::new();
            let request = parts(request("POST", "/").header("accept", accept));
            let state = (0..3).map(|number| (Topic::new("answer").unwrap(), Event::from(format!("state {number}"))));
            let accepted = Accepted::new(desk.subscribe(&request).unwrap()).with_snapshot(Snapshot::new(state));
            let mut body = desk.events.respond(request, accepted).await.into_body();
            take(&mut body, frames);
            assert_eq!(desk.open(), (1, 1));
            drop(body);
            assert_eq!(desk.open(), (0, 0), "{accept} after {frames} frames");
        }
    }
}

/// A publisher whose snapshot takes three polls.
struct Slow(Arc<AtomicUsize>);

impl Publisher for Slow {
    type Subscriber = Subscription;

    async fn subscribe(&self, _: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        panic!("the handler has subscribed");
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Some(Snapshot::new([(Topic::new("answer").unwrap(), Event::from("state"))]))
    }
}

#[tokio::test]
async fn future_that_waits_for_a_snapshot_dropped_after_any_number_of_polls_leaves_no_session() {
    let mut waits = 0;
    // Without control blocks the head waits for the snapshot.
    for polls in 0..8 {
        let (hub, snapshots) = (LocalHub::new(), Arc::new(AtomicUsize::new(0)));
        let events = Endpoint::new(Slow(snapshots.clone()));
        let subscription = hub.subscribe(Subscribe::topics(["answer"]).start(Start::Unreadable)).unwrap();
        let request = parts(request("POST", "/?controls=off&cursor=lost"));
        let response = poll_times(events.respond(request, subscription), polls);
        waits += usize::from(response.is_none());
        assert_eq!(response.is_some(), snapshots.load(Ordering::Relaxed) == 1);
        if let Some(response) = response {
            assert_eq!((response.status().as_u16(), events.session_count()), (200, 1));
            assert!(take(&mut response.into_body(), 4).contains("data: state\n"));
        }
        assert_eq!((events.session_count(), hub.stats().subscriptions), (0, 0), "after {polls} polls");
    }
    assert_eq!(waits, 4, "the future is dropped in each of its waits");
}
