//! A scoreboard: whoever comes gets the scores as they are, then every change, and after a gap the scores again.
//!
//! <http://127.0.0.1:3000> is a page that shows the scores and has a button for each team.
//!
//! ```text
//! cargo run --example axum_board --features full
//!
//! curl -d '' http://127.0.0.1:3000/score/red
//! curl -N http://127.0.0.1:3000/events -H 'accept: application/x-ndjson'
//! curl -N http://127.0.0.1:3000/events -H 'accept: application/x-ndjson' -H 'last-event-id: lost'
//! ```
//!
//! The first curl gives red a point. The second prints the scores at once, and each change as it comes. The third has a
//! cursor that means nothing: it prints a gap with `"snapshot":true`, and then the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use tidings::server::serve;
use tidings::{
    Accepted, Cursor, Endpoint, Event, Gap, LocalHub, Publisher, Rejection, Session, Snapshot, Start, SubscribeRequest,
    Subscription, Topic,
};
use tokio::net::TcpListener;

const PAGE: &str = r#"<!doctype html><title>tidings</title>
<form><input name="team" placeholder="team" required autofocus> <button>Point</button></form><table></table>
<script>
  const point = (team) => fetch(`/score/${encodeURIComponent(team)}`, { method: "POST" })
  document.forms[0].onsubmit = (event) => {
    event.preventDefault()
    point(event.target.team.value)
    event.target.reset()
  }
  const scores = new Map()
  new EventSource("/events").onmessage = ({ data }) => {
    const { team, score } = JSON.parse(data)
    if (!scores.has(team)) {
      const row = document.querySelector("table").insertRow()
      row.insertCell().textContent = team
      scores.set(team, row.insertCell())
      const button = document.createElement("button")
      button.textContent = "+1"
      button.onclick = () => point(team)
      row.insertCell().append(button)
    }
    scores.get(team).textContent = score
  }
</script>"#;

#[derive(Clone)]
struct Board {
    hub: LocalHub,
    topic: Topic,
    scores: Arc<Mutex<Scores>>,
}

#[derive(Default)]
struct Scores {
    of: BTreeMap<String, u64>,
    /// The event of the last change.
    as_of: Option<Cursor>,
}

impl Board {
    /// Changes the score and publishes it under one lock, so that a snapshot has both or neither.
    fn score(&self, team: &str) -> Result<(), Box<dyn std::error::Error>> {
        let mut scores = self.scores.lock().expect("nobody panics with it");
        let score = scores.of.get(team).map_or(1, |score| score + 1);
        let receipt = self.hub.publish_now(&self.topic, event(team, score)?)?;
        scores.of.insert(team.to_owned(), score);
        scores.as_of = receipt.cursor();
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let scores = self.scores.lock().expect("nobody panics with it");
        let events = scores.of.iter().filter_map(|(team, &score)| event(team, score).ok());
        Snapshot::new(events.map(|event| (self.topic.clone(), event))).with_cursor(scores.as_of)
    }
}

/// A team's score; of a team's, the newest is enough.
fn event(team: &str, score: u64) -> Result<Event, tidings::EventError> {
    Event::json(&serde_json::json!({ "team": team, "score": score }))?.with_key(team)
}

impl Publisher for Board {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let attach = Accepted::new(self.hub.subscribe(request.subscribe_to([&self.topic]))?);
        // Subscribed first, so that nothing is between the scores and the first change.
        Ok(if request.start() == Start::Now { attach.with_snapshot(self.snapshot()) } else { attach })
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        Some(self.snapshot())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let board = Board { hub: LocalHub::new(), topic: Topic::new("scores")?, scores: Arc::default() };
    let events = Endpoint::new(board.clone());
    let score = post(async |State(board): State<Board>, Path(team): Path<String>| {
        board.score(&team).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok::<_, (StatusCode, String)>(StatusCode::NO_CONTENT)
    });
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/score/{team}", score)
        .layer(events.origin_layer()) // no page of another site may post
        .route_service("/events", events.clone())
        .with_state(board);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("open http://{address}, or type in two shells:");
    println!("  curl -N http://{address}/events -H 'accept: application/x-ndjson'");
    println!("  curl -d '' http://{address}/score/red");
    Ok(serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await?)
}
