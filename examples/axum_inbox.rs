//! An inbox for each user: a bearer token names the user, users post messages to each other, and a client that missed
//! some gets the whole inbox.
//!
//! ```text
//! cargo run --example axum_inbox --features full
//!
//! curl -N http://127.0.0.1:3000/events -H 'authorization: Bearer t-bob' -H 'accept: text/event-stream'
//! curl 'http://127.0.0.1:3000/events?to=bob' -H 'authorization: Bearer t-ann' -d 'hello'
//! curl 'http://127.0.0.1:3000/events?cursor=lost' -H 'authorization: Bearer t-bob'
//! ```
//!
//! The first curl prints Bob's messages. The second posts one as Ann. The third has a malformed cursor: it prints a gap with
//! `"snapshot":true`, and then the inbox.
//!
//! `cargo test --example axum_inbox --features full` runs the test below, which opens no socket.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::Router;
use tidings::server::serve;
use tidings::{
    Accepted, Cursor, Endpoint, Event, Gap, LocalHub, Message, Publisher, Rejection, Session, Snapshot, Start,
    SubscribeRequest, Subscription, Topic,
};
use tokio::net::TcpListener;

type User = &'static str;

struct Mail {
    hub: LocalHub,
    users: HashMap<&'static str, User>,
    inboxes: Mutex<HashMap<User, Inbox>>,
}

#[derive(Default)]
struct Inbox {
    messages: Vec<String>,
    /// Cursor of the newest message.
    cursor: Option<Cursor>,
}

impl Mail {
    fn new(hub: LocalHub) -> Self {
        Self { hub, users: HashMap::from([("t-ann", "ann"), ("t-bob", "bob")]), inboxes: Mutex::default() }
    }

    /// Returns the user of the request's token.
    fn user(&self, request: &SubscribeRequest) -> Result<User, Rejection> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| self.users.get(token)).copied().ok_or(Rejection::Unauthorized)
    }

    /// Adds a message. It is stored and published under one lock, so that a snapshot includes both or neither.
    fn deliver(&self, to: User, message: String) -> Result<(), Rejection> {
        let mut inboxes = self.inboxes.lock().expect("lock is not poisoned");
        let receipt = self.hub.publish_now(topic(to)?, message.as_str())?;
        let inbox = inboxes.entry(to).or_default();
        inbox.messages.push(message);
        inbox.cursor = receipt.cursor();
        Ok(())
    }

    /// Returns the messages of a user as one event with the name `inbox`.
    fn inbox(&self, user: User) -> Option<Snapshot> {
        let mut inboxes = self.inboxes.lock().expect("lock is not poisoned");
        let inbox = inboxes.entry(user).or_default();
        let event = Event::json(&inbox.messages).and_then(|event| event.with_name("inbox")).ok()?;
        Some(Snapshot::new([(topic(user).ok()?, event)]).with_cursor(inbox.cursor))
    }
}

/// Returns the topic of a user, which no other user can subscribe to.
fn topic(user: &str) -> Result<Topic, tidings::TopicError> {
    Topic::from_segments(["users", user, "inbox"])
}

impl Publisher for Mail {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let user = self.user(&request)?;
        let accepted = Accepted::new(self.hub.subscribe(request.subscribe_to([topic(user)?]))?).with_data(user);
        Ok(match self.inbox(user) {
            // Only for a client without a cursor. Otherwise each poll would get the inbox.
            Some(inbox) if request.start() == Start::Now => accepted.with_snapshot(inbox),
            _ => accepted,
        })
    }

    /// Receives a message for the user that `?to=` names.
    async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let from = self.user(request)?;
        let to = request.query("to").ok_or(Rejection::invalid("?to= is missing"))?;
        let to = self.users.values().copied().find(|user| *user == to).ok_or(Rejection::NotFound)?;
        let text = message.as_text().ok_or(Rejection::invalid("message is not UTF-8 text"))?;
        self.deliver(to, format!("{from}: {text}"))?;
        Ok(None)
    }

    async fn snapshot(&self, session: &Session, _: &Gap) -> Option<Snapshot> {
        self.inbox(session.data::<User>()?)
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let events = Endpoint::new(Mail::new(LocalHub::new()));
    let app = Router::new().route_service("/events", events.clone());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("Bob's messages: curl http://{address}/events -H 'authorization: Bearer t-bob'");
    serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await
}

#[cfg(test)]
mod tests {
    use axum::http::header::ETAG;
    use axum::http::request::Builder;
    use axum::http::{HeaderValue, Request, StatusCode};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tidings::Retention;

    use super::*;

    struct Answer {
        status: StatusCode,
        cursor: Option<HeaderValue>,
        body: Value,
    }

    async fn ask(events: &Endpoint, token: &str, request: Builder, text: &str) -> Answer {
        let request = request.header("host", "localhost").header("authorization", format!("Bearer {token}"));
        let response = events.handle(request.body(text.to_owned()).unwrap()).await;
        let (status, cursor) = (response.status(), response.headers().get(ETAG).cloned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, cursor, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    fn poll() -> Builder {
        Request::get("/events?transport=short-poll")
    }

    fn post(to: &str) -> Builder {
        Request::post(format!("/events?to={to}")).header("content-type", "text/plain")
    }

    #[tokio::test]
    async fn message_reaches_its_user_and_a_gap_is_followed_by_the_inbox() {
        let hub = LocalHub::builder().retain(Retention::count(1)).build();
        let events = Endpoint::new(Mail::new(hub));

        assert_eq!(ask(&events, "t-eve", poll(), "").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&events, "t-eve", post("bob"), "hi").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&events, "t-ann", post("eve"), "hi").await.status, StatusCode::NOT_FOUND);

        // A new client gets the inbox, which is empty, and then each message.
        let first = ask(&events, "t-bob", poll(), "").await;
        assert_eq!(first.body["events"][0]["data"], json!([]));
        let since = || poll().header("if-none-match", first.cursor.clone().unwrap());
        assert_eq!(ask(&events, "t-ann", post("bob"), "one").await.status, StatusCode::NO_CONTENT);
        assert_eq!(ask(&events, "t-bob", since(), "").await.body["events"][0]["data"], "ann: one");
        assert_eq!(ask(&events, "t-ann", poll(), "").await.body["events"][0]["data"], json!([]));

        // The history of one event has lost the first of two. The client gets a gap, and the inbox.
        ask(&events, "t-ann", post("bob"), "two").await;
        let reply = ask(&events, "t-bob", since(), "").await.body;
        assert_eq!(reply["events"][0]["gap"]["snapshot"], true);
        assert_eq!(reply["events"][1]["event"], "inbox");
        assert_eq!(reply["events"][1]["data"], json!(["ann: one", "ann: two"]));
        assert_eq!(reply["events"].as_array().unwrap().len(), 2);
    }
}
