use std::net::SocketAddr;
use std::time::Duration;

use tidings::{Endpoint, LocalHub, SubscribeRequest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{TOPICS, keeper, publish};
use crate::clients::{Client, Connection, Http, Seen, Speaks, Traffic, connect};
use crate::conformance::serve;

/// On a machine that is busy with something else, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Those whose clients have cursors.
fn who_resume() -> impl Iterator<Item = Speaks> {
    Speaks::ALL.into_iter().filter(|speaks| *speaks != Speaks::RawWebSocket)
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

async fn visit(address: SocketAddr, speaks: Speaks, cursor: Option<&str>) -> Box<dyn Client> {
    let stream = TcpStream::connect(address).await.unwrap();
    let connection = Connection::over(stream, Http::One, Traffic::default()).await.unwrap();
    connect(connection, speaks, &TOPICS, cursor).await.unwrap()
}

/// Reads up to the event at `last`, or to an end.
async fn sequences(client: &mut dyn Client, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        match timeout(PATIENCE, client.see()).await.expect("nothing came") {
            Ok(Seen::Event(event)) => seen.push(sequence(event.cursor.as_deref().unwrap())),
            Ok(Seen::Gap(gap)) => panic!("{gap:?}"),
            Ok(Seen::End(_)) | Err(_) => break,
        }
    }
    seen
}

fn sequence(cursor: &str) -> u64 {
    cursor.split('.').nth(1).unwrap().parse().unwrap()
}

/// Nothing that was accepted before, or while, an endpoint drains is lost to a client that resumes at another.
#[tokio::test]
async fn p17_what_is_published_during_a_drain_reaches_who_resumes_elsewhere() {
    let hub = keeper();
    let (leaving, staying) = (endpoint(&hub), endpoint(&hub));
    let (old, new) = (serve(leaving.clone(), Http::One).await, serve(staying, Http::One).await);
    let mut clients = Vec::new();
    for speaks in who_resume().flat_map(|speaks| [speaks; 4]) {
        let start = publish(&hub, &[0])[0].sequence;
        let epoch = hub.cursor().epoch();
        let mut client = visit(old, speaks, Some(&hub.cursor().to_string())).await;
        clients.push(tokio::spawn({
            let hub = hub.clone();
            async move {
                let mut seen = sequences(&mut *client, u64::MAX).await;
                let cursor = client.cursor().unwrap().to_owned();
                drop(client);
                let last = publish(&hub, &[1])[0].sequence;
                seen.extend(sequences(&mut *visit(new, speaks, Some(&cursor)).await, last).await);
                assert_eq!(seen, (start + 1..=last).collect::<Vec<_>>(), "{speaks:?} in {epoch}");
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

/// Transport equivalence: by whichever transport, and from one to another at any point, the same events in the same
/// order.
#[tokio::test]
async fn p22_every_transport_brings_the_same() {
    let hub = keeper();
    let address = serve(endpoint(&hub), Http::One).await;
    let start = hub.cursor().to_string();
    let mut random = fastrand::Rng::with_seed(22);
    let topics: Vec<_> = (0..200).map(|_| random.usize(..TOPICS.len())).collect();
    let published: Vec<_> = publish(&hub, &topics).into_iter().map(|event| event.sequence).collect();
    let last = *published.last().unwrap();
    for speaks in who_resume() {
        let whole = sequences(&mut *visit(address, speaks, Some(&start)).await, last).await;
        assert_eq!(whole, published, "{speaks:?}");
    }
    let raw = visit(address, Speaks::RawWebSocket, Some(&start)).await;
    let texts = timeout(PATIENCE, count(raw, published.len())).await.expect("nothing came");
    assert_eq!(texts, published.len());
    let all: Vec<_> = who_resume().collect();
    for _ in 0..20 {
        let (mut cursor, mut seen) = (start.clone(), Vec::new());
        while seen.last() != Some(&last) {
            let speaks = *random.choice(&all).unwrap();
            let mut client = visit(address, speaks, Some(&cursor)).await;
            for _ in 0..random.usize(1..80) {
                if seen.last() == Some(&last) {
                    break;
                }
                match timeout(PATIENCE, client.see()).await.expect("nothing came") {
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

/// How many events a client without cursors sees, up to so many.
async fn count(mut client: Box<dyn Client>, most: usize) -> usize {
    for n in 0..most {
        if !matches!(client.see().await, Ok(Seen::Event(_))) {
            return n;
        }
    }
    most
}
