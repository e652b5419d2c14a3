//! A scoreboard: a new client gets the current scores, then every change, and after a gap the current scores again.
//!
//! The page <http://127.0.0.1:3000> shows the scores and has a button for each team.
//!
//! ```text
//! cargo run --example axum_board --features full
//!
//! curl -d '' http://127.0.0.1:3000/score/red
//! curl -N http://127.0.0.1:3000/events -H 'accept: application/x-ndjson'
//! curl -N http://127.0.0.1:3000/events -H 'accept: application/x-ndjson' -H 'last-event-id: lost'
//! ```
//!
//! The first curl adds a point for red. The second prints the current scores at once, and then each change. The third has
//! a malformed cursor: it prints a gap with `"snapshot":true`, and then the same.

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

const TOPIC: &str = "scores";

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
    scores: Arc<Mutex<Scores>>,
}

#[derive(Default)]
struct Scores {
    by_team: BTreeMap<String, u64>,
    /// Cursor of the last change.
    cursor: Option<Cursor>,
}

impl Board {
    /// Adds a point. The score changes and is published under one lock, so that a snapshot includes both or neither.
    fn add_point(&self, team: &str) -> Result<(), Box<dyn std::error::Error>> {
        let mut scores = self.scores.lock().expect("lock is not poisoned");
        let score = scores.by_team.get(team).map_or(1, |score| score + 1);
        let receipt = self.hub.publish_now(TOPIC, event(team, score)?)?;
        scores.by_team.insert(team.to_owned(), score);
        scores.cursor = receipt.cursor();
        Ok(())
    }

    /// Returns the score of each team, as of the last change.
    fn current(&self) -> Snapshot {
        let scores = self.scores.lock().expect("lock is not poisoned");
        let events = scores.by_team.iter().filter_map(|(team, &score)| event(team, score).ok());
        Snapshot::new(events.map(|event| (Topic::new(TOPIC).expect("topic is valid"), event)))
            .with_cursor(scores.cursor)
    }
}

/// Returns the event of a score. Its key is the team, since only a team's newest score matters.
fn event(team: &str, score: u64) -> Result<Event, tidings::EventError> {
    Event::json(&serde_json::json!({ "team": team, "score": score }))?.with_key(team)
}

impl Publisher for Board {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let accepted = Accepted::new(self.hub.subscribe(request.subscribe_to([TOPIC]))?);
        // The subscription comes first, so that no change is lost between the snapshot and it.
        Ok(if request.start() == Start::Now { accepted.with_snapshot(self.current()) } else { accepted })
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        Some(self.current())
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let board = Board { hub: LocalHub::new(), scores: Arc::default() };
    let events = Endpoint::new(board.clone());
    let score = post(async |State(board): State<Board>, Path(team): Path<String>| {
        board.add_point(&team).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok::<_, (StatusCode, String)>(StatusCode::NO_CONTENT)
    });
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/score/{team}", score)
        .layer(events.origin_layer()) // refuses posts from pages of other sites
        .route_service("/events", events.clone())
        .with_state(board);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("open http://{address}, or run in two shells:");
    println!("  curl -N http://{address}/events -H 'accept: application/x-ndjson'");
    println!("  curl -d '' http://{address}/score/red");
    serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await
}
