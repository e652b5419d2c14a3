use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::clients::{Data, Seen, Speaks, Traffic};
use crate::server::{Server, answer};
use crate::{TRANSPORTS, pause};

const TOPIC: &str = "figures";
const CLIENTS: usize = 20;
const EVENTS: u64 = 100;
const PERIOD: Duration = Duration::from_millis(100);
const SHORT_POLL: Duration = Duration::from_secs(1);

/// Measures one transport after another, each with twenty clients and ten events a second for ten seconds, and prints
/// a Markdown table. Bytes are those of HTTP and above, of both directions, and of what led to the events: requests,
/// heads, framing.
pub(crate) async fn figures(server: &Server) -> Result<(), String> {
    println!("| transport | bytes an event | requests an event | delay, median | delay, p99 |\n|---|---|---|---|---|");
    for speaks in TRANSPORTS {
        let (traffic, mut delays) = measure(server, speaks).await?;
        delays.sort_unstable();
        let events = delays.len() as f64;
        let at = |share: f64| delays[((events - 1.0) * share) as usize] as f64 / 1_000.0;
        println!(
            "| {} | {:.0} | {:.2} | {:.1} ms | {:.1} ms |",
            speaks.name(),
            (traffic.sent() + traffic.received()) as f64 / events,
            traffic.requests() as f64 / events,
            at(0.5),
            at(0.99)
        );
    }
    Ok(())
}

/// The delays in microseconds from before the publication to the client, and what went over the wire for them.
async fn measure(server: &Server, speaks: Speaks) -> Result<(Traffic, Vec<u64>), String> {
    let (traffic, over) = (Traffic::default(), Arc::new(AtomicBool::new(false)));
    let cursor = server.cursor().await?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = server.client(speaks, TOPIC, &cursor, traffic.clone()).await?;
        clients.push((client, Arc::clone(&over)));
        // Polls that began together would all find the same moment.
        pause(SHORT_POLL / CLIENTS as u32).await;
    }
    let clients: Vec<_> = clients
        .into_iter()
        .map(|(mut client, over)| {
            tokio::spawn(async move {
                let mut delays = Vec::new();
                while delays.len() < EVENTS as usize && !over.load(Ordering::Relaxed) {
                    match client.look().await? {
                        Some(Seen::Event(event)) => delays.push(delay(&event.data)?),
                        Some(other) => return Err(format!("{other:?}")),
                        None => pause(SHORT_POLL).await,
                    }
                }
                Ok(delays)
            })
        })
        .collect();
    let mut connection = server.connection(Traffic::default()).await?;
    for n in 0..EVENTS {
        let request = connection.request("POST", &format!("/publish/{TOPIC}"));
        let request = request.header("content-type", "application/json");
        // A hundred bytes.
        let event = json!({ "n": n, "at": now(), "padding": "x".repeat(57) });
        answer(&mut connection, request, event.to_string()).await?;
        pause(PERIOD).await;
    }
    pause(2 * SHORT_POLL).await;
    over.store(true, Ordering::Relaxed);
    let mut delays = Vec::new();
    for client in clients {
        delays.extend(client.await.map_err(|error| error.to_string())??);
    }
    match delays.len() == CLIENTS * EVENTS as usize {
        true => Ok((traffic, delays)),
        false => Err(format!("{} came to only {} events", speaks.name(), delays.len())),
    }
}

fn delay(data: &Data) -> Result<u64, String> {
    let at = match data {
        Data::Json(value) => value["at"].as_u64(),
        Data::Text(text) => serde_json::from_str::<Value>(text).ok().and_then(|value| value["at"].as_u64()),
        Data::Binary(_) => None,
    };
    at.map(|at| now().saturating_sub(at)).ok_or_else(|| format!("not ours: {data:?}"))
}

/// Microseconds, on the clock that both sides have.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
