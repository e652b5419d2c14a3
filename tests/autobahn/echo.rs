//! Echo server for the Autobahn suite: every message is sent back on its connection.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::ListenerExt;
use tidings::{Accepted, Endpoint, Event, LocalHub, Message, Publisher, Rejection, Retention, SubscribeRequest, Topic};
use tokio::net::TcpListener;

/// The suite's largest message.
const MAX_MESSAGE: usize = 16 << 20;

/// A publisher with a topic for each connection.
struct Echo {
    hub: LocalHub,
}

impl Publisher for Echo {
    type Subscriber = tidings::Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Self::Subscriber>, Rejection> {
        Ok(self.hub.subscribe(request.subscribe_to([own(&request)?]))?.into())
    }

    async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let event = match message {
            Message::Text(text) => Event::text(text),
            Message::Binary(bytes) => Event::binary(bytes),
            _ => return Err(Rejection::invalid("an unknown kind of message").closing()),
        };
        match self.hub.publish_now(&own(request)?, event) {
            Ok(_) => Ok(None),
            Err(error) => Err(Rejection::internal(error.to_string()).closing()),
        }
    }
}

fn own(request: &SubscribeRequest) -> Result<Topic, Rejection> {
    request.extension::<Topic>().cloned().ok_or(Rejection::NotFound)
}

async fn number(mut request: Request, next: Next) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    request.extensions_mut().insert(Topic::new(name).expect("a number is a name"));
    next.run(request).await
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // History in bytes: the amount that a client may send before it reads.
    let hub = LocalHub::builder().max_event(MAX_MESSAGE).retain(Retention::default().bytes(4 * MAX_MESSAGE)).build();
    let endpoint = Endpoint::builder(Echo { hub }).max_message(MAX_MESSAGE).max_message_rate(u32::MAX).build();
    let app = Router::new().route_service("/", endpoint).layer(from_fn(number));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on ws://{}", listener.local_addr()?);
    axum::serve(listener.tap_io(|stream| drop(tidings::server::set_tcp_options(stream))), app).await
}
