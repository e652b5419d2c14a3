use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, request};
use http_body_util::Full;
use tidings::endpoint::RefusalResponse;
use tidings::{Body, Endpoint, EndpointBuilder, LocalHub, Rejection, SubscribeRequest, Subscription};

use crate::support::http::piece;

/// An application whose handler checks a request, acts, and answers with a subscription of the topic `answer`.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) hub: LocalHub,
    pub(super) events: Endpoint,
    actions: Arc<AtomicUsize>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(super) fn with(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Self {
        Self { hub: LocalHub::new(), events: set(Endpoint::builder(())).build(), actions: Arc::default() }
    }

    /// Answers a request.
    pub(super) async fn ask(&self, parts: Parts) -> Result<Response<Body>, RefusalResponse> {
        self.events.check(&parts)?;
        let subscription = self.subscribe(&parts)?;
        self.actions.fetch_add(1, Ordering::Relaxed);
        Ok(self.events.respond(parts, subscription).await)
    }

    pub(super) fn subscribe(&self, parts: &Parts) -> Result<Subscription, Rejection> {
        Ok(self.hub.subscribe(SubscribeRequest::read(parts)?.subscribe_to(["answer"]))?)
    }

    /// Sends a request to the handler.
    pub(super) async fn send(&self, request: request::Builder) -> Response<Body> {
        self.ask(parts(request)).await.unwrap_or_else(Response::from)
    }

    pub(super) fn publish(&self, text: &str) -> String {
        self.hub.publish_now("answer", text).unwrap().cursor().unwrap().to_string()
    }

    /// Returns the number of actions of the handler.
    pub(super) fn actions(&self) -> usize {
        self.actions.load(Ordering::Relaxed)
    }

    /// Returns the sessions of the endpoint and the subscriptions of the hub.
    pub(super) fn open(&self) -> (usize, usize) {
        (self.events.session_count(), self.hub.stats().subscriptions)
    }
}

pub(super) fn parts(request: request::Builder) -> Parts {
    with_body(request).into_parts().0
}

/// Returns the request with a body of JSON.
pub(super) fn with_body(request: request::Builder) -> Request<Full<Bytes>> {
    request.body(Full::from("{\"text\":\"why?\"}")).unwrap()
}

/// Reads a stream until it contains this text.
pub(super) async fn until(body: &mut Body, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        read += &piece(body).await.unwrap().unwrap();
    }
    read
}
