//! Requests to an endpoint, without a socket.

use http::Request;
use http::request::Builder;
use http_body_util::BodyExt;
use tidings::{Body, Endpoint};

pub(crate) fn get(uri: &str) -> Builder {
    Request::get(uri).header("host", "localhost")
}

/// Stream of a client.
pub(crate) struct Client(Body);

impl Client {
    pub(crate) async fn open(events: &Endpoint, request: Builder) -> Self {
        let response = events.handle(request.body(String::new()).unwrap()).await;
        assert!(response.status().is_success(), "{}", response.status());
        Self(response.into_body())
    }

    /// Reads until a frame contains the text.
    pub(crate) async fn read(&mut self, text: &str) {
        loop {
            let frame = self.0.frame().await.expect("a frame").unwrap().into_data().unwrap();
            if String::from_utf8_lossy(&frame).contains(text) {
                return;
            }
        }
    }
}

/// Sends a request. Returns the status and the text of the answer.
pub(crate) async fn ask(events: &Endpoint, request: Builder) -> (u16, String) {
    let response = events.handle(request.body(String::new()).unwrap()).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}
