use std::net::SocketAddr;
use std::time::Duration;

use tidings::{Cursor, Endpoint, LocalHub, SubscribeRequest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{TOPICS, publish, unlimited_hub};
use crate::clients::{Client, ClientKind, Connection, Http, Seen, Traffic, connect};
use crate::support::http::serve_http1;

/// Time to wait for an event, enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the kinds of clients that have cursors.
fn resuming() -> impl Iterator<Item = ClientKind> {
    ClientKind::ALL.into_iter().filter(|kind| *kind != ClientKind::RawWebSocket)
}

fn endpoint(hub: &LocalHub) -> Endpoint {
    let hub = hub.clone();
    Endpoint::builder(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok(hub.subscribe(request.subscribe_to(request.topics()))?) }
    })
    .drain_timeout(Duration::from_millis(500))
    .build()
}

async fn open(address: SocketAddr, kind: ClientKind, cursor: Option<&str>) -> Box<dyn Client> {
    let stream = TcpStream::connect(address).await.unwrap();
    let connection = Connection::over(stream, Http::One, Traffic::default()).await.unwrap();
    connect(connection, kind, &TOPICS, cursor).await.unwrap()
}

/// Reads up to the event with the sequence `last`, or to an end.
async fn sequences(client: &mut dyn Client, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        match timeout(PATIENCE, client.next_item()).await.expect("no event") {
            Ok(Seen::Event(event)) => seen.push(sequence(event.cursor.as_deref().unwrap())),
            Ok(unexpected @ (Seen::Gap(_) | Seen::TopicEnd(_))) => panic!("{unexpected:?}"),
            Ok(Seen::End(_)) | Err(_) => break,
        }
    }
    seen
}

fn sequence(cursor: &str) -> u64 {
    cursor.parse::<Cursor>().unwrap().sequence()
}

/// No event that is accepted before or during the drain of an endpoint is lost to a client that resumes at another endpoint.
#[tokio::test]
async fn p17_events_published_during_a_drain_reach_clients_that_resume_elsewhere() {
    let hub = unlimited_hub();
    let (leaving, staying) = (endpoint(&hub), endpoint(&hub));
    let (old, new) = (serve_http1(&leaving).await, serve_http1(&staying).await);
    let mut clients = Vec::new();
    for kind in resuming().flat_map(|kind| [kind; 4]) {
        let start = publish(&hub, &[0])[0].sequence;
        let epoch = hub.cursor().epoch();
        let mut client = open(old, kind, Some(&hub.cursor().to_string())).await;
        clients.push(tokio::spawn({
            let hub = hub.clone();
            async move {
                let mut seen = sequences(&mut *client, u64::MAX).await;
                let cursor = client.cursor().unwrap().to_owned();
                drop(client);
                let last = publish(&hub, &[1])[0].sequence;
                seen.extend(sequences(&mut *open(new, kind, Some(&cursor)).await, last).await);
                assert_eq!(seen, (start + 1..=last).collect::<Vec<_>>(), "{kind:?} in {epoch}");
            }
        }));
    }
    let mut drain = std::pin::pin!(leaving.drain());
    loop {
        publish(&hub, &[0, 1, 2]);
        if timeout(Duration::from_millis(5), &mut drain).await.is_ok() {
            break;
        }
    }
    publish(&hub, &[0, 1, 2]);
    for client in clients {
        timeout(PATIENCE * 3, client).await.expect("a client hangs").unwrap();
    }
}

/// Transport equivalence: every transport, and any change from one to another, delivers the same events in the same order.
#[tokio::test]
async fn p22_every_transport_delivers_the_same_events() {
    let hub = unlimited_hub();
    let address = serve_http1(&endpoint(&hub)).await;
    let start = hub.cursor().to_string();
    let mut random = fastrand::Rng::with_seed(22);
    let topics: Vec<_> = (0..200).map(|_| random.usize(..TOPICS.len())).collect();
    let published: Vec<_> = publish(&hub, &topics).into_iter().map(|event| event.sequence).collect();
    let last = *published.last().unwrap();
    for kind in resuming() {
        let whole = sequences(&mut *open(address, kind, Some(&start)).await, last).await;
        assert_eq!(whole, published, "{kind:?}");
    }
    let raw = open(address, ClientKind::RawWebSocket, Some(&start)).await;
    let texts = timeout(PATIENCE, count(raw, published.len())).await.expect("no event");
    assert_eq!(texts, published.len());
    let all: Vec<_> = resuming().collect();
    for _ in 0..20 {
        let (mut cursor, mut seen) = (start.clone(), Vec::new());
        while seen.last() != Some(&last) {
            let kind = *random.choice(&all).unwrap();
            let mut client = open(address, kind, Some(&cursor)).await;
            for _ in 0..random.usize(1..80) {
                if seen.last() == Some(&last) {
                    break;
                }
                match timeout(PATIENCE, client.next_item()).await.expect("no event") {
                    Ok(Seen::Event(event)) => {
                        cursor = event.cursor.unwrap();
                        seen.push(sequence(&cursor));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(seen, published);
    }
}

/// Returns the number of events that a client without cursors gets, up to a maximum.
async fn count(mut client: Box<dyn Client>, most: usize) -> usize {
    for n in 0..most {
        if !matches!(client.next_item().await, Ok(Seen::Event(_))) {
            return n;
        }
    }
    most
}
