use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings::{Event, LocalHub, Topic};
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Args;
use crate::figures::quietest;
use crate::now;

/// A task that publishes at an even rate, to one topic after another, and measures each call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Publishing(Arc<Mutex<Done>>);

#[derive(Debug, Default)]
struct Done {
    /// Nanoseconds of each call, in windows of a second.
    calls: Vec<Vec<f64>>,
    over: bool,
    /// Set for the last event of each topic, which is marked as such.
    stopping: bool,
    /// Number of events of every topic.
    rounds: u64,
}

/// Events to publish: numbered from 1 in each of the topics `storm/0`, `storm/1` and so on.
pub(crate) struct Plan {
    topics: Vec<Topic>,
    /// Events a second, of all topics together.
    rate: u64,
    /// Number of events of each topic.
    each: u64,
    /// Length of an event, in bytes.
    size: usize,
}

impl Plan {
    /// Reads `--rate R --each N --topics N --size BYTES`.
    pub(crate) fn parse(words: &str) -> Result<Self, String> {
        let mut args = Args::parse(words.split_whitespace().map(str::to_owned))?;
        let topics = (0..args.or("topics", 1)?).map(|number: u64| Topic::new(format!("storm/{number}")));
        let topics = topics.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let plan = Self { topics, rate: args.need("rate")?, each: args.need("each")?, size: args.or("size", 64)? };
        args.finish()?;
        Ok(plan)
    }
}

impl Publishing {
    /// Starts the plan in its own task.
    pub(crate) fn start(&self, hub: LocalHub, plan: Plan) {
        let mut done = self.lock();
        (done.over, done.stopping) = (false, false);
        drop(done);
        tokio::spawn(self.clone().run(hub, plan));
    }

    /// Ends the plan with one further event of each topic, which is marked as the last.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
    }

    /// Drops the measured calls.
    pub(crate) fn forget(&self) {
        self.lock().calls.clear();
    }

    async fn run(self, hub: LocalHub, plan: Plan) {
        let mut pace = interval(Duration::from_secs(1) / u32::try_from(plan.rate.max(1)).unwrap_or(u32::MAX));
        // Not in bursts: on a busy machine a burst would exceed the history, and give every reader a gap.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let first = self.lock().rounds;
        let mut window = Vec::new();
        for n in 1..=plan.each {
            let is_last = self.lock().stopping;
            for topic in &plan.topics {
                pace.tick().await;
                let event = payload(first + n, is_last, plan.size);
                let began = Instant::now();
                drop(hub.publish_now(topic, event));
                window.push(began.elapsed().as_nanos() as f64);
                if window.len() as u64 >= plan.rate {
                    self.lock().calls.push(std::mem::take(&mut window));
                }
            }
            self.lock().rounds = first + n;
            if is_last {
                break;
            }
        }
        self.lock().over = true;
    }

    /// Returns the counts so far.
    pub(crate) fn report(&self) -> Value {
        let done = self.lock();
        let microseconds = |share| quietest(&done.calls, share) / 1_000.0;
        json!({ "over": done.over, "each": done.rounds, "p50": microseconds(0.5), "p99": microseconds(0.99) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes a tiny event to each of many new topics: `--topics N --round N`. Returns the longest call in microseconds,
/// and
/// the number of refused events.
pub(crate) async fn flood(hub: &LocalHub, words: &str) -> Result<Value, String> {
    let mut args = Args::parse(words.split_whitespace().map(str::to_owned))?;
    let (topics, round) = (args.need::<u64>("topics")?, args.need::<u64>("round")?);
    args.finish()?;
    let (mut worst, mut refused) = (Duration::ZERO, 0);
    for n in 0..topics {
        let topic = Topic::new(format!("flood/{round}/{n}")).map_err(|error| error.to_string())?;
        let began = Instant::now();
        refused += u64::from(hub.publish_now(&topic, "x").is_err());
        worst = worst.max(began.elapsed());
        if n % 256 == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(json!({ "worst": worst.as_micros() as u64, "refused": refused }))
}

fn payload(n: u64, is_last: bool, size: usize) -> Event {
    let head = format!(r#"{{"n":{n},"at":{},"last":{is_last},"x":""#, now());
    let padding = "x".repeat(size.saturating_sub(head.len() + 2));
    Event::json_text(format!("{head}{padding}\"}}")).unwrap_or_else(|_| Event::text("not JSON"))
}
