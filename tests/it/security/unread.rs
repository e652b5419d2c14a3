//! Rows 9, 33 and 36: a body that is not read holds little memory for a limited time; one that is read slowly arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedBatch, EncodedDelivery, Format};
use tidings::{
    Body, BodyError, Cursor, Endpoint, EndpointBuilder, Event, Rejection, SessionEnd, SubscribeRequest, Subscriber,
    Topic, Transport,
};

use crate::support::http::{App, get, pass, runtime, settle};

const BODIES: [Transport; 4] = [Transport::ShortPoll, Transport::LongPoll, Transport::Chunked, Transport::Sse];
const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];
const LARGE: usize = 100 * 1024;
const STALL: Duration = Duration::from_secs(10);

/// Counts the bytes of buffers that are alive.
#[derive(Clone, Default)]
struct Held(Arc<AtomicUsize>);

struct Owned(Vec<u8>, Held);

impl Held {
    fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn large(&self) -> Bytes {
        self.0.fetch_add(LARGE, Ordering::Relaxed);
        Bytes::from_owner(Owned(vec![b'x'; LARGE], self.clone()))
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.1.0.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

/// A subscriber with one large event that is already encoded.
struct Once(Held, bool);

impl Subscriber for Once {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        Poll::Pending
    }

    fn poll_encoded(&mut self, _: &mut Context<'_>, _: &dyn Format, _: usize) -> Poll<EncodedDelivery> {
        match std::mem::replace(&mut self.1, true) {
            true => Poll::Pending,
            false => Poll::Ready(EncodedDelivery::Events(EncodedBatch::new(self.0.large(), 1))),
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        "7.a1".parse().ok()
    }
}

fn builder(held: &Held) -> EndpointBuilder {
    let held = held.clone();
    Endpoint::builder(move |_: SubscribeRequest| {
        let once = Once(held.clone(), false);
        async move { Ok::<_, Rejection>(once) }
    })
}

async fn ask(endpoint: &Endpoint, transport: Transport, version: Version) -> Body {
    let target = format!("/?transport={}&wait=20", transport.as_str());
    let request: Request<Empty<Bytes>> = get(&target).version(version).body(Empty::new()).unwrap();
    let response = endpoint.handle(request).await;
    assert_eq!(response.status(), 200);
    response.into_body()
}

async fn frame(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
    Some(body.frame().await?.map(|frame| frame.into_data().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn row_33_unread_body_is_freed_within_two_write_timeouts() {
    for (transport, version, frames) in BODIES
        .into_iter()
        .flat_map(|transport| VERSIONS.map(|version| (transport, version)))
        .flat_map(|(t, v)| [0, 1, 2].map(|frames| (t, v, frames)))
    {
        let context = format!("{transport:?} over {version:?} after {frames} frames");
        let held = Held::default();
        let endpoint = builder(&held).write_timeout(STALL).build();
        let mut body = ask(&endpoint, transport, version).await;
        for _ in 0..frames {
            frame(&mut body).await.unwrap().unwrap();
        }
        pass(2 * STALL).await;
        assert_eq!(held.bytes(), 0, "{context}");
        assert_eq!((endpoint.session_count(), endpoint.stats().stalled), (0, 1), "{context}");
        assert_eq!(endpoint.stats().stalled_bodies, 1, "{context}: the HTTP stack still has it");
        assert_eq!(frame(&mut body).await, Some(Err(BodyError::Stalled)), "{context}");
        drop(body);
        assert_eq!(endpoint.stats().stalled_bodies, 0, "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_33_frame_over_http_2_is_at_most_1_kib_longer_than_all_before_it() {
    for transport in BODIES {
        let held = Held::default();
        let endpoint = builder(&held).keep_alive(Duration::from_secs(1)).build();
        let mut body = ask(&endpoint, transport, Version::HTTP_2).await;
        let (mut taken, mut frames) = (0, 0);
        while taken < LARGE {
            let frame = frame(&mut body).await.unwrap().unwrap();
            assert!(!frame.is_empty() && frame.len() <= (taken + 1024).min(64 * 1024), "{} after {taken}", frame.len());
            taken += frame.len();
            frames += 1;
        }
        assert!(frames >= 8, "{transport:?}: {frames}");
        assert_eq!(held.bytes(), 0, "{transport:?}: nothing is kept of what was taken");
    }
}

/// A last block that is not taken is a stall as well, however the session ended before.
#[tokio::test(start_paused = true)]
async fn row_33_body_with_an_unread_last_block_is_counted_until_dropped() {
    for (transport, version, revokes) in [Transport::Sse, Transport::Chunked]
        .into_iter()
        .flat_map(|transport| VERSIONS.map(|version| (transport, version)))
        .flat_map(|(transport, version)| [true, false].map(|revokes| (transport, version, revokes)))
    {
        let held = Held::default();
        let endpoint = builder(&held).write_timeout(STALL).build();
        let mut body = ask(&endpoint, transport, version).await;
        frame(&mut body).await.unwrap().unwrap();
        match revokes {
            true => endpoint.revoke_where(|_| true),
            false => endpoint.disconnect_where(|_| true),
        };
        pass(2 * STALL).await;
        let context = format!("{transport:?} over {version:?}, revoked: {revokes}");
        assert_eq!((endpoint.session_count(), endpoint.stats().stalled_bodies), (0, 1), "{context}");
        assert_eq!(held.bytes(), 0, "{context}");
        drop(body);
        assert_eq!(endpoint.stats().stalled_bodies, 0, "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_33_small_reply_over_http_2_is_one_frame() {
    let app = App::new();
    let endpoint = app.endpoint();
    app.publish("small");
    let request = get("/?cursor=0.0").version(Version::HTTP_2).body(Empty::<Bytes>::new()).unwrap();
    let mut body = endpoint.handle(request).await.into_body();
    let whole = frame(&mut body).await.unwrap().unwrap();
    assert!(whole.ends_with(b"]}") && http_body::Body::is_end_stream(&body));
    assert_eq!(endpoint.stats().bytes, whole.len() as u64);
}

/// One frame within each write timeout is progress, for an event of any length.
#[tokio::test(start_paused = true)]
async fn row_36_large_event_arrives_at_one_frame_within_each_write_timeout() {
    for transport in [Transport::Sse, Transport::Chunked] {
        for version in VERSIONS {
            let app = App::new();
            let endpoint = app.builder().write_timeout(STALL).build();
            let mut body = ask(&endpoint, transport, version).await;
            let text = "y".repeat(1_000_000);
            app.publish(&text);
            let (mut taken, mut frames) = (Vec::new(), 0);
            while taken.len() < text.len() {
                pass(STALL - Duration::from_millis(100)).await;
                let frame = frame(&mut body).await.unwrap().unwrap();
                assert!(frame.len() <= 64 * 1024);
                taken.extend_from_slice(&frame);
                frames += 1;
            }
            assert!(frames > 15 && String::from_utf8(taken).unwrap().contains(&text), "{transport:?} {version:?}");
            assert_eq!((endpoint.session_count(), endpoint.stats().stalled), (1, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn row_36_event_under_way_is_completed_by_a_drain_and_cut_by_a_revoke() {
    for transport in [Transport::Sse, Transport::Chunked] {
        for revokes in [false, true] {
            let app = App::new();
            let endpoint = app.endpoint();
            let mut body = ask(&endpoint, transport, Version::HTTP_11).await;
            let text = "z".repeat(1_000_000);
            app.publish(&text);
            let mut taken = Vec::new();
            for _ in 0..3 {
                taken.extend_from_slice(&frame(&mut body).await.unwrap().unwrap());
            }
            let drain = tokio::spawn(endpoint.drain());
            settle().await;
            if revokes {
                endpoint.revoke_where(|_| true);
            }
            let end = loop {
                match frame(&mut body).await {
                    Some(Ok(frame)) => taken.extend_from_slice(&frame),
                    Some(Err(error)) => break error,
                    None => panic!("it breaks off"),
                }
            };
            let taken = String::from_utf8(taken).unwrap();
            assert_eq!(taken.contains(&text), !revokes, "{transport:?}");
            assert_eq!(end, if revokes { BodyError::Revoked } else { BodyError::Ended });
            if !revokes && transport == Transport::Chunked {
                assert!(taken.lines().last().unwrap().contains("bye"), "after the whole line");
            }
            drop(body);
            drain.await.unwrap();
        }
    }
}

/// Reads a body at this pace, over either version. Its bytes and its length do not depend on the pace.
async fn read_at_some_pace(transport: Transport, version: Version, sizes: Vec<usize>, pauses: Vec<u64>) {
    let app = App::new();
    let endpoint = app.builder().write_timeout(STALL).build();
    let mut expected = Vec::new();
    let texts: Vec<String> = sizes.iter().map(|&size| "e".repeat(size)).collect();
    app.hub.publish_batch(texts.iter().map(|text| (Topic::new("news").unwrap(), Event::text(text.clone())))).unwrap();
    texts.iter().for_each(|text| expected.push(text.len()));
    let target = format!("/?transport={}&cursor={}", transport.as_str(), start(&app));
    let request = get(&target).version(version).body(Empty::<Bytes>::new()).unwrap();
    let response = endpoint.handle(request).await;
    let length: Option<usize> =
        response.headers().get("content-length").map(|length| length.to_str().unwrap().parse().unwrap());
    let hint = http_body::Body::size_hint(response.body()).exact();
    let (mut body, mut whole, mut pauses) = (response.into_body(), Vec::new(), pauses.into_iter().cycle());
    let runs = |whole: &[u8]| -> Vec<usize> {
        let text = String::from_utf8_lossy(whole).into_owned();
        text.split(|other| other != 'e').map(str::len).filter(|&len| len >= 50).collect()
    };
    loop {
        if runs(&whole).iter().sum::<usize>() == expected.iter().sum::<usize>() && !transport_is_poll(transport) {
            break;
        }
        pass(Duration::from_millis(pauses.next().unwrap())).await;
        match frame(&mut body).await {
            Some(frame) => whole.extend_from_slice(&frame.unwrap()),
            None => break,
        }
    }
    assert_eq!(runs(&whole), expected);
    if transport_is_poll(transport) {
        assert_eq!(length.or(hint.map(|hint| hint as usize)), Some(whole.len()));
        assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok());
    }
    drop(body);
    assert_eq!(endpoint.stats().bytes, whole.len() as u64);
    assert_eq!(endpoint.stats().left_for(SessionEnd::Stalled), 0);
}

fn transport_is_poll(transport: Transport) -> bool {
    matches!(transport, Transport::ShortPoll | Transport::LongPoll)
}

/// Returns the cursor before the first event.
fn start(app: &App) -> String {
    let cursor = app.hub.cursor().to_string();
    format!("{}.0", cursor.split('.').next().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn row_36_bytes_do_not_depend_on_the_pace_of_the_client(
        transport in prop::sample::select(BODIES.to_vec()),
        version in prop::sample::select(VERSIONS.to_vec()),
        sizes in prop::collection::vec(prop_oneof![50..2_000_usize, 50_000..200_000_usize], 1..5),
        pauses in prop::collection::vec(0..9_000_u64, 1..4),
    ) {
        // A poll gives at most 64 KiB, so one event is enough.
        let sizes = if transport_is_poll(transport) { sizes[..1].to_vec() } else { sizes };
        runtime().block_on(read_at_some_pace(transport, version, sizes, pauses));
    }
}
