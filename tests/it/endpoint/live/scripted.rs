//! A source with a script: the state of an added topic is sent before the confirmation.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use serde_json::json;
use tidings::subscriber::{Batch, Delivery, SubscriberInfo};
use tidings::{Cursor, Event, Pattern, ResubscribeError, SessionId, Subscriber, Topic};

use super::app::{LiveApp, change, data, objects};
use crate::support::http::{TestClient, settle};

/// A subscriber whose state the test releases event by event. Its cursor is that of the state until the state is complete.
#[derive(Clone)]
struct Filling(Arc<Mutex<State>>);

struct State {
    epoch: u64,
    /// Sequences of the state that may be delivered, and of that which is to be released.
    ready: VecDeque<u64>,
    held: VecDeque<u64>,
    cursor: Cursor,
    skipped_to: Option<Cursor>,
    waker: Option<Waker>,
}

impl Filling {
    fn new(epoch: u64, state: &[u64]) -> Self {
        let (held, cursor) = (state.iter().copied().collect(), Cursor::new(epoch, 0));
        Self(Arc::new(Mutex::new(State { epoch, ready: VecDeque::new(), held, cursor, skipped_to: None, waker: None })))
    }

    async fn release(&self, count: usize) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            for _ in 0..count {
                let next = state.held.pop_front().unwrap();
                state.ready.push_back(next);
            }
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        settle().await;
    }
}

impl Subscriber for Filling {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let mut state = self.0.lock().unwrap();
        match state.ready.pop_front() {
            Some(sequence) => {
                state.cursor = Cursor::new(state.epoch, sequence);
                let event = (sequence, Event::text(format!("state {sequence}")));
                Poll::Ready(Delivery::Events(Batch::new(Topic::new("keyed").unwrap(), state.epoch, [event])))
            }
            None => {
                if let (true, Some(cursor)) = (state.held.is_empty(), state.skipped_to) {
                    state.cursor = cursor;
                }
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        Some(self.0.lock().unwrap().cursor)
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        self.0.lock().unwrap().skipped_to = Some(cursor);
        true
    }

    fn info(&self) -> SubscriberInfo<'_> {
        SubscriberInfo::new().with_topics(vec![Pattern::new("keyed").unwrap()])
    }
}

/// A subscriber whose cursors have a tag of their own meaning, and that cannot skip.
pub(super) struct Tagged;

impl Subscriber for Tagged {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        Poll::Pending
    }

    fn cursor(&self) -> Option<Cursor> {
        Some(Cursor::new(9, 1).with_tag(5))
    }
}

#[tokio::test(start_paused = true)]
async fn source_with_tagged_cursors_refuses_a_change() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    for (first, next) in [("tagged", "a"), ("a", "tagged"), ("tagged", "tagged")] {
        let mut client = TestClient::open_objects(&endpoint, &format!("/?topic={first}")).await;
        let id = endpoint.sessions().last().unwrap().session.id();
        assert_eq!(endpoint.resubscribe(id, Tagged), Err(ResubscribeError::NoCursors));
        change(&mut client, &[next]).await;
        let objects = objects(&client);
        assert_eq!((objects.len(), &objects[0]["code"]), (1, &json!("unsupported")), "{first} to {next}");
    }
}

#[tokio::test(start_paused = true)]
async fn confirmation_follows_the_state_of_an_added_topic() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    for _ in 0..9 {
        app.publish("a", "x");
    }
    settle().await;
    let filling = Filling::new(app.hub().cursor().epoch(), &[2, 5, 7]);
    endpoint.resubscribe(SessionId::from(1), filling.clone()).unwrap();
    settle().await;
    // The next change waits for this one to be complete.
    change(&mut client, &["b"]).await;
    filling.release(2).await;
    let objects_of = |client: &TestClient| objects(client)[9..].to_vec();
    assert_eq!(data(&objects_of(&client)), ["state 2", "state 5"]);
    assert_eq!((objects_of(&client).len(), app.calls().len()), (2, 1), "the state is not complete");
    filling.release(1).await;
    let objects = objects_of(&client);
    let cursor = app.hub().cursor().to_string();
    assert_eq!(objects[2]["data"], "state 7");
    assert_eq!((&objects[3]["topics"], &objects[3]["cursor"]), (&json!(["keyed"]), &json!(cursor)));
}
