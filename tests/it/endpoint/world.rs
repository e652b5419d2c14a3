use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::{BodyExt, Full};
use tidings::subscriber::{BoxSubscriber, SubscriberExt};
use tidings::{
    Accepted, Body, BodyError, Endpoint, EndpointBuilder, Event, LocalHub, Message, Publisher, Rejection, Start,
    SubscribeRequest, Topic, Transport,
};

/// An application with one topic, `news`. Its path says how it takes a client:
/// `/events` lets it in; `/busy`, `/never`, `/forbidden`, `/gone`, `/unauthorized`, `/absent`, `/broken` refuse it; `/panic`
/// panics; `/wait` never answers. A message is taken by its path, or as `?say=` says; with `?closing` a rejection of it
/// closes a WebSocket.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) hub: LocalHub,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    subscribes: AtomicUsize,
    last: Mutex<Option<(Transport, Start, Vec<String>)>>,
    messages: Mutex<Vec<Message>>,
}

impl App {
    pub(crate) fn new() -> Self {
        Self::with(LocalHub::builder().build())
    }

    pub(crate) fn with(hub: LocalHub) -> Self {
        Self { hub, log: Arc::default() }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.builder().build()
    }

    pub(crate) fn builder(&self) -> EndpointBuilder {
        Endpoint::builder(self.clone())
    }

    pub(crate) fn publish(&self, text: &str) -> String {
        self.hub.publish_now(Topic::new("news").unwrap(), text).unwrap().cursor().unwrap().to_string()
    }

    /// How often a subscription was asked for.
    pub(crate) fn subscribes(&self) -> usize {
        self.log.subscribes.load(Ordering::Relaxed)
    }

    /// The last subscription that was asked for.
    pub(crate) fn last(&self) -> (Transport, Start, Vec<String>) {
        self.log.last.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.log.messages.lock().unwrap().clone()
    }

    async fn admit(&self, path: &str) -> Result<(), Rejection> {
        match path {
            "/busy" => Err(Rejection::Busy { retry_after: Duration::from_millis(2500) }),
            "/never" => Err(Rejection::Busy { retry_after: Duration::MAX }),
            "/forbidden" => Err(Rejection::Forbidden),
            "/gone" => Err(Rejection::Gone),
            "/unauthorized" => Err(Rejection::Unauthorized),
            "/absent" => Err(Rejection::NotFound),
            "/broken" => Err(Rejection::internal("the database's password is hunter2")),
            "/panic" => panic!("on request"),
            "/wait" => pending().await,
            _ => Ok(()),
        }
    }
}

impl Publisher for App {
    type Subscriber = BoxSubscriber;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        self.log.subscribes.fetch_add(1, Ordering::Relaxed);
        let topics = request.topics().iter().map(ToString::to_string).collect();
        *self.log.last.lock().unwrap() = Some((request.transport(), request.start(), topics));
        self.admit(request.path()).await?;
        Ok(self.hub.subscribe(request.subscribe_to(["news"]))?.boxed().into())
    }

    async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let said = request.query("say").map_or_else(|| request.path().to_owned(), |say| format!("/{say}"));
        let admitted = self.admit(&said).await;
        match request.query("closing") {
            Some(_) => admitted.map_err(Rejection::closing)?,
            None => admitted?,
        }
        self.log.messages.lock().unwrap().push(message);
        Ok(None)
    }
}

/// A GET as a browser's page of the same host sends it.
pub(crate) fn get(target: &str) -> request::Builder {
    request("GET", target)
}

pub(crate) fn request(method: &str, target: &str) -> request::Builder {
    Request::builder().method(method).uri(target).header("host", "example.com")
}

pub(crate) trait To {
    /// Sends the request to the endpoint, and returns its answer.
    async fn to(self, endpoint: &Endpoint) -> Response<Body>;
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

/// The whole body as text.
pub(crate) async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The next piece of a live body; its error, or `None` at its end.
pub(crate) async fn piece(body: &mut Body) -> Option<Result<String, BodyError>> {
    let frame = body.frame().await?;
    Some(frame.map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()))
}

/// A header of a response as text, empty where it is not there.
pub(crate) fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Lets virtual time pass, with all that becomes due in it.
pub(crate) async fn pass(time: Duration) {
    assert!(tokio::time::timeout(time, pending::<()>()).await.is_err());
}
