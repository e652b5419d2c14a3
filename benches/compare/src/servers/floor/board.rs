//! Topics: subscribers and messages.

use std::collections::{HashMap, VecDeque};

use super::conn::{Role, Topics};
use super::encode::Wire;

/// Number of messages of each topic that a resumed poll can get.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Board {
    by_name: HashMap<Box<str>, u32>,
    pub(super) topics: Vec<Topic>,
    /// Number of the last message of all topics.
    pub(super) last: u64,
    /// Number of the last delivered message.
    pub(super) delivered: u64,
    /// Topics with undelivered messages, each once.
    pub(super) fresh: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Box<str>,
    history: VecDeque<Message>,
    /// Connections, by transport.
    pub(super) listeners: [Vec<u32>; 4],
}

#[derive(Debug)]
pub(super) struct Message {
    /// Number among all messages.
    pub(super) id: u64,
    pub(super) data: Box<str>,
}

impl Board {
    /// Returns the number of the topic of this name, which may be new.
    pub(super) fn named(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.topics.len() as u32;
        self.by_name.insert(name.into(), number);
        self.topics.push(Topic { name: name.into(), history: VecDeque::new(), listeners: Default::default() });
        number
    }

    /// Publishes a message. Returns the number of its connections.
    pub(super) fn publish(&mut self, topic: &str, data: &str) -> usize {
        let number = self.named(topic);
        let topic = &mut self.topics[number as usize];
        if topic.history.back().is_none_or(|message| message.id <= self.delivered) {
            self.fresh.push(number);
        }
        self.last += 1;
        topic.history.push_back(Message { id: self.last, data: data.into() });
        topic.listeners.iter().map(Vec::len).sum()
    }

    /// Marks all messages as delivered.
    pub(super) fn settle(&mut self) {
        for number in self.fresh.drain(..) {
            let history = &mut self.topics[number as usize].history;
            let old = history.len().saturating_sub(KEPT);
            drop(history.drain(..old));
        }
        self.delivered = self.last;
    }

    /// Returns the messages in these topics after this one, in order.
    pub(super) fn since(&self, topics: &Topics, cursor: u64) -> Vec<(&str, &Message)> {
        let topics = topics.as_slice().iter().map(|&topic| &self.topics[topic as usize]);
        let mut said: Vec<_> = topics.flat_map(|topic| topic.since(cursor)).collect();
        said.sort_unstable_by_key(|(_, message)| message.id);
        said
    }

    pub(super) fn join(&mut self, index: usize, wire: Wire, topics: &Topics) {
        for &topic in topics.as_slice() {
            self.topics[topic as usize].listeners[wire as usize].push(index as u32);
        }
    }

    pub(super) fn leave(&mut self, index: usize, role: &Role) {
        let Role::Listening { wire, topics, .. } = role else { return };
        for &topic in topics.as_slice() {
            let listeners = &mut self.topics[topic as usize].listeners[*wire as usize];
            if let Some(place) = listeners.iter().position(|&listener| listener as usize == index) {
                listeners.swap_remove(place);
            }
        }
    }
}

impl Topic {
    /// Returns the messages after this one, with the topic's name.
    pub(super) fn since(&self, cursor: u64) -> impl Iterator<Item = (&str, &Message)> {
        let first = self.history.partition_point(|message| message.id <= cursor);
        self.history.range(first..).map(|message| (&*self.name, message))
    }
}
