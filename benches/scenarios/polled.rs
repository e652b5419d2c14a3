//! Polls at the endpoint itself, without a connection: a request, its reply and the bytes of the reply.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response};
use tidings::{Body, Cursor, LocalHub};

use super::mounted::{PAYLOAD, builder, endpoint, event, in_memory, topic};

const CLIENTS: usize = 200;
const SECOND: Duration = Duration::from_secs(1);

/// Each client polls once after each burst.
pub(crate) fn short(burst: usize, rounds: usize) -> usize {
    in_memory(async {
        let hub = LocalHub::new();
        let endpoint = endpoint(&hub);
        let mut events = 0;
        for _ in 0..rounds {
            let request = request(hub.cursor(), 0);
            publish(&hub, burst);
            for _ in 0..CLIENTS {
                events += read(endpoint.handle(request.clone()).await, burst).await;
            }
        }
        events
    })
}

/// Each client has a poll under way when a burst comes. The burst is one publish, so that it is one reply.
pub(crate) fn long(burst: usize, rounds: usize) -> usize {
    in_memory(async {
        let hub = LocalHub::new();
        let endpoint = endpoint(&hub);
        let mut events = 0;
        for _ in 0..rounds {
            let request = request(hub.cursor(), 25);
            let waiting: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(endpoint.handle(request.clone()))).collect();
            while endpoint.session_count() < CLIENTS {
                tokio::task::yield_now().await;
            }
            publish(&hub, burst);
            for reply in waiting {
                events += read(reply.await.expect("no panic"), burst).await;
            }
        }
        events
    })
}

/// Each client has a poll under way while the events of a second come one by one, and gets them in one reply.
pub(crate) fn gathered(burst: usize, rounds: usize) -> usize {
    in_memory(async {
        tokio::time::pause();
        let hub = LocalHub::new();
        let endpoint = builder(&hub).long_poll_min_wait(SECOND).build();
        let mut events = 0;
        for _ in 0..rounds {
            let request = request(hub.cursor(), 25);
            let waiting: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(endpoint.handle(request.clone()))).collect();
            while endpoint.session_count() < CLIENTS {
                tokio::task::yield_now().await;
            }
            for _ in 0..burst {
                publish(&hub, 1);
                tokio::time::sleep(SECOND / burst as u32).await;
            }
            for reply in waiting {
                events += read(reply.await.expect("no panic"), burst).await;
            }
        }
        events
    })
}

fn publish(hub: &LocalHub, burst: usize) {
    hub.publish_batch((0..burst).map(|_| (topic(), event()))).expect("open");
}

/// Request of each client of a round. Parsing it is the work of the HTTP stack.
fn request(cursor: Cursor, wait: u32) -> Request<Empty<Bytes>> {
    let uri = format!("/events?topic=bench&cursor={cursor}&wait={wait}");
    Request::get(uri).header("host", "localhost").body(Empty::new()).expect("a request")
}

/// Checks that a reply has the complete burst.
async fn read(reply: Response<Body>, burst: usize) -> usize {
    let (mut body, mut bytes) = (reply.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame.expect("a whole body").data_ref().map_or(0, Bytes::len);
    }
    assert!(bytes > burst * PAYLOAD.len(), "not everything was delivered");
    burst
}
