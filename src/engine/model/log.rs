use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use super::history::Stored;
use crate::contract::PublishError;
use crate::engine::engine::{Append, AppendBody, Appended, Engine, Followed, LogState};
use crate::engine::history::{EngineFuture, HistoryError, HistoryPage, Read, StoredEnd, StoredEvent};
use crate::engine::tail::Tail;
use crate::model::{Pattern, Topic};

/// Log that the hubs of several nodes share, with one connection to each node.
#[derive(Clone)]
pub(in crate::engine) struct SharedLog(Arc<Mutex<Log>>);

pub(in crate::engine) struct Log {
    pub(in crate::engine) epoch: u64,
    pub(in crate::engine) earlier: Vec<(u64, u64)>,
    pub(in crate::engine) head: u64,
    pub(in crate::engine) stored: Stored,
    /// Events that were trimmed, or lost with an epoch.
    pub(in crate::engine) gone: Vec<StoredEvent>,
    pub(in crate::engine) ends: Vec<StoredEnd>,
    /// Last sequences of topics.
    last: HashMap<Topic, u64>,
    pub(in crate::engine) connections: Vec<Connection>,
    /// Largest number of events of a page.
    page: usize,
    /// Number of polls for which an operation is pending.
    pub(in crate::engine) slow: u32,
    /// Whether reads fail, or failed before.
    pub(in crate::engine) fails: (bool, bool),
    /// Number of reads.
    pub(in crate::engine) reads: usize,
    /// Time of the log, if its operations take one unit of it.
    pub(in crate::engine) time: Option<u64>,
}

/// Connection to a node.
#[derive(Default)]
pub(in crate::engine) struct Connection {
    tail: Option<Tail>,
    names: Vec<Pattern>,
    /// Records that are not pushed yet, with their predecessors.
    pub(in crate::engine) wire: Vec<(StoredRecord, u64)>,
    pub(in crate::engine) is_lost: bool,
    /// Whether the node has not got the state of the log.
    is_outdated: bool,
}

#[derive(Debug, Clone)]
pub(in crate::engine) enum StoredRecord {
    Event(StoredEvent),
    End(StoredEnd),
}

/// Engine of a node.
pub(in crate::engine) struct Node {
    pub(in crate::engine) log: SharedLog,
    pub(in crate::engine) number: usize,
}

impl SharedLog {
    pub(in crate::engine) fn new(page: usize, nodes: usize) -> Self {
        let log = Log {
            epoch: 1,
            earlier: Vec::new(),
            head: 0,
            stored: Stored::default(),
            gone: Vec::new(),
            ends: Vec::new(),
            last: HashMap::new(),
            connections: (0..nodes).map(|_| Connection::default()).collect(),
            page,
            slow: 0,
            fails: (false, false),
            reads: 0,
            time: None,
        };
        Self(Arc::new(Mutex::new(log)))
    }

    pub(in crate::engine) fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap()
    }

    /// Pushes records to a node: those at these places of the connection, each once or twice. Completes what has no record before it.
    pub(in crate::engine) fn push(&self, node: usize, places: &[usize], is_doubled: bool) {
        let mut log = self.lock();
        let (head, state) = (log.head, log.state());
        let connection = &mut log.connections[node];
        let Some(tail) = connection.tail.clone() else { return };
        if std::mem::take(&mut connection.is_outdated) {
            tail.state(&state);
        }
        connection.is_lost = false;
        for place in places {
            if connection.wire.is_empty() {
                break;
            }
            let (record, previous) = connection.wire.remove(place % connection.wire.len());
            for _ in 0..1 + usize::from(is_doubled) {
                match record.clone() {
                    StoredRecord::Event(event) => tail.event(event, Some(previous)),
                    StoredRecord::End(end) => tail.end(end, Some(previous)),
                }
            }
        }
        let first = connection.wire.iter().map(|(record, _)| record.sequence()).min();
        let complete = first.map_or(head, |first| first - 1);
        drop(log);
        tail.complete(complete);
    }

    /// Ends the connection to a node.
    pub(in crate::engine) fn disconnect(&self, node: usize) {
        let mut log = self.lock();
        let connection = &mut log.connections[node];
        connection.wire.clear();
        connection.is_lost = true;
        let tail = connection.tail.clone();
        drop(log);
        if let Some(tail) = tail {
            tail.lost();
        }
    }

    /// Begins an epoch, after the loss of the last records. `is_wiped`: of all records, and of the list of epochs.
    pub(in crate::engine) fn begin_epoch(&self, lost: usize, is_wiped: bool) {
        let mut guard = self.lock();
        let log = &mut *guard;
        let head = if is_wiped { 0 } else { log.head - (lost as u64).min(log.head) };
        log.gone.extend(log.stored.events.iter().chain(&log.stored.trimmed).cloned());
        log.stored.events.retain(|event| event.sequence <= head);
        log.stored.trimmed.retain(|event| event.sequence <= head);
        log.ends.retain(|end| end.sequence <= head);
        let earlier = log.earlier.iter().map(|&(epoch, last)| (epoch, last.min(head))).chain([(log.epoch, head)]);
        log.earlier = if is_wiped { Vec::new() } else { earlier.collect() };
        let records = log.stored.events.iter().chain(&log.stored.trimmed).map(|event| (&event.topic, event.sequence));
        let mut last = HashMap::new();
        for (topic, sequence) in records.chain(log.ends.iter().map(|end| (&end.topic, end.sequence))) {
            let newest: &mut u64 = last.entry(topic.clone()).or_default();
            *newest = sequence.max(*newest);
        }
        log.last = last;
        log.head = head;
        log.epoch += 1;
        log.connections.iter_mut().for_each(|connection| connection.is_outdated = true);
        let nodes = log.connections.len();
        drop(guard);
        (0..nodes).for_each(|node| self.disconnect(node));
    }

    fn operation<T: Send + 'static>(&self, mut result: Option<T>) -> EngineFuture<T> {
        let (log, began) = (self.clone(), self.lock().time);
        let mut slow = self.lock().slow;
        Box::pin(std::future::poll_fn(move |cx| {
            if slow > 0 || began.is_some_and(|began| log.lock().time == Some(began)) {
                slow = slow.saturating_sub(1);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(result.take().unwrap())
        }))
    }
}

impl Log {
    pub(in crate::engine) fn state(&self) -> LogState {
        LogState::new(self.epoch, self.head).with_earlier(self.earlier.clone())
    }

    fn has_ended(&self, topic: &Topic) -> Option<&StoredEnd> {
        self.ends.iter().find(|end| end.topic == *topic)
    }

    fn add(&mut self, topic: &Topic, body: AppendBody) -> u64 {
        self.head += 1;
        let sequence = self.head;
        let record = match body {
            AppendBody::Event(event) => {
                let event = StoredEvent::new(sequence, topic.clone(), event);
                self.stored.events.push(event.clone());
                StoredRecord::Event(event)
            }
            AppendBody::End(reason) => {
                let end = StoredEnd::new(sequence, topic.clone(), reason);
                self.ends.push(end.clone());
                StoredRecord::End(end)
            }
        };
        let previous = self.last.insert(topic.clone(), sequence).unwrap_or(0);
        for connection in &mut self.connections {
            if !connection.is_lost && connection.names.iter().any(|name| name.matches(topic)) {
                connection.wire.push((record.clone(), previous));
            }
        }
        sequence
    }
}

impl StoredRecord {
    pub(in crate::engine) fn sequence(&self) -> u64 {
        match self {
            Self::Event(event) => event.sequence,
            Self::End(end) => end.sequence,
        }
    }
}

impl Engine for Node {
    fn state(&self) -> EngineFuture<Result<LogState, HistoryError>> {
        let state = self.log.lock().state();
        self.log.operation(Some(Ok(state)))
    }

    fn append(&self, append: Append) -> EngineFuture<Result<Appended, PublishError>> {
        let mut log = self.log.lock();
        let epoch = log.epoch;
        let result = match (log.has_ended(&append.topic).cloned(), append.body) {
            (Some(_), AppendBody::Event(_)) => Err(PublishError::Finished(append.topic)),
            (Some(end), AppendBody::End(_)) => {
                Ok(Appended::Ended { epoch, sequence: end.sequence, reason: end.reason })
            }
            (None, body) => Ok(Appended::At { epoch, sequence: log.add(&append.topic, body) }),
        };
        drop(log);
        Box::pin(std::future::ready(result))
    }

    fn read(&self, read: Read) -> EngineFuture<Result<HistoryPage, HistoryError>> {
        let mut log = self.log.lock();
        log.reads += 1;
        let page = log.stored.page(&read, log.page);
        let is_read = |end: &&StoredEnd| {
            let named = read.ranges.iter().any(|range| range.name.matches(&end.topic));
            named && (read.after + 1..=page.up_to).contains(&end.sequence)
        };
        let ends = log.ends.iter().filter(is_read).cloned().collect();
        let result = if log.fails.0 { Err(HistoryError::new()) } else { Ok(page.with_ends(ends)) };
        drop(log);
        self.log.operation(Some(result))
    }

    fn follow(&self, names: Vec<Pattern>) -> EngineFuture<Result<Followed, HistoryError>> {
        let (log, number) = (self.log.clone(), self.number);
        let mut slow = log.lock().slow;
        let mut followed = None;
        Box::pin(std::future::poll_fn(move |cx| {
            let mut log = log.lock();
            if followed.is_none() && !log.connections[number].is_lost {
                let ends: Vec<_> = names.iter().filter_map(|name| log.has_ended(name.as_topic()?).cloned()).collect();
                followed = Some(Followed::new(log.head).with_ends(ends));
                log.connections[number].names.extend(names.iter().cloned());
            }
            drop(log);
            if followed.is_none() || slow > 0 {
                slow = slow.saturating_sub(1);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(followed.take().unwrap()))
        }))
    }

    fn unfollow(&self, names: &[Pattern]) {
        self.log.lock().connections[self.number].names.retain(|name| !names.contains(name));
    }

    fn run(&self, tail: Tail) -> EngineFuture<()> {
        self.log.lock().connections[self.number].tail = Some(tail);
        Box::pin(std::future::pending())
    }
}
