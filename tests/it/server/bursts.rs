use tidings::Topic;

use crate::support::http::{App, RawClient, connect_http2, router, serve_router};

/// Published at once, and more than the write buffer, which is as large as the largest head.
const COUNT: usize = 400;
const SIZE: usize = 1_000;

fn burst(app: &App) {
    let (topic, text) = (Topic::new("news").unwrap(), "#".repeat(SIZE));
    app.hub.publish_batch((0..COUNT).map(|_| (topic.clone(), text.as_str()))).unwrap();
}

#[tokio::test]
async fn burst_larger_than_the_write_buffer_arrives_whole() {
    let app = App::new();
    for head in [8 * 1024, 32 * 1024] {
        let address = serve_router(router(&app, &app.endpoint()), |server| server.max_request_head(head)).await;
        for accept in ["text/event-stream", "application/x-ndjson"] {
            let mut client = RawClient::connect(address).await;
            client.send(format!("GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n")).await;
            client.head().await;
            client.until("\n\r\n").await;
            burst(&app);
            let mut bytes = 0;
            while bytes < COUNT * SIZE {
                bytes += client.until("\n").await.matches('#').count();
            }
            assert_eq!(bytes, COUNT * SIZE, "{accept}");
        }
    }
}

#[tokio::test]
async fn burst_larger_than_the_send_buffer_arrives_whole_over_http_2() {
    use http_body_util::{BodyExt, Empty};

    let app = App::new();
    let address = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let mut client = connect_http2(address).await;
    let request = http::Request::get("http://localhost/events?transport=sse").body(Empty::new()).unwrap();
    let mut body = client.send_request(request).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    burst(&app);
    let mut bytes = 0;
    while bytes < COUNT * SIZE {
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        bytes += piece.iter().filter(|byte| **byte == b'#').count();
    }
    assert_eq!(bytes, COUNT * SIZE);
}

#[tokio::test]
async fn request_body_larger_than_the_read_buffer_arrives_whole() {
    let app = App::new();
    let address = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let mut client = RawClient::connect(address).await;
    let body = "#".repeat(1_000_000);
    client.send(format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}\n", body.len())).await;
    assert!(client.head().await.starts_with("http/1.1 200 ok\r\n"));
    // The next request begins with a newline, which a server skips.
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(client.until_end().await.matches('#').count(), body.len());
}
