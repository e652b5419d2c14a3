//! An engine: a log that the hubs of two nodes share, tested by the conformance kit, and faults that the kit finds.
//!
//! ```text
//! cargo run --example engine_in_memory --features full,conformance,engine
//! cargo run --example engine_in_memory --features full,conformance,engine -- --fault silent
//! ```
//!
//! The log is in memory, in place of a database or a broker. Without arguments the program shows two nodes: an event that is published at
//! one and received at the other, an outage, and a client that resumes at the other. With `--fault` it prints the cases that find a fault:
//!
//! - `lost`: each seventh record is not pushed.
//! - `doubled`: a record that is appended again has a second place.
//! - `reordered`: a sequence is completed before its record is pushed.
//! - `silent`: a page does not report the events that are not retained any more.
//! - `torn-end`: an append looks for the end of the topic in one step, and takes its place in another.

use std::collections::HashMap;
use std::error::Error;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Instant;

use tidings::conformance::{self, EngineUnderTest, Failures, HubOptions, Report};
use tidings::engine::{
    Append, AppendBody, Appended, Engine, EngineFuture, EngineHub, Followed, HistoryError, HistoryPage, LogState,
    LostEvents, Read, ReadFrom, StoredEnd, StoredEvent, Tail,
};
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{EndReason, Pattern, PublishError, Start, Subscribe, Topic};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Maximum number of records of a page.
const PAGE: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Lost,
    Doubled,
    Reordered,
    Silent,
    TornEnd,
}

const FAULTS: [(&str, Fault, &str); 5] = [
    ("lost", Fault::Lost, "records before their completion"),
    ("doubled", Fault::Doubled, "one record appended twice"),
    ("reordered", Fault::Reordered, "records before their completion"),
    ("silent", Fault::Silent, "pages prove losses"),
    ("torn-end", Fault::TornEnd, "events and ends at once"),
];

#[derive(Clone)]
struct SharedLog(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    epoch: u64,
    /// Number of events of each topic that are retained.
    retain: usize,
    records: Vec<Record>,
    /// Last sequence.
    head: u64,
    topics: HashMap<Topic, TopicState>,
    /// Places of the records, by their ids. A log of a longer life forgets those that no engine tries again.
    ids: HashMap<u128, Appended>,
    /// Number of events that were removed.
    trims: u64,
    nodes: Vec<Node>,
    fault: Option<Fault>,
}

#[derive(Clone)]
struct Record {
    sequence: u64,
    previous: u64,
    topic: Topic,
    body: AppendBody,
    expires: Option<Instant>,
}

#[derive(Default)]
struct TopicState {
    last: u64,
    end: Option<(u64, EndReason)>,
    /// Sequence of the last event that was removed.
    trimmed: u64,
}

/// Connection of a node to the log.
#[derive(Default)]
struct Node {
    names: Vec<Pattern>,
    /// `None` before the engine runs, and while the connection is broken.
    tail: Option<Tail>,
}

impl SharedLog {
    fn new(retain: usize, fault: Option<Fault>) -> Self {
        // Each log has an epoch of its own, so that cursors of another one are not valid.
        Self(Arc::new(Mutex::new(Log { epoch: fastrand::u64(1..), retain, fault, ..Log::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().expect("no thread panics with the lock")
    }

    /// Returns the engine of another node.
    fn node(&self) -> InMemory {
        let mut log = self.lock();
        log.nodes.push(Node::default());
        InMemory { log: self.clone(), node: log.nodes.len() - 1 }
    }
}

impl Log {
    /// Returns the result of an append if it appends nothing.
    fn refuse(&self, append: &Append) -> Option<Result<Appended, PublishError>> {
        if let Some(first) = self.ids.get(&append.id).filter(|_| self.fault != Some(Fault::Doubled)) {
            return Some(Ok(*first));
        }
        let (sequence, reason) = self.topics.get(&append.topic)?.end?;
        Some(match append.body {
            AppendBody::End(_) => Ok(Appended::Ended { epoch: self.epoch, sequence, reason }),
            _ => Err(PublishError::Finished(append.topic.clone())),
        })
    }

    fn append(&mut self, Append { topic, body, id, .. }: Append) -> Appended {
        self.head += 1;
        let (sequence, state) = (self.head, self.topics.entry(topic.clone()).or_default());
        let previous = std::mem::replace(&mut state.last, sequence);
        let mut expires = None;
        match &body {
            AppendBody::End(reason) => state.end = Some((sequence, *reason)),
            AppendBody::Event(event) => expires = event.ttl().map(|ttl| Instant::now() + ttl),
            _ => {}
        }
        let record = Record { sequence, previous, topic, body, expires };
        self.push(&record);
        self.records.push(record.clone());
        self.trim(&record.topic);
        let place = Appended::At { epoch: self.epoch, sequence };
        self.ids.insert(id, place);
        place
    }

    /// Removes the oldest event of a topic, if there are too many.
    fn trim(&mut self, topic: &Topic) {
        let is_event = |record: &&Record| record.topic == *topic && matches!(record.body, AppendBody::Event(_));
        if self.records.iter().filter(is_event).count() > self.retain {
            let Some(at) = self.records.iter().position(|record| is_event(&record)) else { return };
            let removed = self.records.remove(at);
            self.topics.entry(removed.topic).or_default().trimmed = removed.sequence;
            self.trims += 1;
        }
    }

    /// Pushes a record to the nodes that follow its topic.
    fn push(&self, record: &Record) {
        for Node { names, tail } in &self.nodes {
            let Some(tail) = tail else { continue };
            if self.fault == Some(Fault::Reordered) {
                tail.complete(self.head);
            }
            let is_lost = self.fault == Some(Fault::Lost) && record.sequence % 7 == 0;
            if !is_lost && names.iter().any(|name| name.matches(&record.topic)) {
                match record.clone() {
                    Record { sequence, topic, body: AppendBody::End(reason), .. } => {
                        tail.end(StoredEnd::new(sequence, topic, reason), Some(record.previous));
                    }
                    Record { sequence, topic, body: AppendBody::Event(event), .. } => {
                        tail.event(StoredEvent::new(sequence, topic, event), Some(record.previous));
                    }
                    _ => {}
                }
            }
            tail.complete(self.head);
        }
    }

    fn page(&self, read: &Read) -> HistoryPage {
        let range_of = |topic: &Topic| read.ranges.iter().find(|range| range.name.matches(topic));
        let is_read = |record: &&Record| {
            let Some(range) = range_of(&record.topic) else { return false };
            let is_first = match range.from {
                ReadFrom::Last(count) if record.sequence <= read.since => self.later(record, read.since) < count,
                _ => true,
            };
            let is_alive = record.expires.is_none_or(|expires| expires > Instant::now());
            is_alive && is_first && record.sequence > read.after.max(range.after) && record.sequence <= read.up_to
        };
        let mut records = self.records.iter().filter(is_read);
        let page: Vec<_> = records.by_ref().take(PAGE).cloned().collect();
        let up_to = match (records.next(), page.last()) {
            (Some(_), Some(last)) => last.sequence,
            _ => read.up_to,
        };
        let (mut events, mut ends) = (Vec::new(), Vec::new());
        for Record { sequence, topic, body, .. } in page {
            match body {
                AppendBody::Event(event) => events.push(StoredEvent::new(sequence, topic, event)),
                AppendBody::End(reason) => ends.push(StoredEnd::new(sequence, topic, reason)),
                _ => {}
            }
        }
        let page = HistoryPage::new(events, up_to).with_ends(ends).with_trims(self.trims);
        // All events of a topic up to the one that was removed last are gone. Some of them may be in the page.
        let trimmed = self.topics.iter().filter(|(topic, _)| range_of(topic).is_some()).map(|(_, state)| state.trimmed);
        match trimmed.max().filter(|last| *last > read.after) {
            Some(last) if self.fault != Some(Fault::Silent) => page.with_lost(LostEvents::up_to(last.min(up_to))),
            _ => page,
        }
    }

    /// Returns the number of later events of the topic, up to a sequence.
    fn later(&self, record: &Record, up_to: u64) -> usize {
        let is_later = |other: &&Record| {
            let is_event = matches!(other.body, AppendBody::Event(_));
            is_event && other.topic == record.topic && (record.sequence + 1..=up_to).contains(&other.sequence)
        };
        self.records.iter().filter(is_later).count()
    }
}

/// Engine of a node.
struct InMemory {
    log: SharedLog,
    node: usize,
}

impl InMemory {
    /// Breaks the connection.
    fn disconnect(&self) -> Option<Tail> {
        let tail = self.log.lock().nodes[self.node].tail.take();
        if let Some(tail) = &tail {
            tail.lost();
        }
        tail
    }

    /// Connects again. The names that were followed still are.
    fn connect(&self, tail: Tail) {
        let mut log = self.log.lock();
        tail.complete(log.head);
        log.nodes[self.node].tail = Some(tail);
    }
}

impl Engine for InMemory {
    fn state(&self) -> EngineFuture<Result<LogState, HistoryError>> {
        let log = self.log.lock();
        Box::pin(std::future::ready(Ok(LogState::new(log.epoch, log.head))))
    }

    fn append(&self, append: Append) -> EngineFuture<Result<Appended, PublishError>> {
        let (log, mut is_checked) = (self.log.clone(), false);
        Box::pin(poll_fn(move |cx| {
            let mut log = log.lock();
            if let Some(refused) = log.refuse(&append).filter(|_| !is_checked) {
                return Poll::Ready(refused);
            }
            if log.fault == Some(Fault::TornEnd) && !std::mem::replace(&mut is_checked, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(log.append(append.clone())))
        }))
    }

    fn read(&self, read: Read) -> EngineFuture<Result<HistoryPage, HistoryError>> {
        Box::pin(std::future::ready(Ok(self.log.lock().page(&read))))
    }

    fn follow(&self, names: Vec<Pattern>) -> EngineFuture<Result<Followed, HistoryError>> {
        let mut log = self.log.lock();
        let end_of = |topic: &Topic| {
            let (sequence, reason) = log.topics.get(topic)?.end?;
            Some(StoredEnd::new(sequence, topic.clone(), reason))
        };
        let ends = names.iter().filter_map(|name| end_of(name.as_topic()?)).collect();
        let followed = Followed::new(log.head).with_ends(ends);
        log.nodes[self.node].names.extend(names);
        Box::pin(std::future::ready(Ok(followed)))
    }

    fn unfollow(&self, names: &[Pattern]) {
        self.log.lock().nodes[self.node].names.retain(|name| !names.contains(name));
    }

    fn run(&self, tail: Tail) -> EngineFuture<()> {
        self.connect(tail);
        Box::pin(pending())
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.log.lock().nodes[self.node] = Node::default();
    }
}

/// Logs for the kit, by name.
struct Logs {
    logs: Mutex<HashMap<String, SharedLog>>,
    fault: Option<Fault>,
}

impl EngineUnderTest for Logs {
    type Engine = InMemory;

    async fn open(&self, options: &HubOptions) -> Outcome<InMemory> {
        let mut logs = self.logs.lock().expect("no thread panics with the lock");
        let new = || SharedLog::new(options.retained_events(), self.fault);
        Ok(logs.entry(options.name().to_owned()).or_insert_with(new).node())
    }
}

fn test(fault: Option<Fault>) -> Result<Report, Failures> {
    conformance::engine(Logs { logs: Mutex::default(), fault })
}

/// Opens the hub of a node, and runs its driver.
async fn open(engine: Arc<InMemory>) -> Outcome<EngineHub> {
    let (hub, driver) = EngineHub::builder(engine).open().await?;
    tokio::spawn(driver);
    Ok(hub)
}

async fn print_next(client: &mut (impl tidings::Subscriber + Unpin), name: &str) {
    if let Delivery::Events(batch) = client.next().await {
        batch.iter().for_each(|event| println!("  {name} has {:?}", event.event.as_str().unwrap_or_default()));
    }
}

async fn show() -> Outcome {
    let log = SharedLog::new(100, None);
    let engines = [Arc::new(log.node()), Arc::new(log.node())];
    let one = open(Arc::clone(&engines[0])).await?;
    let two = open(Arc::clone(&engines[1])).await?;
    let mut client = two.subscribe(Subscribe::topics(["news"]))?;

    println!("published at node 1:");
    let receipt = one.publish("news", "first").await?;
    print_next(&mut client, "a client of node 2").await;

    println!("published at node 1, while node 2 has no connection:");
    let tail = engines[1].disconnect();
    one.publish("news", "second").await?;
    println!("  node 2 is {:?}", two.health());
    tail.into_iter().for_each(|tail| engines[1].connect(tail));
    print_next(&mut client, "after the outage, the client of node 2").await;

    println!("a client of node 1 was cut after \"first\":");
    let start = receipt.cursor().map_or(Start::Oldest, Start::After);
    let mut moved = two.subscribe(Subscribe::topics(["news"]).start(start))?;
    print_next(&mut moved, "at node 2, it").await;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match &*args.iter().map(String::as_str).collect::<Vec<_>>() {
        [] => show().await,
        ["--fault", name] => {
            let fault = FAULTS.iter().find(|fault| fault.0 == *name);
            let (_, fault, _) = fault.ok_or_else(|| format!("no fault {name}: see the first comment"))?;
            let report = tokio::task::spawn_blocking(|| test(Some(*fault))).await?;
            println!("{report:?}");
            Ok(())
        }
        _ => Err("usage: engine_in_memory [--fault lost|doubled|reordered|silent|torn-end]".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{FAULTS, show, test};

    #[test]
    fn engine_conforms() {
        println!("{}", test(None).unwrap());
    }

    #[test]
    fn each_fault_is_found() {
        for (name, fault, case) in FAULTS {
            let failures = test(Some(fault)).unwrap_err();
            println!("{name}: {failures}");
            assert!(failures.iter().any(|failure| failure.case() == case), "{name}: {failures}");
        }
    }

    #[tokio::test]
    async fn two_nodes_share_the_log() {
        show().await.unwrap();
    }
}
