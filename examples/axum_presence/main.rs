//! The people who are on a page, by name: a list that follows joins, reloads and closed windows.
//!
//! ```text
//! cargo run --example axum_presence --features full
//!
//! open http://127.0.0.1:3000
//!
//! curl -N 'http://127.0.0.1:3000/events?name=Bob' -H 'accept: application/x-ndjson'
//! curl http://127.0.0.1:3000/readers
//! ```
//!
//! Open the page in two windows and join with two names: each window lists both. Reload one: the other shows no change. Close
//! one: 5 s later the other removes the name. A name that is in two windows is listed once.
//!
//! The first curl joins as Bob and prints an event for each person who is there, and each change. The second prints the
//! sessions of the list.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use tidings::server::{bind, serve};
use tidings::{Accepted, EndpointBuilder, LocalHub, Rejection, Retention, Session, Topic};
use tokio::signal::ctrl_c;

/// Data of a session. A name that the client can choose stands for your authentication.
struct Person {
    name: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let people = Topic::new("people").expect("a topic");
    let hub = LocalHub::builder().retain_for(&people, Retention::latest_per_key()).build();
    let topic = people.clone();
    let events = EndpointBuilder::from_fn(&hub, async |request| {
        let name = request.query("name").map(|name| name.trim().to_owned()).unwrap_or_default();
        if name.is_empty() || name.len() > 40 || name.chars().any(char::is_control) {
            return Err(Rejection::invalid("the name has 1 to 40 bytes, and no control characters"));
        }
        Ok(Accepted::new(request.subscribe_to(["people"])).with_data(Person { name }))
    })
    .presence(&hub, move |session: &Session| {
        let person = session.data::<Person>()?;
        // The key identifies the person, as an id of a user does. The event is what the others see.
        Some((topic.clone(), person.name.to_lowercase(), person.name.clone()))
    })
    .on_refusal(|refused| eprintln!("{refused}"))
    .build();

    let sessions = events.clone();
    let readers = move || {
        let readers = sessions.sessions_on(&people);
        let lines = readers.iter().map(|info| format!("{} {}\n", info.session.id(), info.session.transport().as_str()));
        let lines: String = lines.collect();
        async { ([(CONTENT_TYPE, "text/plain")], lines) }
    };
    let router = Router::new()
        .route("/", get(Html(include_str!("page.html"))))
        .route("/readers", get(readers))
        .route_service("/events", events.clone());
    let listener = bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("open http://{}", listener.local_addr()?);
    serve(listener, router).with_graceful_shutdown(events.drain_on(ctrl_c())).await
}
