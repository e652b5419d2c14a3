//! The time, once a second, without a framework: hyper's own HTTP/1 connection and one function.
//!
//! ```text
//! cargo run --example hyper_minimal --features full
//!
//! curl -N http://127.0.0.1:3000 -H 'accept: text/event-stream'
//! curl -N http://127.0.0.1:3000 -H 'accept: application/x-ndjson'
//! curl 'http://127.0.0.1:3000?cursor=…' -H 'prefer: wait=20'   # with an id that the first one printed
//! ```
//!
//! The first two print a count a second, each in its own form; the third prints all after that id, or waits for the next.
//!
//! `tidings::server::serve` does all of this and more. By hand, the limits of heads are set at hyper's builder, and the
//! host names at the endpoint's.

use std::convert::Infallible;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tidings::server::CoalescingStream;
use tidings::{Endpoint, LocalHub, SubscribeRequest, Topic};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = LocalHub::new();
    tokio::spawn(count(hub.clone(), Topic::new("count")?));
    let endpoint = Endpoint::builder(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok(hub.subscribe(request.subscribe_to(["count"]))?) }
    });
    // A foreign page can bind its own name to 127.0.0.1 and is of the same origin then; its name is not one of these.
    let endpoint = endpoint.allowed_hosts(["localhost", "127.0.0.1"]).build();
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, follow it from a shell:");
    println!("  curl -N http://{address} -H 'accept: text/event-stream'");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely for want of file descriptors.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (endpoint, mut socket) = (endpoint.clone(), CoalescingStream::new(stream));
        // A proxy keeps connections for 60 s.
        let timer = socket.request_timer(endpoint.timer(), Duration::from_secs(75));
        let service = service_fn(move |request| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(endpoint.handle(request).await) }
        });
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            // Without a timer an unfinished head is kept for ever, and without a size it may have 400 KiB.
            http.timer(timer).header_read_timeout(Duration::from_secs(10)).max_buf_size(32 * 1024);
            // `with_upgrades`, or WebSockets end with their handshake.
            drop(http.serve_connection(TokioIo::new(socket), service).with_upgrades().await);
        });
    }
}

async fn count(hub: LocalHub, topic: Topic) {
    for number in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(hub.publish_now(&topic, number.to_string()));
    }
}
