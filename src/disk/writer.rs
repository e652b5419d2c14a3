use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::contract::{PublishError, Receipt};
use crate::disk::commands::{CommandQueue, Weighted};
use crate::disk::reply::Replier;
use crate::disk::stats::Failures;
use crate::disk::store::{DiskError, Record, Store};
use crate::hub::{LocalHub, Prepared};
use crate::model::{Cursor, EndReason, Event, Topic, TopicEnd};
use crate::time::{Clock, StdClock, milliseconds_since_1970};

/// Maximum number of events that are written with one sync.
const GROUP: usize = 1_024;
/// Maximum size of these events, in bytes. One event may be larger.
const GROUP_BYTES: usize = 4 << 20;
/// Time after which an idle writer removes events that exceed their retention.
const IDLE: Duration = Duration::from_millis(500);
/// Writes, events and bytes after which a busy writer does so, in the topics that were written.
const TRIM_EVERY: Written = Written { writes: 64, events: 8_192, bytes: 8 << 20 };
/// Time after which a busy writer does so in all topics.
const ROUND: Duration = Duration::from_millis(500);
/// Work of one such step, in events, beside two for each event that was written.
const TRIM_WORK: usize = 2_048;
/// Time after which an idle writer removes events from memory that exceed their retention.
const SWEEP: Duration = Duration::from_secs(60);
/// Step of the wait for the rest of a group.
const GROUP_WAIT: Duration = Duration::from_micros(20);
/// Longest wait for the rest of a group.
const LONGEST_GROUP_WAIT: Duration = Duration::from_millis(1);

/// Command to the writer.
pub(super) enum Write {
    Publish(Publish),
    Finish {
        topic: Topic,
        reason: EndReason,
        reply: Replier<Result<TopicEnd, PublishError>>,
    },
    /// The history of the topic is dropped.
    Drop(Topic),
    /// The writer carries out the commands before this one, and ends.
    Close,
}

/// Events of one call. All are published, or none.
pub(super) enum Publish {
    One { event: (Topic, Event), reply: Replier<Result<Receipt, PublishError>> },
    Batch { events: Vec<(Topic, Event)>, reply: Replier<Result<Vec<Receipt>, PublishError>> },
}

impl Publish {
    fn events(&self) -> &[(Topic, Event)] {
        match self {
            Self::One { event, .. } => slice::from_ref(event),
            Self::Batch { events, .. } => events,
        }
    }

    fn bytes(&self) -> usize {
        self.events().iter().map(|(_, event)| event.weight()).sum()
    }

    /// Answers with the next receipts, one for each event.
    fn accept(self, receipts: &mut impl Iterator<Item = Receipt>) {
        match self {
            Self::One { reply, .. } => reply.send(receipts.next().ok_or(PublishError::Closed)),
            Self::Batch { events, reply } => reply.send(Ok(receipts.take(events.len()).collect())),
        }
    }

    fn refuse(self, error: PublishError) {
        match self {
            Self::One { reply, .. } => reply.send(Err(error)),
            Self::Batch { reply, .. } => reply.send(Err(error)),
        }
    }
}

impl Weighted for Write {
    fn weight(&self) -> usize {
        match self {
            Self::Publish(publish) => publish.bytes(),
            Self::Finish { .. } | Self::Drop(_) | Self::Close => 0,
        }
    }
}

/// The thread that writes: to the store, and then to the hub in memory.
pub(super) struct DiskWriter {
    pub(super) hub: LocalHub,
    pub(super) store: Arc<Store>,
    pub(super) queue: CommandQueue<Write>,
    failures: Arc<Failures>,
    /// Topics whose history is to be dropped, each up to a sequence.
    dropped: Vec<(Topic, u64)>,
    /// Amount that was written since events were removed last.
    written: Written,
    /// Size of the last group.
    last_group: usize,
    /// Time that the last write took.
    last_write: Duration,
}

/// Amount of writes.
#[derive(Debug, Default)]
struct Written {
    writes: u32,
    events: usize,
    bytes: usize,
}

impl Written {
    fn reaches(&self, limit: &Self) -> bool {
        self.writes >= limit.writes || self.events >= limit.events || self.bytes >= limit.bytes
    }
}

impl DiskWriter {
    pub(super) fn new(hub: LocalHub, store: Arc<Store>, queue: CommandQueue<Write>, failures: Arc<Failures>) -> Self {
        let (dropped, written) = (Vec::new(), Written::default());
        Self { hub, store, queue, failures, dropped, written, last_group: 1, last_write: Duration::ZERO }
    }

    /// Carries out commands until one of them is to close, or none follows.
    pub(super) fn run(mut self) {
        let (mut has_more, mut round, mut swept) = (true, StdClock.now(), StdClock.now());
        loop {
            let mut is_round = true;
            match self.queue.wait(if has_more { Duration::ZERO } else { IDLE }) {
                Ok(Some(first)) => {
                    if !self.take_catching(first) {
                        return;
                    }
                    if !self.written.reaches(&TRIM_EVERY) {
                        continue;
                    }
                    is_round = StdClock.now() - round >= ROUND;
                }
                Ok(None) => {
                    if StdClock.now() - swept >= SWEEP {
                        self.hub.sweep();
                        swept = StdClock.now();
                    }
                }
                Err(()) => return,
            }
            let work = TRIM_WORK + 2 * std::mem::take(&mut self.written).events;
            let now = milliseconds_since_1970();
            if is_round && !self.dropped.is_empty() {
                self.drop_topics();
            }
            // The next write finds an error of the store, too.
            let trimmed = if is_round { self.store.trim(now, work) } else { self.store.trim_written(now, work) };
            has_more = self.failures.note(false, trimmed).unwrap_or(false);
            if is_round && !has_more {
                round = StdClock.now();
            }
        }
    }

    /// Carries out a command as [`take`](Self::take) does. Returns `false` after a panic that has left the store and the hub in
    /// memory at different sequences: the hub is closed then.
    fn take_catching(&mut self, first: Write) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.take(first))).unwrap_or_else(|_| {
            let is_consistent = self.is_consistent();
            if !is_consistent {
                self.hub.close();
            }
            is_consistent
        })
    }

    /// Carries out a command, and those that are queued behind it and can be written with it. Returns `false` at the end.
    fn take(&mut self, first: Write) -> bool {
        let (mut group, mut size, mut next) = (Vec::new(), Written::default(), Some(first));
        let mut until = None;
        while let Some(command) = next {
            match command {
                Write::Publish(publish) => {
                    size.events += publish.events().len();
                    size.bytes += publish.bytes();
                    group.push(publish);
                    let is_full = size.events >= GROUP || size.bytes >= GROUP_BYTES;
                    next = if is_full { None } else { self.next(group.len(), &mut until) };
                }
                Write::Finish { topic, reason, reply } => {
                    self.publish_group(group, &size);
                    reply.send(self.finish(topic, reason));
                    return true;
                }
                Write::Drop(topic) => {
                    self.publish_group(group, &size);
                    self.dropped.push((topic, self.hub.cursor().sequence()));
                    self.drop_topics();
                    return true;
                }
                Write::Close => {
                    self.publish_group(group, &size);
                    return false;
                }
            }
        }
        self.publish_group(group, &size);
        true
    }

    /// Returns the next command of a group. Publishers that wait for each publish return shortly after the last group was
    /// written: it waits for as many of them, at most for half the time of a write.
    fn next(&self, group: usize, until: &mut Option<Instant>) -> Option<Write> {
        loop {
            let next = self.queue.next();
            if next.is_some() || group >= self.last_group {
                return next;
            }
            let now = StdClock.now();
            let wait = (self.last_write / 2).min(LONGEST_GROUP_WAIT);
            if now >= *until.get_or_insert(now + wait) {
                return None;
            }
            thread::park_timeout(GROUP_WAIT);
        }
    }

    fn publish_group(&mut self, group: Vec<Publish>, size: &Written) {
        if group.is_empty() {
            return;
        }
        self.written.writes += 1;
        self.written.events += size.events;
        self.written.bytes += size.bytes;
        self.last_group = group.len();
        let start = StdClock.now();
        self.publish(group);
        self.last_write = StdClock.now() - start;
    }

    /// Publishes events that are written together, without those of calls that the hub refuses.
    fn publish(&self, group: Vec<Publish>) {
        let events = group.iter().flat_map(Publish::events).cloned().collect();
        match self.hub.prepare(events) {
            Ok(prepared) => self.write(prepared, group),
            Err(error) if group.len() == 1 => group.into_iter().for_each(|publish| publish.refuse(error.clone())),
            // A refused call costs the others no sync of their own: they stay together, in their order.
            Err(_) => {
                let count = group.len();
                let mut accepted: Vec<_> = group.into_iter().filter_map(|publish| self.accepted(publish)).collect();
                if accepted.len() == count {
                    let rest = accepted.split_off(count / 2);
                    self.publish(accepted);
                    accepted = rest;
                }
                if !accepted.is_empty() {
                    self.publish(accepted);
                }
            }
        }
    }

    /// Returns the events of a call that the hub accepts by themselves. Refuses others.
    fn accepted(&self, publish: Publish) -> Option<Publish> {
        match self.hub.prepare(publish.events().to_vec()) {
            Ok(prepared) => {
                prepared.refuse();
                Some(publish)
            }
            Err(error) => {
                publish.refuse(error);
                None
            }
        }
    }

    fn write(&self, prepared: Prepared<'_>, group: Vec<Publish>) {
        match self.store_prepared(prepared, group.iter().flat_map(Publish::events)) {
            Ok(receipts) => {
                let mut receipts = receipts.into_iter();
                group.into_iter().for_each(|publish| publish.accept(&mut receipts));
            }
            Err(error) => group.into_iter().for_each(|publish| publish.refuse(error.clone())),
        }
    }

    /// Stores events, and then publishes them.
    fn store_prepared<'a>(
        &self,
        prepared: Prepared<'_>,
        events: impl Iterator<Item = &'a (Topic, Event)>,
    ) -> Result<Vec<Receipt>, PublishError> {
        let (at, last) = (milliseconds_since_1970(), self.hub.cursor());
        let records = (last.sequence() + 1..).zip(events).map(|(sequence, (topic, event))| Record::Event {
            sequence,
            topic: topic.clone(),
            at,
            event: event.clone(),
        });
        let records: Vec<_> = records.collect();
        if let Err(error) = self.failures.note(true, self.store.write(&records)) {
            prepared.refuse();
            return Err(unavailable(&error));
        }
        // The events are in the history also if the hub was closed meanwhile, or if the waker of a subscriber panics.
        let published = catch_unwind(AssertUnwindSafe(|| prepared.publish()));
        let cursors = records.iter().map(|record| Cursor::new(last.epoch(), record.sequence()));
        match published {
            Ok(Ok(receipts)) => Ok(receipts),
            Err(_) if !self.is_consistent() => {
                self.hub.close();
                Err(PublishError::OutcomeUnknown("the hub panicked and is closed; open it again".into()))
            }
            Ok(Err(_)) | Err(_) => Ok(cursors.map(|cursor| Receipt::new(cursor, 0)).collect()),
        }
    }

    /// Returns whether the store and the hub in memory have the same last sequence.
    fn is_consistent(&self) -> bool {
        self.store.head() == self.hub.cursor().sequence()
    }

    /// Drops the histories of topics. What the disk refuses is dropped with the next one, or in the next round.
    fn drop_topics(&mut self) {
        let Self { store, failures, dropped, .. } = self;
        let mut is_refused = false;
        dropped.retain(|(topic, up_to)| {
            // The disk would refuse the others, too, each after the database is opened again.
            if !is_refused {
                is_refused = match failures.note(false, store.drop_topic(topic, *up_to)) {
                    // A row that is damaged stays so.
                    Ok(()) | Err(DiskError::Damaged { .. } | DiskError::Closed) => return false,
                    Err(_) => true,
                };
            }
            true
        });
    }

    fn finish(&self, topic: Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        if !self.hub.has_ended(&topic) {
            let (sequence, at) = (self.hub.cursor().sequence() + 1, milliseconds_since_1970());
            let end = Record::End { sequence, topic: topic.clone(), at, reason };
            self.failures.note(true, self.store.write(&[end])).map_err(|error| unavailable(&error))?;
        }
        self.hub.finish(topic, reason)
    }
}

fn unavailable(error: &DiskError) -> PublishError {
    match error {
        DiskError::Closed => PublishError::Closed,
        error => PublishError::Unavailable(error.to_string().into()),
    }
}
