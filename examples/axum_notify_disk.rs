//! The application of `axum_notify` with its history in a directory: one line of code differs.
//!
//! ```text
//! cargo run --example axum_notify_disk --features full,disk
//!
//! curl -N http://127.0.0.1:3000/events -H 'accept: text/event-stream'    # or open http://127.0.0.1:3000
//! curl http://127.0.0.1:3000/say -d 'text=hello'
//! ```
//!
//! End the server in any way, with Ctrl-C or `kill -9`, and start it again: the page, and a curl with the last `id:` it printed
//! in `-H 'last-event-id: …'`, get everything that was said since, and no gap.

use std::error::Error;

use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use tidings::Endpoint;
use tidings::server::serve;
use tokio::net::TcpListener;

const PAGE: &str = r#"<!doctype html><title>tidings</title>
<form method="post" action="/say" onsubmit="setTimeout(() => this.reset())">
<input name="text" autofocus> <button>Say</button></form><ul></ul>
<script>
  new EventSource("/events").onmessage = ({ data }) => {
    const line = document.createElement("li")
    line.textContent = data
    document.querySelector("ul").append(line)
  }
</script>"#;

#[derive(serde::Deserialize)]
struct Say {
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = tidings::disk::DiskHub::open("target/axum_notify")?;
    let events = Endpoint::public(&hub, ["said"]);
    // A browser stays on the page when a form is answered with 204, so its stream continues.
    let say = async move |Form(Say { text })| hub.publish("said", text).await.map(|_| StatusCode::NO_CONTENT);
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/say", post(say))
        .layer(events.origin_layer()) // refuses posts from pages of other sites
        .route_service("/events", events.clone());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("open http://{address}, or run in two shells:");
    println!("  curl -N http://{address}/events -H 'accept: text/event-stream'");
    println!("  curl http://{address}/say -d 'text=hello'");
    Ok(serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await?)
}
