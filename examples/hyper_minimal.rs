//! A number that counts up once a second, without a web framework: one endpoint on hyper's HTTP/1 connection.
//!
//! ```text
//! cargo run --example hyper_minimal --features full
//!
//! curl -N http://127.0.0.1:3000 -H 'accept: text/event-stream'
//! curl -N http://127.0.0.1:3000 -H 'accept: application/x-ndjson'
//! curl 'http://127.0.0.1:3000?cursor=…' -H 'prefer: wait=20'   # with an id that the first one printed
//! ```
//!
//! The first two print one event a second, as server-sent events and as NDJSON. The third prints all events after that id,
//! or waits for the next one.
//!
//! `tidings::server::serve` does all of this and more. By hand, hyper's builder has the limits of request heads, and the
//! endpoint has the host names.

use std::convert::Infallible;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tidings::server::CoalescingStream;
use tidings::{EndpointBuilder, LocalHub};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let hub = LocalHub::new();
    tokio::spawn(count(hub.clone()));
    // A page of another site could bind its host name to 127.0.0.1, and would then be of the same origin. The list has only
    // the names of this machine.
    let endpoint = EndpointBuilder::public(&hub, ["count"]).allowed_hosts(["localhost", "127.0.0.1"]).build();
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, run in a shell:");
    println!("  curl -N http://{address} -H 'accept: text/event-stream'");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The usual reason is a lack of file descriptors.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (endpoint, mut socket) = (endpoint.clone(), CoalescingStream::new(stream));
        // Longer than the 60 s for which proxies keep a connection.
        let timer = socket.request_timer(endpoint.timer(), Duration::from_secs(75));
        let service = service_fn(move |request| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(endpoint.handle(request).await) }
        });
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            // Without a timer an unfinished head is kept for ever, and without a size limit it may have 400 KiB.
            http.timer(timer).header_read_timeout(Duration::from_secs(10)).max_buf_size(32 * 1024);
            // Without `with_upgrades`, a WebSocket ends after its handshake.
            drop(http.serve_connection(TokioIo::new(socket), service).with_upgrades().await);
        });
    }
}

async fn count(hub: LocalHub) {
    for number in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(hub.publish_now("count", number.to_string()));
    }
}
