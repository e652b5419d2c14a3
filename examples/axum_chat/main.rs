//! A chat: rooms, the people who are in them, and the last 50 messages for a newcomer, over one WebSocket, or where there is
//! none over server-sent events and POST.
//!
//! ```text
//! cargo run --example axum_chat --features full
//!
//! open http://127.0.0.1:3000
//!
//! curl -N 'http://127.0.0.1:3000/events?room=lobby&name=Bob' -H 'accept: application/x-ndjson'
//! curl 'http://127.0.0.1:3000/events?room=lobby&name=Bob' -H 'content-type: text/plain' -d 'hello'
//! ```
//!
//! Open the page in two windows and join with two names: what one writes is in both, and each lists both people. Reload one: it
//! has the messages, and the other shows no change. Write seven messages at once: the seventh is refused, and stays in its
//! field. `?transport=sse` at the page's address turns the WebSocket off: nothing else changes.
//!
//! The first curl joins as Bob, and prints messages and people. The second writes as Bob.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tidings::server::{bind, serve};
use tidings::{
    Accepted, Endpoint, Event, LocalHub, Message, Publisher, Rejection, Retention, Session, Start, SubscribeRequest,
    Subscription, Topic,
};
use tokio::signal::ctrl_c;

/// A fixed table bounds the memory. The page has the same rooms.
const ROOMS: [&str; 3] = ["lobby", "garden", "kitchen"];
/// Number of messages that a room keeps.
const HISTORY: usize = 50;
/// Most characters of a message.
const MAX_TEXT: usize = 500;
/// Each name may write one message in this time on average, and `BURST` at once.
const PACE: Duration = Duration::from_secs(1);
const BURST: u32 = 6;

/// Person in a room. A name that the client can choose stands for your authentication.
struct Person {
    name: String,
    said: Topic,
    people: Topic,
}

impl Person {
    fn of(request: &SubscribeRequest) -> Result<Self, Rejection> {
        let name = request.query("name").map(|name| name.trim().to_owned()).unwrap_or_default();
        if name.is_empty() || name.len() > 40 || name.chars().any(char::is_control) {
            return Err(Rejection::invalid("the name has 1 to 40 bytes, and no control characters"));
        }
        let room = request.query("room").filter(|room| ROOMS.contains(&&**room)).ok_or(Rejection::NotFound)?;
        let topic = |of| Topic::from_segments([of, &*room]);
        Ok(Self { name, said: topic("said")?, people: topic("people")? })
    }
}

#[derive(serde::Serialize)]
struct Said<'a> {
    from: &'a str,
    text: &'a str,
}

struct Chat {
    hub: LocalHub,
    /// Time at which each name that wrote lately is back at its full burst.
    paid: Mutex<HashMap<String, Instant>>,
}

impl Chat {
    /// Limits the messages of a name, of all its connections. The endpoint's own limit is for each WebSocket.
    fn limit(&self, name: &str) -> Result<(), Rejection> {
        let (mut paid, now) = (self.paid.lock().expect("lock is not poisoned"), Instant::now());
        paid.retain(|_, until| *until > now);
        let until = paid.entry(name.to_lowercase()).or_insert(now);
        let over = (*until + PACE).saturating_duration_since(now + PACE * BURST);
        if !over.is_zero() {
            return Err(Rejection::Busy { retry_after: over });
        }
        *until += PACE;
        Ok(())
    }
}

impl Publisher for Chat {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let person = Person::of(&request)?;
        let topics = request.subscribe_to([&person.said, &person.people]);
        // For a newcomer. A client with a cursor gets what it has missed.
        let subscribe = topics.start_of(&person.said, Start::Last(HISTORY));
        Ok(Accepted::new(self.hub.subscribe(subscribe)?).with_data(person))
    }

    /// Receives a message, by WebSocket or POST. Its request is that of the WebSocket, or the POST.
    async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let person = Person::of(request)?;
        let text = message.as_text().map(str::trim).unwrap_or_default();
        if text.is_empty() || text.chars().count() > MAX_TEXT {
            return Err(Rejection::invalid("a message has 1 to 500 characters"));
        }
        self.limit(&person.name)?;
        self.hub.publish(&person.said, Event::json(&Said { from: &person.name, text })?).await?;
        Ok(None)
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let hub = LocalHub::builder()
        .retain_for("said/*", Retention::count(HISTORY))
        .retain_for("people/*", Retention::latest_per_key())
        .build();
    let events = Endpoint::builder(Chat { hub: hub.clone(), paid: Mutex::default() })
        .presence(&hub, |session: &Session| {
            let person = session.data::<Person>()?;
            Some((person.people.clone(), person.name.to_lowercase(), person.name.clone()))
        })
        .max_message(4 * MAX_TEXT) // bytes, before the message is read: 413, or the close code 1009
        .max_message_rate(20) // a second, for each WebSocket: the close code 1008
        .build();
    let router =
        Router::new().route("/", get(Html(include_str!("page.html")))).route_service("/events", events.clone());
    let listener = bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("open http://{}", listener.local_addr()?);
    serve(listener, router).with_graceful_shutdown(events.drain_on(ctrl_c())).await
}
