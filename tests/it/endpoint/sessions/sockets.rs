use tidings::SessionEnd;
use tokio::task::yield_now;

use crate::support::http::{App, RawClient, serve_http1};

/// Needs a socket: a client that closes it leaves, on every transport, and so does a client that is silent.
#[tokio::test]
async fn p9_closed_connection_leaves_once() {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (target, headers) in
        [("/?transport=sse", ""), ("/?transport=chunked", ""), ("/?wait=50", ""), ("/?transport=websocket", upgrade)]
    {
        let app = App::with_limit_key();
        let (endpoint, target) = (app.endpoint(), format!("{target}&cursor={}", app.hub.cursor()));
        let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n{headers}\r\n")).await;
        while app.session_events().is_empty() {
            yield_now().await;
        }
        drop(client);
        while app.left().is_empty() {
            yield_now().await;
        }
        assert_eq!((app.end_reason(), endpoint.session_count()), (SessionEnd::Gone, 0), "{target}");
    }
}

/// A runtime that ends drops its bodies and tasks, and leaves no session.
#[test]
fn p9_sessions_end_with_their_runtime() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = serve_http1(&endpoint).await;
        let mut clients = Vec::new();
        for target in ["/?transport=sse", "/?transport=chunked", "/?wait=50"] {
            let mut client = RawClient::connect(address).await;
            let target = format!("{target}&cursor={}", app.hub.cursor());
            client.send(format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n")).await;
            clients.push(client);
        }
        while app.session_events().len() < 3 {
            yield_now().await;
        }
    });
    drop(runtime);
    assert_eq!((app.left().len(), endpoint.session_count(), app.hub.stats().subscriptions), (3, 0, 0));
}
