use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;

use crate::support::http::{App, Frame, RawClient, connect_http2, frame, router, serve_router, upgrade_request};

#[tokio::test]
async fn websocket_opens_over_http_1_and_http_2() {
    let app = App::new();
    let address = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let mut first = RawClient::connect(address).await;
    // Frames that arrive with the handshake belong to the WebSocket.
    let handshake = upgrade_request("/events", "").replace("Host: example.com", "Host: localhost");
    first.send([handshake.into_bytes(), frame(1, b"one")].concat()).await;
    assert!(first.head().await.starts_with("http/1.1 101 "));

    let mut client = connect_http2(address).await;
    let request = Request::connect("http://localhost/events").extension(Protocol::from_static("websocket"));
    let request = request.header("sec-websocket-version", "13").body(Empty::<Bytes>::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut second = RawClient::over(TokioIo::new(hyper::upgrade::on(response).await.unwrap()));
    second.send(frame(1, b"two")).await;

    while app.messages().len() < 2 || app.hub.stats().subscriptions < 2 {
        tokio::task::yield_now().await;
    }
    app.publish("three");
    assert_eq!(first.frame().await, Frame::text("three"));
    assert_eq!(second.frame().await, Frame::text("three"));
}
