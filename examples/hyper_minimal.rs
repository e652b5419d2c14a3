//! The time, once a second, without a framework: hyper's own HTTP/1 connection and one function.
//!
//! ```text
//! cargo run --example hyper_minimal --features full
//!
//! curl -N http://127.0.0.1:3000 -H 'accept: text/event-stream'
//! curl -N http://127.0.0.1:3000 -H 'accept: application/x-ndjson'
//! curl http://127.0.0.1:3000 -H 'prefer: wait=20'
//! ```
//!
//! The first two print a count a second, each in its own form; the third waits for the next one.

use std::convert::Infallible;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tidings::{Endpoint, LocalHub, Socket, SubscribeRequest, Topic, publisher_fn};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = LocalHub::new();
    tokio::spawn(count(hub.clone(), Topic::new("count")?));
    let endpoint = Endpoint::new(publisher_fn(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok(hub.subscribe(request.subscribe_to(["count"]))?) }
    }));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely for want of file descriptors.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (endpoint, timer) = (endpoint.clone(), endpoint.timer());
        let service = service_fn(move |request| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(endpoint.handle(request).await) }
        });
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().timer(timer).serve_connection(TokioIo::new(Socket::new(stream)), service);
            // `with_upgrades`, or WebSockets end with their handshake.
            drop(connection.with_upgrades().await);
        });
    }
}

async fn count(hub: LocalHub, topic: Topic) {
    for number in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(hub.publish_now(&topic, number.to_string()));
    }
}
