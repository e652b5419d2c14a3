use std::sync::Arc;
use std::time::Duration;

use crate::contract::{PublishError, Receipt};
use crate::disk::commands::CommandQueue;
use crate::disk::reply::Replier;
use crate::disk::store::{DiskError, Record, Store};
use crate::hub::{LocalHub, Prepared};
use crate::model::{EndReason, Event, Topic, TopicEnd};
use crate::time::milliseconds_since_1970;

/// Maximum number of events that are written with one sync.
const GROUP: usize = 1_024;
/// Maximum size of these events, in bytes. One event may be larger.
const GROUP_BYTES: usize = 4 << 20;
/// Time after which an idle writer removes events that exceed their retention.
const IDLE: Duration = Duration::from_millis(500);
/// Number of writes after which a busy writer does so.
const TRIM_EVERY: u32 = 16;
/// Work of one such step, in rows.
const TRIM_WORK: usize = 2_048;

/// Command to the writer.
pub(super) enum Write {
    Publish {
        topic: Topic,
        event: Event,
        reply: Replier<Result<Receipt, PublishError>>,
    },
    Finish {
        topic: Topic,
        reason: EndReason,
        reply: Replier<Result<TopicEnd, PublishError>>,
    },
    /// The writer carries out the commands before this one, and ends.
    Close,
}

/// Event of a group.
struct Publish {
    topic: Topic,
    event: Event,
    reply: Replier<Result<Receipt, PublishError>>,
}

/// The thread that writes: to the store, and then to the hub in memory.
pub(super) struct DiskWriter {
    pub(super) hub: LocalHub,
    pub(super) store: Arc<Store>,
    pub(super) queue: CommandQueue<Write>,
    /// Number of writes since events were removed last.
    pub(super) writes: u32,
}

impl DiskWriter {
    /// Carries out commands until one of them is to close, or none follows.
    pub(super) fn run(mut self) {
        let mut has_more = true;
        loop {
            let time = if has_more { Duration::ZERO } else { IDLE };
            match self.queue.wait(time) {
                Ok(Some(first)) => {
                    if !self.take(first) {
                        return;
                    }
                    self.writes += 1;
                    if self.writes < TRIM_EVERY {
                        continue;
                    }
                }
                Ok(None) => {}
                Err(()) => return,
            }
            self.writes = 0;
            // The next write finds an error of the store, too.
            has_more = self.store.trim(milliseconds_since_1970(), TRIM_WORK).unwrap_or(false);
        }
    }

    /// Carries out a command, and those that are queued behind it and can be written with it. Returns `false` at the end.
    fn take(&mut self, first: Write) -> bool {
        let (mut group, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(command) = next {
            match command {
                Write::Publish { topic, event, reply } => {
                    bytes += event.weight();
                    group.push(Publish { topic, event, reply });
                    let is_full = group.len() == GROUP || bytes >= GROUP_BYTES;
                    next = if is_full { None } else { self.queue.next() };
                }
                Write::Finish { topic, reason, reply } => {
                    self.publish(std::mem::take(&mut group));
                    reply.send(self.finish(topic, reason));
                    return true;
                }
                Write::Close => {
                    self.publish(group);
                    return false;
                }
            }
        }
        self.publish(group);
        true
    }

    /// Publishes events that are written together, without those that the hub refuses.
    fn publish(&self, group: Vec<Publish>) {
        let events = group.iter().map(|publish| (publish.topic.clone(), publish.event.clone())).collect();
        match self.hub.prepare(events) {
            Ok(prepared) => self.write(prepared, group),
            Err(error) if group.len() == 1 => {
                group.into_iter().for_each(|publish| publish.reply.send(Err(error.clone())))
            }
            // A refused event costs the others no sync of their own: they stay together, in their order.
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

    /// Returns an event that the hub accepts by itself. Refuses another one.
    fn accepted(&self, publish: Publish) -> Option<Publish> {
        match self.hub.prepare(vec![(publish.topic.clone(), publish.event.clone())]) {
            Ok(prepared) => {
                prepared.refuse();
                Some(publish)
            }
            Err(error) => {
                publish.reply.send(Err(error));
                None
            }
        }
    }

    fn write(&self, prepared: Prepared<'_>, group: Vec<Publish>) {
        let at = milliseconds_since_1970();
        let sequences = self.hub.cursor().sequence() + 1..;
        let records = sequences.zip(&group).map(|(sequence, Publish { topic, event, .. })| Record::Event {
            sequence,
            topic: topic.clone(),
            at,
            event: event.clone(),
        });
        let records: Vec<_> = records.collect();
        if let Err(error) = self.store.write(&records) {
            prepared.refuse();
            let error = unavailable(&error);
            return group.into_iter().for_each(|publish| publish.reply.send(Err(error.clone())));
        }
        match prepared.publish() {
            Ok(receipts) => {
                group.into_iter().zip(receipts).for_each(|(publish, receipt)| publish.reply.send(Ok(receipt)))
            }
            // The hub was closed meanwhile. The events are in the history.
            Err(_) => group.into_iter().for_each(|publish| publish.reply.send(Ok(Receipt::new(None, 0)))),
        }
    }

    fn finish(&self, topic: Topic, reason: EndReason) -> Result<TopicEnd, PublishError> {
        if !self.hub.has_ended(&topic) {
            let (sequence, at) = (self.hub.cursor().sequence() + 1, milliseconds_since_1970());
            let end = Record::End { sequence, topic: topic.clone(), at, reason };
            self.store.write(&[end]).map_err(|error| unavailable(&error))?;
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
