//! A scoreboard: a new client gets the score of each team, then each change. The hub keeps the state.
//!
//! The page <http://127.0.0.1:3000> shows the scores, and sets and removes them.
//!
//! ```text
//! cargo run --example axum_board --features full
//!
//! curl -X PUT http://127.0.0.1:3000/scores/red -d 3
//! curl -X PUT http://127.0.0.1:3000/scores/blue -d 1
//! curl -N http://127.0.0.1:3000/events -H 'accept: application/x-ndjson'
//! curl -X DELETE http://127.0.0.1:3000/scores/red
//! ```
//!
//! The third curl prints both scores at once. The fourth, in another shell, lets it print
//! `{"id":"…","topic":"scores","key":"red","removed":true}`. The state is then blue alone.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, put};
use tidings::server::serve;
use tidings::{Endpoint, Event, LocalHub, Rejection, Retention};
use tokio::net::TcpListener;

const TOPIC: &str = "scores";

const PAGE: &str = r#"<!doctype html><title>tidings</title>
<form><input name="team" placeholder="team" required autofocus> <button>Add</button></form><table></table>
<script>
  const scores = new Map()
  const send = (team, method, body) => fetch(`/scores/${encodeURIComponent(team)}`, { method, body })
  const show = () => {
    document.querySelector("table").replaceChildren(...[...scores].map(([team, score]) => {
      const row = document.createElement("tr")
      row.insertCell().textContent = team
      row.insertCell().textContent = score
      for (const [text, change] of [
        ["+1", () => send(team, "PUT", Number(score) + 1)],
        ["remove", () => send(team, "DELETE")],
      ]) {
        const button = document.createElement("button")
        Object.assign(button, { textContent: text, onclick: change })
        row.insertCell().append(button)
      }
      return row
    }))
  }
  document.forms[0].onsubmit = (event) => {
    event.preventDefault()
    send(event.target.team.value, "PUT", 0)
    event.target.reset()
  }
  const events = new EventSource("/events?format=object")
  events.onmessage = ({ data }) => {
    const { key, data: score, removed } = JSON.parse(data)
    removed ? scores.delete(key) : scores.set(key, score)
    show()
  }
  // After a restart of the server, for instance: the whole state follows.
  events.addEventListener("tidings.gap", ({ data }) => {
    if (JSON.parse(data).gap.snapshot) scores.clear()
    show()
  })
</script>"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let hub = LocalHub::builder().retain_for(TOPIC, Retention::latest_per_key()).build();
    let events = Endpoint::public(&hub, [TOPIC]);
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/scores/{team}", put(set).delete(remove))
        .layer(events.origin_layer()) // refuses changes by pages of other sites
        .route_service("/events", events.clone())
        .with_state(hub);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("open http://{address}, or run in two shells:");
    println!("  curl -N http://{address}/events -H 'accept: application/x-ndjson'");
    println!("  curl -X PUT http://{address}/scores/red -d 3");
    serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await
}

async fn set(State(hub): State<LocalHub>, Path(team): Path<String>, score: String) -> Result<StatusCode, Rejection> {
    hub.publish(TOPIC, Event::text(score).with_key(&team)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(State(hub): State<LocalHub>, Path(team): Path<String>) -> Result<StatusCode, Rejection> {
    hub.publish(TOPIC, Event::removal(&team)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
