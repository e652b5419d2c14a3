//! Topics: a broadcast channel and a short history each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use futures_util::future::{Either, ready};
use futures_util::stream::{Stream, StreamExt, select_all};
use serde::Serialize;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// Number of messages by which a subscriber may be behind, and that a resumed poll can get.
const KEPT: usize = 1024;

/// A message, formatted once.
#[derive(Debug)]
pub(super) struct Message {
    /// Number among all messages of the hub.
    pub(super) id: u64,
    /// The payload.
    pub(super) data: Utf8Bytes,
    /// The event object and a line feed.
    pub(super) line: Utf8Bytes,
}

/// All topics, under one lock, so that numbers are in the order of delivery.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<Topics>);

#[derive(Debug, Default)]
struct Topics {
    last: u64,
    by_name: HashMap<String, Topic>,
}

#[derive(Debug)]
struct Topic {
    sender: broadcast::Sender<Arc<Message>>,
    history: VecDeque<Arc<Message>>,
}

#[derive(Serialize)]
struct Object<'a> {
    id: String,
    topic: &'a str,
    data: &'a str,
}

impl Hub {
    /// Publishes a message. Returns its number and the number of its subscribers.
    pub(super) fn publish(&self, topic: &str, data: &str) -> (u64, usize) {
        let mut topics = self.lock();
        topics.last += 1;
        let id = topics.last;
        // Serialisation of an object of three strings does not fail.
        let line = serde_json::to_string(&Object { id: id.to_string(), topic, data }).unwrap_or_default() + "\n";
        let message = Arc::new(Message { id, data: data.into(), line: line.into() });
        let topic = topics.named(topic);
        if topic.history.len() == KEPT {
            topic.history.pop_front();
        }
        topic.history.push_back(message.clone());
        (id, topic.sender.send(message).unwrap_or(0))
    }

    /// Returns the messages to these topics from now on. A stream that falls behind misses messages, as usual for a
    /// broadcast
    /// channel.
    pub(super) fn follow(&self, topics: &[&str]) -> impl Stream<Item = Arc<Message>> + Send + Unpin + use<> {
        let mut held = self.lock();
        let mut follow = |topic: &&str| BroadcastStream::new(held.named(topic).sender.subscribe());
        let streams = match topics {
            [topic] => Either::Left(follow(topic)),
            _ => Either::Right(select_all(topics.iter().map(follow))),
        };
        streams.filter_map(|received| ready(received.ok()))
    }

    /// Returns the number of the last message.
    pub(super) fn last(&self) -> u64 {
        self.lock().last
    }

    /// Returns the messages to these topics after that number, in order, and the number of the last message of all.
    pub(super) fn since(&self, topics: &[&str], cursor: u64) -> (u64, Vec<Arc<Message>>) {
        let mut held = self.lock();
        let mut messages = Vec::new();
        for topic in topics {
            let history = &held.named(topic).history;
            messages.extend(history.range(history.partition_point(|message| message.id <= cursor)..).cloned());
        }
        messages.sort_unstable_by_key(|message| message.id);
        (held.last, messages)
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topics {
    fn named(&mut self, name: &str) -> &mut Topic {
        self.by_name
            .entry(name.to_owned())
            .or_insert_with(|| Topic { sender: broadcast::Sender::new(KEPT), history: VecDeque::new() })
    }
}
