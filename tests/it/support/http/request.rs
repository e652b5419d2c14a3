use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::{BodyExt, Full};
use tidings::{Body, BodyError, Endpoint};

/// Returns a GET as a browser sends it for a page of the same host.
pub(crate) fn get(target: &str) -> request::Builder {
    request("GET", target)
}

pub(crate) fn request(method: &str, target: &str) -> request::Builder {
    Request::builder().method(method).uri(target).header("host", "example.com")
}

pub(crate) trait To {
    /// Sends the request without a body to the endpoint. Returns the response.
    async fn to(self, endpoint: &Endpoint) -> Response<Body>;
    /// Sends the request with a body to the endpoint. Returns the response.
    async fn with(self, body: &str, endpoint: &Endpoint) -> Response<Body>;
}

impl To for request::Builder {
    async fn to(self, endpoint: &Endpoint) -> Response<Body> {
        endpoint.handle(self.body(Full::<Bytes>::default()).unwrap()).await
    }

    async fn with(self, body: &str, endpoint: &Endpoint) -> Response<Body> {
        endpoint.handle(self.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()).await
    }
}

/// Returns the complete body as text.
pub(crate) async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Returns the next piece of a live body, its error, or `None` at its end.
pub(crate) async fn piece(body: &mut Body) -> Option<Result<String, BodyError>> {
    let frame = body.frame().await?;
    Some(frame.map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()))
}

/// Returns the body of a stream after its first piece.
pub(crate) async fn stream(endpoint: &Endpoint, target: &str) -> Body {
    let mut body = get(target).to(endpoint).await.into_body();
    piece(&mut body).await.unwrap().unwrap();
    body
}

/// Returns a header of a response as text, or an empty text if the header is absent.
pub(crate) fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Advances virtual time, and runs all tasks that become due in it.
pub(crate) async fn pass(time: Duration) {
    assert!(tokio::time::timeout(time, pending::<()>()).await.is_err());
}
