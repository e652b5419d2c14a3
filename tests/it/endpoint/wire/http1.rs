use std::time::Duration;

use tidings::subscriber::SubscriptionEnd;
use tokio::task::yield_now;

use crate::support::VirtualTimer;
use crate::support::http::{App, RawClient, serve_http1};

#[tokio::test]
async fn http_1_0_stream_is_not_chunked_and_closes() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send("GET /?transport=sse HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.0 200 ok\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: close\r\n") && !head.contains("transfer-encoding"), "{head}");
    let hello = client.until("\n\n").await;
    assert!(hello.starts_with(":\nretry: ") && hello.contains("event: tidings.hello\n"), "{hello}");
    app.publish("one");
    assert!(client.until("\n\n").await.contains("data: one\n"));
    endpoint.drain().await;
    let bye = client.until_end().await;
    assert!(bye.starts_with("event: tidings.retry\n") && bye.ends_with("\n\n"), "{bye}");
}

#[tokio::test]
async fn drained_stream_has_no_last_chunk_and_loses_no_event() {
    for transport in ["sse", "chunked"] {
        let app = App::new();
        let endpoint = app.endpoint();
        let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
        client.send(format!("GET /?transport={transport} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert!(client.head().await.contains("transfer-encoding: chunked"));
        client.until("\n\r\n").await;
        app.publish("last event");
        endpoint.drain().await;
        let rest = client.until_end().await;
        assert!(rest.contains("last event"), "{rest}");
        assert!(rest.contains(if transport == "sse" { "event: tidings.retry" } else { "bye" }), "{rest}");
        assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
    }
}

#[tokio::test]
async fn finished_stream_has_its_last_chunk() {
    let app = App::new();
    let mut client = RawClient::connect(serve_http1(&app.endpoint()).await).await;
    client.send("GET /?transport=sse HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    client.head().await;
    client.until("\n\n").await;
    app.publish("one");
    app.hub.close();
    let rest = client.until_end().await;
    assert!(rest.contains("one") && rest.ends_with("\r\n0\r\n\r\n"), "{End:?} {rest}", End = SubscriptionEnd::Closed);
}

#[tokio::test]
async fn retry_block_arrives_before_its_stream_is_cut() {
    let mut client = RawClient::connect(serve_http1(&App::new().endpoint()).await).await;
    client.send("GET /busy HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n").await;
    assert!(client.head().await.starts_with("http/1.1 200 ok\r\n"));
    let rest = client.until_end().await;
    assert!(rest.contains("retry: 2500\n") && !rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn poll_reply_has_a_length_and_keeps_its_connection() {
    let app = App::new();
    let mut client = RawClient::connect(serve_http1(&app.endpoint()).await).await;
    for number in 0..3 {
        app.publish("one");
        client.send("GET /?cursor=0.0 HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let head = client.head().await;
        let body = client.until("]}").await;
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{number}: {head}");
    }
    client.send("HEAD /?transport=sse HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = client.head().await;
    assert!(head.contains("text/event-stream") && !head.contains("content-length"), "{head}");
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(client.head().await.starts_with("http/1.1 204 no content\r\n"));
    // After a response without a body, the next response follows.
    client.send("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(client.head().await.starts_with("http/1.1 204 no content\r\n"));
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert!(client.head().await.starts_with("http/1.1 400 bad request\r\n"));
}

#[tokio::test]
async fn disconnected_client_leaves_no_session() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    for target in ["/?transport=sse", "/?transport=chunked", "/?wait=50"] {
        let mut client = RawClient::connect(address).await;
        let cursor = app.hub.cursor();
        client.send(format!("GET {target}&cursor={cursor} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        while endpoint.session_count() == 0 {
            yield_now().await;
        }
        drop(client);
        while endpoint.session_count() + app.hub.stats().subscriptions > 0 {
            yield_now().await;
        }
    }
}

#[tokio::test]
async fn client_that_reads_nothing_loses_its_session_without_polls_of_hyper() {
    let (app, timer) = (App::new(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).build();
    tokio::spawn(endpoint.driver());
    let address = serve_http1(&endpoint).await;
    let (mut stalled, mut healthy) = (RawClient::connect(address).await, RawClient::connect(address).await);
    for client in [&mut stalled, &mut healthy] {
        client.send("GET /?transport=sse HTTP/1.1\r\nHost: h\r\n\r\n").await;
        client.head().await;
        client.until("\n\n").await;
    }
    let big = "x".repeat(60 * 1024);
    let mut looks = 0;
    while endpoint.session_count() == 2 {
        // First more than all buffers between the two ends can hold, then one event each time that time passes.
        for _ in 0..if looks < 4 { 100 } else { 1 } {
            app.hub.publish_now("news", big.as_str()).unwrap();
            healthy.until("\n\n").await;
        }
        timer.advance(Duration::from_millis(2_500));
        looks += 1;
        assert!(looks < 1_000);
    }
    assert_eq!((endpoint.stats().stalled, app.hub.stats().subscriptions), (1, 1));
}
