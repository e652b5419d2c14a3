//! A dashboard of live values with htmx: the server sends HTML, and no script of ours is in the browser.
//!
//! ```text
//! cargo run --example axum_dashboard_htmx --features full
//!
//! open http://127.0.0.1:3000
//!
//! curl -N http://127.0.0.1:3000/events -H 'accept: text/event-stream'
//! ```
//!
//! The tiles have their values at once, and change each second. Open a second window: "Viewers" is then 2, and
//! 1 while one of them is hidden, since htmx closes its connection meanwhile. Stop the server: the tiles fade after 5 s. Start
//! it again: they return.
//!
//! The curl prints the events: each is one tile. Its `hx-swap-oob` lets htmx replace the element of the same `id`.
//!
//! The topic keeps the newest event of each tile. A new window, one that was away and a slow one get these. htmx
//! and its extension are in `vendor`, from the package `htmx.org` 4.0.1 of npm.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use tidings::server::{bind, serve};
use tidings::{Endpoint, Event, LocalHub, Overflow, Rejection, Retention};
use tokio::signal::ctrl_c;

const TOPIC: &str = "tiles";
const JS: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/javascript; charset=utf-8")];
/// Number of values in the line of a tile.
const VALUES: usize = 30;

struct Tile {
    id: &'static str,
    label: &'static str,
    unit: &'static str,
    values: VecDeque<f64>,
}

impl Tile {
    fn new(id: &'static str, label: &'static str, unit: &'static str) -> Self {
        Self { id, label, unit, values: VecDeque::new() }
    }

    fn push(&mut self, value: f64) {
        self.values.push_back(value);
        if self.values.len() > VALUES {
            self.values.pop_front();
        }
    }

    /// Returns the element that replaces the one with its `id`. It has numbers and constants only: escape all other text.
    fn html(&self) -> String {
        let Self { id, label, unit, values } = self;
        let (last, max) = (values.back().copied().unwrap_or_default(), values.iter().copied().fold(1.0, f64::max));
        let first = VALUES - values.len();
        let points =
            values.iter().enumerate().map(|(i, value)| format!("{},{:.1} ", first + i, 20.0 - 19.0 * value / max));
        let points: String = points.collect();
        format!(
            r#"<article id="{id}" hx-swap-oob="true"><h2>{label}</h2><p><b>{last:.0}</b> {unit}</p><svg viewBox="0 0 29 21" preserveAspectRatio="none" aria-hidden="true"><polyline points="{points}"/></svg></article>"#
        )
    }
}

/// Publishes each tile once a second. Random values stand for your measurements.
async fn measure(hub: LocalHub, events: Endpoint) -> Result<(), Rejection> {
    let mut tiles = [
        (Tile::new("requests", "Requests", "a second"), 400.0),
        (Tile::new("latency", "Latency, p99", "ms"), 80.0),
        (Tile::new("memory", "Memory", "MiB"), 900.0),
    ];
    let mut viewers = Tile::new("viewers", "Viewers", "now");
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    loop {
        every_second.tick().await;
        for (tile, level) in &mut tiles {
            *level *= 0.95 + 0.1 * fastrand::f64();
            tile.push(*level);
            hub.publish(TOPIC, Event::text(tile.html()).with_key(tile.id)?).await?;
        }
        viewers.push(events.session_count() as f64);
        hub.publish(TOPIC, Event::text(viewers.html()).with_key(viewers.id)?).await?;
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let hub = LocalHub::builder().retain_for(TOPIC, Retention::latest_per_key()).build();
    let events = Endpoint::from_fn(&hub, async |request| {
        Ok::<_, Rejection>(request.subscribe_to([TOPIC]).overflow(Overflow::Latest))
    });
    tokio::spawn(measure(hub, events.clone()));
    let router = Router::new()
        .route("/", get(Html(include_str!("page.html"))))
        .route("/vendor/htmx.min.js", get((JS, include_str!("vendor/htmx.min.js"))))
        .route("/vendor/hx-sse.min.js", get((JS, include_str!("vendor/hx-sse.min.js"))))
        .route_service("/events", events.clone());
    let listener = bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("open http://{}", listener.local_addr()?);
    serve(listener, router).with_graceful_shutdown(events.drain_on(ctrl_c())).await
}
