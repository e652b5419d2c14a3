//! The time for which a connection is kept, and addresses that count as loopback.

use std::net::SocketAddr;
use std::time::Duration;

use tidings::server::serve;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::http::{App, RawClient, pass, router, serve_router};

/// A proxy that keeps its connections for 60 s meets no closed one.
#[tokio::test(start_paused = true)]
async fn row_10_connection_is_kept_75_s_between_requests_and_10_s_for_the_head_of_each() {
    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let second = Duration::from_secs(1);
    let app = App::new();
    let by_default = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let set = serve_router(router(&app, &app.endpoint()), |server| {
        server.idle_timeout(200 * second).head_timeout(3 * second)
    })
    .await;
    let short = serve_router(router(&app, &app.endpoint()), |server| server.idle_timeout(5 * second)).await;
    for (address, idle, head) in [(by_default, 75, 10), (set, 200, 3), (short, 5, 10)] {
        let mut client = RawClient::connect(address).await;
        for _ in 0..3 {
            client.send(REQUEST).await;
            client.until("hello").await;
            pass((idle - 1) * second).await;
        }
        // A body is not part of the head.
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n").await;
        pass(30 * second).await;
        client.send("ok").await;
        client.until("ok").await;
        let begin = Instant::now();
        client.until_end().await;
        assert_eq!(begin.elapsed().as_secs(), u64::from(idle), "the idle time ends the connection");

        let mut client = RawClient::connect(address).await;
        client.send(REQUEST).await;
        client.until("hello").await;
        pass((idle - 1) * second).await;
        client.send("G").await;
        let begin = Instant::now();
        pass((head - 1) * second).await;
        // A further byte does not extend the time.
        client.send("ET / HTTP/1.1\r\n").await;
        client.until_end().await;
        assert_eq!(begin.elapsed().as_secs(), u64::from(head), "the time of a head ends the connection");

        let (mut client, begin) = (RawClient::connect(address).await, Instant::now());
        client.until_end().await;
        assert_eq!(begin.elapsed().as_secs(), u64::from(head), "a new connection has the time of a head");
    }
}

#[tokio::test(start_paused = true)]
async fn row_10_connection_with_the_longest_idle_and_head_times_is_kept() {
    let app = App::new();
    let longest = serve_router(router(&app, &app.endpoint()), |server| {
        server.idle_timeout(Duration::MAX).head_timeout(Duration::MAX)
    });
    let mut client = RawClient::connect(longest.await).await;
    // While all tasks wait for a socket, virtual time advances to the next timer: this one, and not one in years.
    tokio::spawn(async {
        loop {
            pass(Duration::from_secs(1)).await;
        }
    });
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: loc").await;
        pass(Duration::from_secs(3_600)).await;
        client.send("alhost\r\n\r\n").await;
        client.until("hello").await;
        pass(Duration::from_secs(3_600)).await;
    }
}

#[tokio::test]
async fn row_02_loopback_address_that_is_written_as_ipv6_is_one() {
    let Ok(listener) = TcpListener::bind("[::ffff:127.0.0.1]:0").await else { return };
    let port = listener.local_addr().unwrap().port();
    let app = App::new();
    tokio::spawn(serve(listener, router(&app, &app.endpoint())).into_future());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for (host, expected) in [("localhost", 200), ("[::ffff:127.0.0.1]", 200), ("127.0.0.1", 200), ("evil.example", 421)]
    {
        let mut client = RawClient::connect(address).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(client.head().await.starts_with(&format!("http/1.1 {expected} ")), "{host}");
    }
}
