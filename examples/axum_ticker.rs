//! Prices that change a thousand times a second, for clients that come at any time and read at any pace.
//!
//! ```text
//! cargo run --example axum_ticker --features full
//!
//! curl -N http://127.0.0.1:3000/prices -H 'accept: text/event-stream'    # or open http://127.0.0.1:3000
//! curl "http://127.0.0.1:3000/prices?cursor=…"      # with the last id that the first one printed; repeat it
//! ```
//!
//! The first curl prints the newest price of each of the four shares at once, and then every price. Stop it and wait as long as
//! you like: the second curl prints the newest prices only, and not the thousands in between.

use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tidings::server::serve;
use tidings::{Endpoint, Event, LocalHub, Overflow, Retention};
use tokio::net::TcpListener;

const SHARES: [&str; 4] = ["ACME", "EMCA", "MACE", "CAME"];

const PAGE: &str = r#"<!doctype html><title>tidings</title><pre></pre>
<script>
  const prices = {}
  new EventSource("/prices").onmessage = ({ data }) => {
    const [share, price] = data.split(" ")
    prices[share] = price
    document.querySelector("pre").textContent = Object.entries(prices).map((one) => one.join("  ")).join("\n")
  }
</script>"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // The hub keeps the newest event of each key, for new clients.
    let hub = LocalHub::builder().retain_for("prices", Retention::latest_per_key()).build();
    // `Latest`: a client that is behind gets the newest event of each key.
    let prices =
        Endpoint::from_fn(&hub, async |request| Ok(request.subscribe_to(["prices"]).overflow(Overflow::Latest)));
    tokio::spawn(tick(hub));
    let app = Router::new().route("/", get(|| async { Html(PAGE) })).route_service("/prices", prices.clone());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("open http://{address}, or run in a shell:");
    println!("  curl -N http://{address}/prices -H 'accept: text/event-stream'");
    serve(listener, app).with_graceful_shutdown(prices.drain_on(tokio::signal::ctrl_c())).await
}

async fn tick(hub: LocalHub) {
    let mut cents = [10_000_u32; SHARES.len()];
    let mut interval = tokio::time::interval(Duration::from_millis(1));
    loop {
        interval.tick().await;
        let share = fastrand::usize(..SHARES.len());
        cents[share] = (cents[share] + fastrand::u32(..21)).saturating_sub(10);
        let price = format!("{} {}.{:02}", SHARES[share], cents[share] / 100, cents[share] % 100);
        let event = Event::text(price).with_key(SHARES[share]).expect("key is valid");
        if hub.publish_now("prices", event).is_err() {
            return;
        }
    }
}
