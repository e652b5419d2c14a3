use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::clients::Connection;
use crate::process::connection;

pub(crate) const TOPICS: [&str; 3] = ["a", "b", "c"];

/// Connections, each with one request in flight.
const CONNECTIONS: u32 = 16;
/// Events of a request.
const BATCH: u64 = 64;
/// Time from one request of a connection to the next: 10,240 events a second on all connections, if the server is as fast.
const PERIOD: Duration = Duration::from_millis(100);

/// Returns the topic of an event.
pub(crate) fn topic_of(number: u64) -> &'static str {
    TOPICS[(number % 3) as usize]
}

/// Returns the text of an event.
pub(crate) fn text_of(number: u64) -> String {
    format!("{number:>20} {:016x} {:026}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number % 1_000)
}

/// Returns the number of an event, if all of the text is as it was published.
pub(crate) fn number_of(text: &str) -> Option<u64> {
    let number = text.split_whitespace().next()?.parse().ok()?;
    (text_of(number) == text).then_some(number)
}

/// Outcomes of publishes.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// Number of the last event that was sent.
    pub(crate) sent: u64,
    /// Sequences of the acknowledged events, as far as the receipts have them.
    pub(crate) acknowledged: BTreeMap<u64, Option<u64>>,
    /// Errors of the refused events.
    pub(crate) refused: BTreeMap<u64, String>,
}

impl Outcomes {
    /// Returns the acknowledged event of some topics with the highest sequence.
    pub(crate) fn last_of(&self, topics: &[&str]) -> Option<u64> {
        let of_topics = self.acknowledged.iter().filter(|(number, _)| topics.contains(&topic_of(**number)));
        of_topics.max_by_key(|(_, sequence)| **sequence).map(|(number, _)| *number)
    }
}

/// Publisher of a numbered event after another, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    outcomes: Arc<Mutex<Outcomes>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes until the server ends, or until [`stop`](Self::stop).
    pub(crate) fn start(&self, address: SocketAddr) -> JoinSet<()> {
        self.is_over.store(false, Ordering::Relaxed);
        let mut tasks = JoinSet::new();
        for place in 0..CONNECTIONS {
            // A process that ends at any time has requests in flight.
            let (this, first) = (self.clone(), Instant::now() + PERIOD * place / CONNECTIONS);
            tasks.spawn(async move {
                let Ok(mut connection) = connection(address).await else { return };
                let mut pace = interval_at(first, PERIOD);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !this.is_over.load(Ordering::Relaxed) {
                    pace.tick().await;
                    if this.publish(&mut connection, BATCH).await.is_err() {
                        return;
                    }
                }
            });
        }
        tasks
    }

    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Publishes events with one request. Returns an error if the server ends meanwhile.
    pub(crate) async fn publish(&self, connection: &mut Connection, count: u64) -> Result<(), String> {
        let first = {
            let mut outcomes = self.outcomes();
            outcomes.sent += count;
            outcomes.sent + 1 - count
        };
        let mut numbers = first..first + count;
        let lines: String =
            numbers.clone().map(|number| format!("{} {}\n", topic_of(number), text_of(number))).collect();
        let request = connection.request("POST", "/publish");
        let mut body = connection.send(request, lines).await?.into_body();
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
            for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
                rest.extend_from_slice(piece);
                if let Some(line) = rest.strip_suffix(b"\n") {
                    let number = numbers.next().ok_or("more lines than events")?;
                    self.outcome(number, std::str::from_utf8(line).map_err(|error| error.to_string())?);
                    rest.clear();
                }
            }
        }
        Ok(())
    }

    fn outcome(&self, number: u64, line: &str) {
        let mut outcomes = self.outcomes();
        match line.strip_prefix("error ") {
            Some(error) => drop(outcomes.refused.insert(number, error.to_owned())),
            None => {
                let sequence = line.parse().ok().map(tidings::Cursor::sequence);
                outcomes.acknowledged.insert(number, sequence);
            }
        }
    }
}
