use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use tidings::server::{PeerAddr, bind, serve};
use tidings::{Endpoint, SubscribeRequest};

use crate::support::http::{App, RawClient, serve_router};

#[tokio::test]
async fn handler_reads_the_peer_address_by_both_extractors() {
    let handler = |ConnectInfo(info): ConnectInfo<SocketAddr>, Extension(peer): Extension<PeerAddr>| async move {
        format!("{info} {};", peer.0)
    };
    let address = serve_router(Router::new().route("/", get(handler)), |server| server).await;
    let mut client = RawClient::connect(address).await;
    let own = client.stream.local_addr().unwrap();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.head().await;
    assert_eq!(client.until(";").await, format!("{own} {own};"));
}

#[tokio::test]
async fn endpoint_is_served_without_a_router_and_its_publisher_reads_the_peer_address() {
    let app = App::new();
    let hub = app.hub.clone();
    let endpoint = Endpoint::new(move |request: SubscribeRequest| {
        let peer = request.extension::<PeerAddr>().map(|peer| peer.0.ip().is_loopback());
        let subscription = hub.subscribe(request.subscribe_to(["news"]));
        async move {
            assert_eq!(peer, Some(true));
            Ok(subscription?)
        }
    });
    let server = serve(bind("localhost:0").await.unwrap(), endpoint);
    let address = server.local_addr().unwrap();
    tokio::spawn(server.into_future());
    let mut client = RawClient::connect(address).await;
    client.send("GET /?transport=sse HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.head().await;
    client.until("\n\n").await;
    app.hub.publish_now("news", "one").unwrap();
    assert!(client.until("\n\n").await.contains("data: one\n"));
}

#[tokio::test]
async fn bind_to_a_name_or_a_port_that_is_taken_fails() {
    let taken = bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _listener = bind(taken).await.unwrap();
    assert_eq!(bind(taken).await.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(bind("127.0.0.1:port").await.is_err());
}
