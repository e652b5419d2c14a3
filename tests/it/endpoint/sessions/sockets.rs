use tidings::SessionEnd;
use tokio::task::yield_now;

use super::house::House;
use crate::endpoint::wire::raw::Raw;
use crate::endpoint::wire::serve_http1;

/// Needs a socket: a client that closes it leaves, on every transport, and so does a client that is silent.
#[tokio::test]
async fn p9_a_socket_that_is_closed_has_left_once() {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (target, headers) in
        [("/?transport=sse", ""), ("/?transport=chunked", ""), ("/?wait=50", ""), ("/?transport=websocket", upgrade)]
    {
        let house = House::new();
        let (endpoint, target) = (house.endpoint(), format!("{target}&cursor={}", house.hub.cursor()));
        let mut client = Raw::connect(serve_http1(&endpoint).await).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n{headers}\r\n")).await;
        while house.lines().is_empty() {
            yield_now().await;
        }
        drop(client);
        while house.left().is_empty() {
            yield_now().await;
        }
        assert_eq!((house.why(), endpoint.session_count()), (SessionEnd::Gone, 0), "{target}");
    }
}

/// A runtime that ends drops its bodies and tasks, and leaves no session.
#[test]
fn p9_a_runtime_that_ends_takes_its_sessions_along() {
    let house = House::new();
    let endpoint = house.endpoint();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = serve_http1(&endpoint).await;
        let mut clients = Vec::new();
        for target in ["/?transport=sse", "/?transport=chunked", "/?wait=50"] {
            let mut client = Raw::connect(address).await;
            let target = format!("{target}&cursor={}", house.hub.cursor());
            client.send(format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n")).await;
            clients.push(client);
        }
        while house.lines().len() < 3 {
            yield_now().await;
        }
    });
    drop(runtime);
    assert_eq!((house.left().len(), endpoint.session_count(), house.hub.stats().subscriptions), (3, 0, 0));
}
