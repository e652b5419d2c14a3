use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::clients::{ClientKind, Connection, Seen, SeenData, Traffic, connect};
use crate::ledger::{Audit, Ledger};
use crate::server::{Server, answer};
use crate::{TRANSPORTS, pause};

const TOPICS: [&str; 3] = ["swarm/a", "swarm/b", "swarm/c"];
/// Time after which a missing event counts as lost.
const LIMIT: Duration = Duration::from_secs(180);
/// Time in which all events are published, for any number.
const SPREAD: Duration = Duration::from_secs(10);
/// Maximum age of a connection; half of it is usual.
const VISIT: Duration = Duration::from_secs(4);
const SHORT_POLL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    subscribers: u64,
    events: u64,
    seed: u64,
}

impl Options {
    pub(crate) fn parse(args: &[&str]) -> Result<Self, String> {
        let mut options = Self { subscribers: 1_000, events: 300, seed: fastrand::u64(..) };
        for pair in args.chunks(2) {
            let (&name, value) = (&pair[0], pair.get(1).and_then(|value| value.parse().ok()));
            let value = value.ok_or_else(|| format!("{name} needs a number"))?;
            match name {
                "--subscribers" => options.subscribers = value,
                "--events" => options.events = value,
                "--seed" => options.seed = value,
                _ => return Err(format!("there is no {name}")),
            }
        }
        Ok(options)
    }
}

/// State that the subscribers share.
struct Swarm {
    server: Server,
    start: String,
    /// Number after the last event, which marks the end.
    end: u64,
    connected: AtomicU64,
}

/// Publishes events to subscribers that are cut at random positions and resume over another transport with their
/// cursor.
/// Each must get every event in order and once, and the relay must have no session left when they have disconnected.
pub(crate) async fn run(server: Server, options: Options) -> Result<(), String> {
    let Options { subscribers, events, seed } = options;
    println!("seed {seed}");
    let (start, began, mut rng) = (server.cursor().await?, Instant::now(), Rng::with_seed(seed));
    let swarm = Arc::new(Swarm { server, start, end: events + 1, connected: AtomicU64::new(0) });
    let ledgers: Vec<_> = (0..subscribers).map(|_| Arc::new(Mutex::new(Ledger::default()))).collect();
    let mut all = JoinSet::new();
    for (ledger, transport) in ledgers.iter().zip(TRANSPORTS.into_iter().cycle()) {
        all.spawn(follow(swarm.clone(), transport, rng.fork(), ledger.clone()));
    }
    let publishing = async {
        while swarm.connected.load(Ordering::Relaxed) < subscribers {
            pause(Duration::from_millis(10)).await;
        }
        publish(&swarm.server, events, &mut rng).await
    };
    let following = async {
        while let Some(done) = all.join_next().await {
            done.map_err(|error| error.to_string())??;
        }
        Ok(())
    };
    let done = timeout(LIMIT, async { tokio::try_join!(publishing, following) }).await;
    all.shutdown().await;

    let mut audit = Audit::default();
    ledgers.iter().for_each(|ledger| audit.add(&lock(ledger), events));
    println!(
        "{subscribers} subscribers, {events} events, {} cuts, {} moves, in {:.1} s: {} lost, {} duplicated, {} out of \
         order",
        audit.cuts,
        audit.moves,
        began.elapsed().as_secs_f64(),
        audit.lost,
        audit.duplicated,
        audit.out_of_order
    );
    let verdict = match done {
        Err(_) => Err(format!("not done in {LIMIT:?}")),
        Ok(Err(why)) => Err(why),
        Ok(Ok(_)) if !audit.is_clean() => Err("not every event came once and in order".to_owned()),
        Ok(Ok(_)) => is_left_alone(&swarm.server).await,
    };
    // The usual last line of a test runner.
    println!("{} passed, {} failed", u8::from(verdict.is_ok()), u8::from(verdict.is_err()));
    verdict
}

/// Publishes the numbers from 1 on, alone or as several lines together, and then the end.
async fn publish(server: &Server, events: u64, rng: &mut Rng) -> Result<(), String> {
    let mut connection = server.connection(Traffic::default()).await?;
    let mut next = 1;
    while next <= events + 1 {
        // The end is published alone.
        let last = if next > events { next } else { events.min(next + rng.u64(0..8)) };
        if next == last {
            let request = connection.request("POST", &format!("/publish/{}", rng.choice(TOPICS).unwrap_or_default()));
            let request = request.header("content-type", "application/json");
            answer(&mut connection, request, next.to_string()).await?;
        } else {
            let line = |n| format!("{}\n", json!({ "topic": rng.choice(TOPICS), "data": n }));
            let lines: String = (next..=last).map(line).collect();
            let request = connection.request("POST", "/publish");
            answer(&mut connection, request, lines).await?;
        }
        let share = (last + 1 - next) as f64 / events as f64;
        next = last + 1;
        pause(SPREAD.mul_f64(share * 2.0 * rng.f64())).await;
    }
    Ok(())
}

/// One subscriber: connections that are each cut, until it has seen the end.
async fn follow(
    swarm: Arc<Swarm>,
    mut kind: ClientKind,
    mut rng: Rng,
    ledger: Arc<Mutex<Ledger>>,
) -> Result<(), String> {
    let (mut cursor, mut is_counted) = (swarm.start.clone(), false);
    loop {
        let (life, reset) = (VISIT.mul_f64(rng.f64()), rng.bool());
        let visit = visit(&swarm, kind, reset, &mut cursor, &mut is_counted, &ledger);
        match timeout(life, visit).await {
            Ok(done) => return done.map_err(|why| format!("{}: {why}", kind.name())),
            Err(_) => {
                let other = TRANSPORTS[rng.usize(0..TRANSPORTS.len())];
                let mut ledger = lock(&ledger);
                ledger.cuts += 1;
                ledger.moves += u64::from(other != kind);
                kind = other;
            }
        }
    }
}

/// Connects and reads up to the end. If it is dropped, the connection ends with a reset, or as by a killed program.
async fn visit(
    swarm: &Swarm,
    kind: ClientKind,
    reset: bool,
    cursor: &mut String,
    is_counted: &mut bool,
    ledger: &Mutex<Ledger>,
) -> Result<(), String> {
    let connection: Connection = match reset {
        true => swarm.server.resetting_connection().await?,
        false => swarm.server.connection(Traffic::default()).await?,
    };
    let mut client = connect(connection, kind, &TOPICS, Some(cursor)).await?;
    if !std::mem::replace(is_counted, true) {
        swarm.connected.fetch_add(1, Ordering::Relaxed);
    }
    let mut pace = interval(SHORT_POLL);
    loop {
        if kind == ClientKind::ShortPoll && client.needs_request() {
            pace.tick().await;
        }
        let seen = client.next_item().await?;
        let Seen::Event(event) = &seen else { return Err(format!("{seen:?}")) };
        match number(&event.data).ok_or_else(|| format!("not ours: {event:?}"))? {
            number if number == swarm.end => return Ok(()),
            number if number > swarm.end => return Err(format!("{number} was never published")),
            // The events are recorded and the cursor moves without an await in between.
            number => lock(ledger).got.push(number),
        }
        client.cursor().ok_or("an event without a cursor")?.clone_into(cursor);
    }
}

/// Checks that the relay has no session left.
async fn is_left_alone(server: &Server) -> Result<(), String> {
    let mut stats = json!(null);
    for _ in 0..1_200 {
        stats = server.stats().await?;
        let sessions = stats["endpoint"]["sessions"].as_object().into_iter().flatten();
        if sessions.clone().count() > 0 && sessions.clone().all(|(_, n)| *n == 0) && stats["hub"]["subscriptions"] == 0
        {
            return Ok(());
        }
        pause(Duration::from_millis(50)).await;
    }
    Err(format!("all are gone, and the relay holds on to {stats}"))
}

fn number(data: &SeenData) -> Option<u64> {
    match data {
        SeenData::Text(text) => text.parse().ok(),
        SeenData::Json(value) => value.as_u64(),
        SeenData::Binary(_) | SeenData::Removed => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
