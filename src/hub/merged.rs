use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;

use crate::contract::{Delivery, Encoded, Encoding, End, Format};
use crate::hub::inbox::Inbox;
use crate::hub::log::{Follower, Found, Placed};
use crate::hub::reader::Reader;
use crate::hub::shared::Shared;
use crate::hub::waiters::{Ticket, Waiters};
use crate::model::{Gap, GapReason, Overflow};

/// A subscription of several topics, merged by sequence under the watermark.
///
/// Each topic is in one of four places: unlooked-at (`marked`), with something to read (`heads`), armed (its log knows
/// our inbox), or over. The watermark is loaded before the inbox is taken, so an armed topic has nothing up to it; what
/// is later than the watermark stays in `heads` until a later watermark. So nothing is delivered out of order, and the
/// cursor never runs ahead of what was delivered.
#[derive(Debug)]
pub(super) struct Merged {
    inbox: Arc<Inbox>,
    topics: Box<[Followed]>,
    marked: Vec<u32>,
    /// The sequence of what a topic has next, and its key.
    heads: BinaryHeap<Reverse<(u64, u32)>>,
    /// How many topics are over.
    over: usize,
    pub(super) sequence: u64,
    overflow: Overflow,
    ended: Option<End>,
}

#[derive(Debug)]
struct Followed {
    reader: Reader,
    ticket: Ticket,
    /// What is gone and must be told, in its place.
    gap: Option<Box<Gap>>,
}

/// What comes next in the merged order. Its topic is out of `heads`: it goes back to `marked`, read or not.
enum Next {
    /// Events of one topic, up to and with the sequence.
    Events {
        key: u32,
        up_to: u64,
    },
    /// The gap that waits in a topic.
    Gap {
        key: u32,
    },
    End(End),
}

impl Merged {
    /// A subscription whose topics begin where they were placed, after `sequence`.
    pub(super) fn new(shared: &Shared, placed: Vec<(Reader, Placed)>, sequence: u64, overflow: Overflow) -> Self {
        let earliest = placed.iter().filter_map(|(_, placed)| placed.head).min();
        let topics: Box<[_]> = placed
            .into_iter()
            .map(|(reader, placed)| {
                let gap = placed.gap.map(|evicted| {
                    Box::new(Gap::new(GapReason::Evicted, shared.cursor(evicted)).topic(reader.log.topic.clone()))
                });
                Followed { reader, ticket: Ticket::NONE, gap }
            })
            .collect();
        Self {
            inbox: Arc::default(),
            marked: (0..topics.len() as u32).collect(),
            heads: BinaryHeap::with_capacity(topics.len()),
            topics,
            over: 0,
            sequence: earliest.map_or(sequence, |head| sequence.min(head - 1)),
            overflow,
            ended: None,
        }
    }

    pub(super) fn poll_next(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            match std::task::ready!(self.poll_order(shared, cx)) {
                Next::Events { key, up_to } => {
                    self.marked.push(key);
                    let reader = &mut self.topics[key as usize].reader;
                    if let Some(ahead) = reader.ahead(shared, self.overflow).and_then(|ahead| ahead.up_to(up_to)) {
                        if !ahead.is_whole {
                            let Some((batch, taken)) = ahead.sieved_batch(shared, self.overflow) else {
                                continue;
                            };
                            self.sequence = taken.sequence;
                            let conflated = reader.take(&taken, batch.count(), shared);
                            return Poll::Ready(Delivery::Events(batch.with_conflated(conflated)));
                        }
                        let (batch, events, sequence) = (ahead.batch(), ahead.len(), ahead.last_sequence());
                        reader.log.tally.delivered.add(u64::from(events));
                        reader.advance(events);
                        self.sequence = sequence;
                        return Poll::Ready(Delivery::Events(batch));
                    }
                }
                Next::Gap { key } => {
                    if let Some(gap) = self.tell(key, shared) {
                        return Poll::Ready(Delivery::Gap(gap));
                    }
                }
                Next::End(end) => return Poll::Ready(Delivery::End(end)),
            }
        }
    }

    pub(super) fn poll_encoded(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Encoded> {
        let (mut joined, mut count, mut conflated) = (BytesMut::new(), 0, 0);
        loop {
            let next = match joined.is_empty() {
                true => std::task::ready!(self.poll_order(shared, cx)),
                false => match self.order(shared) {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            match next {
                Next::Events { key, up_to } => {
                    self.marked.push(key);
                    let reader = &mut self.topics[key as usize].reader;
                    let ahead = reader.ahead(shared, self.overflow).and_then(|ahead| ahead.up_to(up_to));
                    let Some(ahead) = ahead else {
                        continue;
                    };
                    let room = max.saturating_sub(joined.len());
                    if !ahead.is_whole {
                        let Some((encoding, taken)) = ahead.sieved_encode(shared, self.overflow, format, room) else {
                            continue;
                        };
                        if encoding.bytes.len() > room && !joined.is_empty() {
                            break;
                        }
                        self.sequence = taken.sequence;
                        conflated = reader.take(&taken, encoding.events, shared).saturating_add(conflated);
                        joined.extend_from_slice(&encoding.bytes);
                        count += encoding.events;
                        continue;
                    }
                    let (bytes, events, sequence) = ahead.encode(format, room, shared);
                    if bytes.len() > room && !joined.is_empty() {
                        break;
                    }
                    reader.log.tally.delivered.add(u64::from(events));
                    reader.advance(events);
                    self.sequence = sequence;
                    if joined.is_empty() && self.heads.is_empty() {
                        // One topic alone has something to say: its shared bytes go out as they are.
                        return Poll::Ready(Encoded::Events(Encoding::new(bytes, events)));
                    }
                    joined.extend_from_slice(&bytes);
                    count += events;
                }
                Next::Gap { key } if joined.is_empty() => {
                    if let Some(gap) = self.tell(key, shared) {
                        return Poll::Ready(Encoded::Gap(gap));
                    }
                }
                Next::Gap { key } => {
                    self.marked.push(key);
                    break;
                }
                Next::End(end) if joined.is_empty() => return Poll::Ready(Encoded::End(end)),
                Next::End(_) => break,
            }
        }
        Poll::Ready(Encoded::Events(Encoding::new(joined.freeze(), count).conflated(conflated)))
    }

    /// What comes next, or registers for it.
    fn poll_order(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            match self.order(shared) {
                Ok(next) => return Poll::Ready(next),
                Err(published) => {
                    if self.inbox.park(cx.waker().clone()) {
                        self.sequence = self.sequence.max(published);
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// What comes next; if nothing, the watermark up to which that is so.
    fn order(&mut self, shared: &Shared) -> Result<Next, u64> {
        let mut published = shared.published.load();
        loop {
            self.inbox.take(&mut self.marked);
            while let Some(key) = self.marked.pop() {
                self.look(key, shared);
            }
            if let Some(end) = self.ended {
                return Ok(Next::End(end));
            }
            let Some(&Reverse((head, key))) = self.heads.peek() else {
                if self.over == self.topics.len() {
                    self.ended = Some(End::Closed);
                    return Ok(Next::End(End::Closed));
                }
                return Err(published);
            };
            if head > published {
                // In its log, but the watermark is not past it yet: its publisher is between the two.
                published = shared.settled();
                continue;
            }
            self.heads.pop();
            if self.topics[key as usize].gap.is_some() {
                return Ok(Next::Gap { key });
            }
            let other = self.heads.peek().map_or(u64::MAX, |&Reverse((head, _))| head - 1);
            return Ok(Next::Events { key, up_to: other.min(published) });
        }
    }

    /// Looks at a topic that may have something to read: puts it into `heads`, or arms it, or finds it over.
    fn look(&mut self, key: u32, shared: &Shared) {
        let Followed { reader, ticket, gap } = &mut self.topics[key as usize];
        loop {
            let head = match gap {
                Some(gap) => Some(gap.cursor.position().sequence),
                None => reader.ahead(shared, self.overflow).map(|ahead| ahead.first_sequence()),
            };
            if let Some(head) = head {
                self.heads.push(Reverse((head, key)));
                return;
            }
            let mut state = reader.log.state();
            let found = state.find(reader.next);
            if matches!(found, Found::Nothing) {
                if state.closed {
                    self.over += 1;
                    return;
                }
                let follower = Follower { inbox: Arc::clone(&self.inbox), key };
                let followers = state.followers.get_or_insert_with(|| Box::new(Waiters::new()));
                let replaced = followers.register(ticket, follower);
                drop(state);
                drop(replaced);
                return;
            }
            drop(state);
            if let Some(lost) = reader.follow(found, shared) {
                if self.overflow == Overflow::Disconnect {
                    self.ended = Some(End::TooSlow);
                    return;
                }
                *gap = Some(Box::new(lost.gap(shared, &reader.log.topic)));
            }
        }
    }

    /// Takes the gap of a topic, to be told now.
    fn tell(&mut self, key: u32, shared: &Shared) -> Option<Gap> {
        self.marked.push(key);
        let gap = *self.topics[key as usize].gap.take()?;
        shared.gaps.add(1);
        let after = shared.cursor(self.sequence);
        self.sequence = gap.cursor.position().sequence;
        Some(gap.after(after))
    }

    /// That of the topic where it is the least.
    pub(super) fn next_in(&self, now: u64) -> Duration {
        self.topics.iter().map(|followed| followed.reader.next_in(now)).min().unwrap_or(Duration::MAX)
    }

    pub(super) fn detach(&mut self) {
        self.topics.iter_mut().for_each(|followed| followed.reader.detach());
    }

    /// Leaves every topic.
    pub(super) fn leave(&mut self, shared: &Shared) {
        for Followed { reader, ticket, .. } in &mut self.topics {
            shared.leave(&reader.log, |state| state.followers.as_mut().and_then(|slab| slab.cancel(ticket)));
        }
    }
}
