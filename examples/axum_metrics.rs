//! A server whose sessions, deliveries and memory a Prometheus server can scrape.
//!
//! ```text
//! cargo run --example axum_metrics --features full,metrics
//!
//! curl -N http://127.0.0.1:3000/events -H 'accept: text/event-stream'
//! curl http://127.0.0.1:3000/say -H 'content-type: text/plain' -d 'it is on'
//! curl http://127.0.0.1:3000/metrics
//! ```
//!
//! The first curl prints the event of the second. The third, while the first runs, prints among others
//! `tidings_sessions{transport="sse"} 1` and `tidings_written_events_total{transport="sse"} 1`. `docs/operations.md` has the
//! table of all metrics, a dashboard and alerts.
//!
//! `cargo test --example axum_metrics --features full,metrics` reads the page in a test, which opens no socket.

use axum::Router;
use axum::routing::{get, post};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tidings::instruments::{DELAY_BUCKETS, describe};
use tidings::server::serve;
use tidings::{Endpoint, LocalHub};
use tokio::net::TcpListener;

/// Installs the recorder, before the first session begins.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    let delay = Matcher::Full("tidings_delivery_delay_seconds".to_owned());
    let handle = PrometheusBuilder::new().set_buckets_for_metric(delay, DELAY_BUCKETS)?.install_recorder()?;
    describe();
    Ok(handle)
}

fn app(hub: LocalHub, events: &Endpoint, exporter: PrometheusHandle) -> Router {
    let (publisher, endpoint) = (hub.clone(), events.clone());
    let say = async move |text: String| publisher.publish("news", text).await.map(drop);
    let page = async move || {
        endpoint.record_metrics();
        hub.stats().record_metrics("main");
        exporter.render()
    };
    Router::new()
        .route("/say", post(say))
        .layer(events.origin_layer()) // refuses posts from pages of other sites
        .route("/metrics", get(page)) // for the scraper alone: keep it from the public, by a proxy or another port
        .route_service("/events", events.clone())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = LocalHub::new();
    let events = Endpoint::public(&hub, ["news"]);
    let app = app(hub, &events, recorder()?);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("run in two shells:");
    println!("  curl -N http://{address}/events -H 'accept: text/event-stream'");
    println!("  curl http://{address}/metrics");
    Ok(serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await?)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use axum::http::request::Builder;
    use axum::response::Response;
    use http_body_util::BodyExt;
    use tower_service::Service;

    use super::*;

    async fn ask(app: &mut Router, request: Builder, text: &str) -> Response {
        let request = request.header("host", "localhost").body(Body::from(text.to_owned())).unwrap();
        app.call(request).await.unwrap()
    }

    #[tokio::test]
    async fn page_has_the_sessions_and_what_they_have_written() {
        let hub = LocalHub::new();
        let events = Endpoint::public(&hub, ["news"]);
        let mut app = app(hub, &events, recorder().unwrap());

        let mut stream = ask(&mut app, Request::get("/events?transport=sse"), "").await.into_body();
        ask(&mut app, Request::post("/say").header("content-type", "text/plain"), "it is on").await;
        let is_it = |frame: &[u8]| String::from_utf8_lossy(frame).contains("it is on");
        while !is_it(stream.frame().await.unwrap().unwrap().data_ref().unwrap()) {}

        let page = ask(&mut app, Request::get("/metrics"), "").await.into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8(page.into()).unwrap();
        for line in [
            "# TYPE tidings_sessions gauge",
            r#"tidings_sessions{transport="sse"} 1"#,
            r#"tidings_written_events_total{transport="sse"} 1"#,
            r#"tidings_hub_published_events_total{hub="main"} 1"#,
        ] {
            assert!(page.lines().any(|of_page| of_page == line), "no line {line} in\n{page}");
        }
    }
}
