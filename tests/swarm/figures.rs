use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, timeout};

use crate::clients::{Client, ClientKind, Seen, SeenData, Traffic, connect};
use crate::server::{Server, answer};
use crate::{TRANSPORTS, pause};

const TOPIC: &str = "figures";
const CLIENTS: usize = 20;
const EVENTS: u64 = 100;
const PERIOD: Duration = Duration::from_millis(100);
const SHORT_POLL: Duration = Duration::from_secs(1);
/// Time for events that are on their way when all are published.
const LIMIT: Duration = Duration::from_secs(10);

/// Measures one transport after another, each with twenty clients and ten events a second for ten seconds, and prints a
/// Markdown table. Bytes are those of HTTP and above, in both directions, with requests, heads and framing.
pub(crate) async fn figures(server: &Server) -> Result<(), String> {
    println!("| transport | bytes an event | requests an event | delay, median | delay, p99 |\n|---|---|---|---|---|");
    for kind in TRANSPORTS {
        let (traffic, mut delays) = measure(server, kind).await?;
        delays.sort_unstable();
        let events = delays.len() as f64;
        let at = |share: f64| delays[((events - 1.0) * share) as usize] as f64 / 1_000.0;
        println!(
            "| {} | {:.0} | {:.2} | {:.1} ms | {:.1} ms |",
            kind.name(),
            (traffic.sent() + traffic.received()) as f64 / events,
            traffic.requests() as f64 / events,
            at(0.5),
            at(0.99)
        );
    }
    Ok(())
}

/// Returns the delays in microseconds from the publication to the client, and the bytes on the wire.
async fn measure(server: &Server, kind: ClientKind) -> Result<(Traffic, Vec<u64>), String> {
    let traffic = Traffic::default();
    let cursor = server.cursor().await?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS as u32 {
        let connection = server.connection(traffic.clone()).await?;
        let client = connect(connection, kind, &[TOPIC], Some(&cursor)).await?;
        // Polls that began together would all be at the same phase.
        let first = Instant::now() + SHORT_POLL * number / CLIENTS as u32;
        clients.push(tokio::spawn(follow(client, kind, first)));
    }
    let mut connection = server.connection(Traffic::default()).await?;
    for n in 0..EVENTS {
        let request = connection.request("POST", &format!("/publish/{TOPIC}"));
        let request = request.header("content-type", "application/json");
        // A hundred bytes.
        let event = json!({ "n": n, "at": now(), "padding": "x".repeat(57) });
        answer(&mut connection, request, event.to_string()).await?;
        pause(PERIOD).await;
    }
    let mut delays = Vec::new();
    for client in clients {
        let seen = timeout(LIMIT, client).await.map_err(|_| format!("{}: events are missing", kind.name()))?;
        delays.extend(seen.map_err(|error| error.to_string())??);
    }
    Ok((traffic, delays))
}

/// Returns the delays of all events at one client.
async fn follow(mut client: Box<dyn Client>, kind: ClientKind, first: Instant) -> Result<Vec<u64>, String> {
    let (mut delays, mut pace) = (Vec::new(), interval_at(first, SHORT_POLL));
    while delays.len() < EVENTS as usize {
        if kind == ClientKind::ShortPoll && client.needs_request() {
            pace.tick().await;
        }
        match client.next_item().await? {
            Seen::Event(event) => delays.push(delay(&event.data)?),
            other => return Err(format!("{other:?}")),
        }
    }
    Ok(delays)
}

fn delay(data: &SeenData) -> Result<u64, String> {
    let at = match data {
        SeenData::Json(value) => value["at"].as_u64(),
        SeenData::Text(text) => serde_json::from_str::<Value>(text).ok().and_then(|value| value["at"].as_u64()),
        SeenData::Binary(_) | SeenData::Removed => None,
    };
    at.map(|at| now().saturating_sub(at)).ok_or_else(|| format!("not ours: {data:?}"))
}

/// Returns the microseconds of the clock that both sides share.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
