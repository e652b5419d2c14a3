use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::timeout;

use crate::clients::{Data, Seen, Traffic};
use crate::server::{Server, answer};
use crate::{TRANSPORTS, pause};

const TOPIC: &str = "swarm";
/// After this, whoever has not everything has lost it.
const LIMIT: Duration = Duration::from_secs(60);
const SHORT_POLL: Duration = Duration::from_millis(200);

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

/// What one subscriber, or all of them, came to.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    lost: u64,
    duplicated: u64,
    out_of_order: u64,
    cuts: u64,
    moves: u64,
}

/// Publishes events to subscribers that are cut at random and come back over another transport with their cursor. Each
/// must get every one in order and once.
pub(crate) async fn run(server: Server, options: Options) -> Result<(), String> {
    let Options { subscribers, events, seed } = options;
    println!("seed {seed}");
    let (start, began) = (server.cursor().await?, Instant::now());
    let mut seeds = fastrand::Rng::with_seed(seed);
    let all: Vec<_> =
        (0..subscribers).map(|_| tokio::spawn(follow(server.clone(), start.clone(), events, seeds.fork()))).collect();
    publish(&server, events, seeds.fork()).await?;
    let mut sum = Tally::default();
    for subscriber in all {
        let tally = subscriber.await.map_err(|error| error.to_string())??;
        sum.lost += tally.lost;
        sum.duplicated += tally.duplicated;
        sum.out_of_order += tally.out_of_order;
        sum.cuts += tally.cuts;
        sum.moves += tally.moves;
    }
    println!(
        "{subscribers} subscribers, {events} events, {} cuts, {} of them to another transport, in {:.1} s: {} lost, {} \
         duplicated, {} out of order",
        sum.cuts,
        sum.moves,
        began.elapsed().as_secs_f64(),
        sum.lost,
        sum.duplicated,
        sum.out_of_order
    );
    let wrong = sum.lost + sum.duplicated + sum.out_of_order;
    // The plain closing line of a test runner.
    println!("{} passed, {} failed", u8::from(wrong == 0), u8::from(wrong != 0));
    if wrong == 0 { Ok(()) } else { Err("events were lost, duplicated or out of order".to_owned()) }
}

/// Publishes the numbers from 1 on, one alone or several lines together.
async fn publish(server: &Server, events: u64, mut random: fastrand::Rng) -> Result<(), String> {
    let mut connection = server.connection(Traffic::default()).await?;
    let mut next = 1;
    while next <= events {
        let last = events.min(next + random.u64(0..8));
        if next == last {
            let request = connection.request("POST", &format!("/publish/{TOPIC}"));
            let request = request.header("content-type", "application/json");
            answer(&mut connection, request, next.to_string()).await?;
        } else {
            let lines: String = (next..=last).map(|n| format!("{}\n", json!({ "topic": TOPIC, "data": n }))).collect();
            let request = connection.request("POST", "/publish");
            answer(&mut connection, request, lines).await?;
        }
        next = last + 1;
        pause(Duration::from_millis(random.u64(10..150))).await;
    }
    Ok(())
}

/// One subscriber, to its last event.
async fn follow(server: Server, mut cursor: String, events: u64, mut random: fastrand::Rng) -> Result<Tally, String> {
    let (mut tally, mut next, began) = (Tally::default(), 1, Instant::now());
    let mut speaks = TRANSPORTS[random.usize(0..TRANSPORTS.len())];
    while next <= events {
        if began.elapsed() > LIMIT {
            tally.lost += events + 1 - next;
            break;
        }
        let Ok(mut client) = server.client(speaks, TOPIC, &cursor, Traffic::default()).await else {
            // There may be no place just now.
            pause(Duration::from_millis(random.u64(50..250))).await;
            continue;
        };
        let life = tokio::time::Instant::now() + Duration::from_millis(random.u64(100..3_000));
        while next <= events {
            let look = async {
                let seen = client.look().await;
                if let Ok(None) = seen {
                    pause(SHORT_POLL).await;
                }
                seen
            };
            match tokio::time::timeout_at(life, look).await {
                Ok(Ok(Some(Seen::Event(event)))) => {
                    let number = number(&event.data).ok_or_else(|| format!("not ours: {event:?}"))?;
                    match number {
                        _ if number == next => next += 1,
                        _ if number > next => {
                            tally.lost += number - next;
                            next = number + 1;
                        }
                        _ if number + 1 == next => tally.duplicated += 1,
                        _ => tally.out_of_order += 1,
                    }
                }
                Ok(Ok(Some(Seen::Gap(gap)))) => return Err(format!("a gap: {gap:?}")),
                Ok(Ok(None)) => {}
                // It ended, or broke off, or its time is over.
                Ok(Ok(Some(Seen::End(_))) | Err(_)) | Err(_) => break,
            }
        }
        cursor = client.cursor().map_or(cursor, str::to_owned);
        // Dropped without a goodbye.
        drop(client);
        let other = TRANSPORTS[random.usize(0..TRANSPORTS.len())];
        if next <= events {
            tally.cuts += 1;
            tally.moves += u64::from(other != speaks);
        }
        speaks = other;
    }
    // Whoever has everything gets nothing more.
    if next > events {
        let mut client = server.client(TRANSPORTS[0], TOPIC, &cursor, Traffic::default()).await?;
        if let Ok(Ok(Some(more))) = timeout(LIMIT, client.look()).await {
            println!("after the last event: {more:?}");
            tally.duplicated += 1;
        }
    }
    Ok(tally)
}

fn number(data: &Data) -> Option<u64> {
    match data {
        Data::Text(text) => text.parse().ok(),
        Data::Json(value) => value.as_u64(),
        Data::Binary(_) => None,
    }
}
