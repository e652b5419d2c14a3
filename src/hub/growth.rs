use std::collections::{BTreeMap, VecDeque};
use std::mem::take;
use std::sync::Arc;

use crate::hub::budget::footprint;
use crate::hub::log::log::Log;
use crate::hub::log::segment::Segment;
use crate::hub::log::segment_sizing::SegmentSizing;
use crate::model::{self, Event, Retention};

/// Bytes that publishing events adds to the logs of their topics and of the patterns that match.
#[derive(Default)]
pub(crate) struct Growth {
    /// By the slots of the logs.
    topics: BTreeMap<u32, TopicGrowth>,
    pattern_logs: BTreeMap<u32, LogGrowth>,
}

struct TopicGrowth {
    grown: LogGrowth,
    /// Bytes of the state and of the events in it, if the topic is keyed. Events that they replace are not subtracted.
    state: usize,
    pattern_logs: Box<[Arc<Log>]>,
}

/// Growth of one log. Its retention evicts old events while new ones are added, so it may be less than the sum of their
/// bytes. Events that the log held before count as if they stayed.
struct LogGrowth {
    retention: Retention,
    sizing: SegmentSizing,
    /// Bytes of the topic, if it held no events. They stay when its first segment is evicted.
    topic: usize,
    /// Whether there are connected readers, which are behind from the first event on. Their live buffer does not count:
    /// it is evicted in favour of the batch.
    is_read: bool,
    /// Growth in segments that are sealed by now, oldest first.
    sealed: VecDeque<Part>,
    newest: Part,
    /// Sum of these.
    all: Part,
    /// Largest sum so far.
    most: usize,
}

/// Events that are added to one segment, or to several.
#[derive(Clone, Copy, Default)]
struct Part {
    events: usize,
    weight: usize,
    /// Bytes of the events, and of the segment if they begin it.
    bytes: usize,
}

impl Growth {
    /// Returns the growth by these events, of logs whose newest segments have the given `sizing`.
    pub(crate) fn of<'a>(
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)>,
        sizing: impl Fn(&Log) -> SegmentSizing,
    ) -> Self {
        let mut this = Self::default();
        for (log, event) in events {
            let topic = this.topics.entry(log.slot).or_insert_with(|| {
                let pattern_logs =
                    if log.pattern_logs() > 0 { log.state().pattern_logs.clone() } else { Box::default() };
                let begins = log.is_keyed() && log.state().keyed().is_none();
                let state = if begins { footprint::topic_with_state(&log.name) } else { 0 };
                TopicGrowth { grown: LogGrowth::new(log, sizing(log)), state, pattern_logs }
            });
            topic.grown.add(event, None);
            if log.is_keyed() {
                topic.state = topic.state.saturating_add(footprint::state(event));
            }
            for pattern_log in &topic.pattern_logs {
                this.pattern_logs
                    .entry(pattern_log.slot)
                    .or_insert_with(|| LogGrowth::new(pattern_log, sizing(pattern_log)))
                    .add(event, log.name.as_topic());
            }
        }
        this
    }

    /// Returns the bytes of all logs.
    pub(crate) fn bytes(&self) -> usize {
        let states = self.topics.values().fold(0_usize, |sum, topic| sum.saturating_add(topic.state));
        let topics = self.topics.values().map(|topic| &topic.grown);
        let logs = topics.chain(self.pattern_logs.values());
        logs.fold(states, |sum, grown| sum.saturating_add(grown.topic + grown.most))
    }
}

impl LogGrowth {
    fn new(log: &Log, sizing: SegmentSizing) -> Self {
        let state = log.state();
        let (is_read, retention, none) = (state.has_readers(), *state.retention, Part::default());
        drop(state);
        let topic = if sizing.is_none() { footprint::topic(&log.name) } else { 0 };
        Self { retention, sizing, topic, is_read, sealed: VecDeque::new(), newest: none, all: none, most: 0 }
    }

    /// Adds an event. `from` is its topic, in the log of a pattern.
    fn add(&mut self, event: &Event, from: Option<&model::Topic>) {
        let weight = event.weight();
        let mut part = Part { events: 1, weight, bytes: footprint::event(event, from) };
        if let Some(places) = self.sizing.take(weight, &self.retention) {
            part.bytes = part.bytes.saturating_add(Segment::footprint(places));
            if self.newest.events > 0 {
                self.sealed.push_back(take(&mut self.newest));
            }
        }
        self.newest = self.newest.and(part);
        self.all = self.all.and(part);
        self.most = self.most.max(self.all.bytes);
        self.sizing.is_behind |= self.is_read;
        while let Some(rest) = self.sealed.front().map(|oldest| self.all.without(oldest)) {
            if !rest.fills(&self.retention) {
                return;
            }
            self.sealed.pop_front();
            self.all = rest;
        }
    }
}

impl Part {
    fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            weight: self.weight.saturating_add(other.weight),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn without(self, other: &Self) -> Self {
        Self {
            events: self.events - other.events,
            weight: self.weight.saturating_sub(other.weight),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// Returns whether retention keeps nothing before these events.
    fn fills(&self, retention: &Retention) -> bool {
        self.events >= retention.count || self.weight > retention.bytes
    }
}
