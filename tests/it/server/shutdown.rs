use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tidings::server::serve;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use crate::support::http::{App, Frame, RawClient, connect_http2, frame, router, upgrade_request};

/// Starts a server with this shutdown signal.
async fn server(
    app: Router,
    signal: impl Future<Output = ()> + Send + 'static,
) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve(listener, app).with_graceful_shutdown(signal);
    let address = server.local_addr().unwrap();
    (address, tokio::spawn(server.into_future()))
}

fn stop_signal() -> (oneshot::Sender<()>, impl Future<Output = ()> + Send + 'static) {
    let (stop, stopped) = oneshot::channel();
    (stop, async { drop(stopped.await) })
}

#[tokio::test(start_paused = true)]
async fn idle_and_half_sent_requests_do_not_delay_a_shutdown() {
    let (app, (stop, stopped), begin) = (App::new(), stop_signal(), Instant::now());
    let (address, server) = server(router(&app, &app.endpoint()), stopped).await;
    let mut clients = Vec::new();
    for sent in ["", "G", "GET / HTTP/1.1\r\nHost: localh", "PRI * HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = RawClient::connect(address).await;
        client.send(sent).await;
        clients.push(client);
    }
    let mut idle = RawClient::connect(address).await;
    idle.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    idle.until("hello").await;
    let http2 = connect_http2(address).await;
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert!(begin.elapsed() <= Duration::from_secs(10), "{:?}", begin.elapsed());
    for client in clients.iter_mut().chain([&mut idle]) {
        drop(client.stream.read_to_end(&mut Vec::new()).await);
    }
    assert!(http2.is_closed() || !http2.is_ready());
    assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_a_response_and_aborts_one_that_never_comes() {
    for (wait, ends) in [(5, 5), (1_000, 10)] {
        let (stop, stopped) = stop_signal();
        let slow = get(move || async move {
            tokio::time::timeout(Duration::from_secs(wait), std::future::pending::<()>()).await.unwrap_err();
            "done"
        });
        let (address, server) = server(Router::new().route("/", slow), stopped).await;
        let mut client = RawClient::connect(address).await;
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        // The request has begun when a later one of another connection is answered.
        let mut other = RawClient::connect(address).await;
        other.send("GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        other.until_end().await;
        let begin = Instant::now();
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        assert_eq!(begin.elapsed().as_secs(), ends);
        assert_eq!(client.until_end().await.ends_with("done"), ends == wait);
    }
}

#[tokio::test]
async fn drain_ends_every_transport_and_then_the_server() {
    let app = App::new();
    let endpoint = app.endpoint();
    let (stop, stopped) = oneshot::channel::<()>();
    let (address, server) = server(router(&app, &endpoint), endpoint.drain_on(stopped)).await;
    let mut clients = Vec::new();
    for headers in ["Accept: text/event-stream", "Accept: application/x-ndjson", "Prefer: wait=50"] {
        let mut client = RawClient::connect(address).await;
        let target = format!("/events?cursor={}", app.hub.cursor());
        client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n")).await;
        clients.push(client);
    }
    let mut socket = RawClient::connect(address).await;
    socket.send(upgrade_request("/events", "").replace("Host: example.com", "Host: localhost")).await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    while endpoint.session_count() < 4 {
        yield_now().await;
    }
    stop.send(()).unwrap();
    assert_eq!(socket.frame().await, Frame::close(1012, "restart"));
    socket.send(frame(8, &1012_u16.to_be_bytes())).await;
    for client in &mut clients {
        client.until_end().await;
    }
    server.await.unwrap().unwrap();
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}
