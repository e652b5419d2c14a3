use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::{Delivery, SubscribeOptions, SubscriptionEnd};
use crate::hub::followed::{Before, Followed};
use crate::hub::inbox::Inbox;
use crate::hub::joining::JoinedLogs;
use crate::hub::log::{Follower, Log};
use crate::hub::placing::Found;
use crate::hub::shared::Shared;
use crate::hub::waiters::Waiters;
use crate::model::{Gap, GapReason, Overflow, Pattern};

mod encoded;

/// A subscription of several topics, or of patterns, merged by sequence under the watermark.
///
/// A pattern is as a topic here: its [log](crate::hub::feed) has the events of all topics that match. No event is in
/// two of the logs: what one pattern covers, another does not, or is not here.
///
/// Each topic is in one of four places: unlooked-at (`marked`), with something to read (`heads`), armed (its log knows
/// our inbox), or over. The watermark is loaded before the inbox is taken, so an armed topic has nothing up to it, now or
/// later; what is later than the watermark stays in `heads` until all up to it is delivered and another is loaded. So
/// nothing is delivered out of order, and the cursor never runs ahead of what was delivered.
#[derive(Debug)]
pub(super) struct Merged {
    inbox: Arc<Inbox>,
    topics: Box<[Followed]>,
    marked: Vec<u32>,
    /// The sequence of what a topic has next, and its key.
    heads: BinaryHeap<Reverse<(u64, u32)>>,
    /// How many topics are over.
    over: usize,
    /// The watermark: what is up to it, and unread, is in `heads` or unlooked-at.
    seen: u64,
    pub(super) sequence: u64,
    ended: Option<SubscriptionEnd>,
}

/// Next item in the merged order. Its topic is out of `heads`: it goes back to `marked`, read or not.
enum Next {
    /// Events of one topic, up to and with the sequence.
    Events {
        key: u32,
        up_to: u64,
    },
    /// The gap that waits in a topic, with those after it up to the sequence.
    Gap {
        key: u32,
        up_to: u64,
    },
    End(SubscriptionEnd),
}

impl Merged {
    /// A subscription whose topics begin where they were placed, and its patterns with their replays, after `sequence`.
    pub(super) fn new(shared: &Shared, joined: JoinedLogs, sequence: u64, options: &SubscribeOptions) -> Self {
        let heads = joined.topics.iter().filter_map(|(_, placed)| placed.head);
        let earliest = heads.chain(joined.patterns.iter().filter_map(|(_, replay)| replay.earliest())).min();
        let topics = joined.topics.into_iter().map(|(reader, placed)| {
            let gap = placed.gap.map(|sequence| reader.log.gap(GapReason::Evicted, shared.cursor(sequence)));
            Followed::new(reader, options, gap.map(Before::Gap))
        });
        let patterns = joined.patterns.into_iter();
        let patterns = patterns.map(|(reader, replay)| Followed::new(reader, options, Some(Before::Replay(replay))));
        let topics: Box<[_]> = topics.chain(patterns).collect();
        Self {
            inbox: Arc::default(),
            marked: (0..topics.len() as u32).collect(),
            heads: BinaryHeap::with_capacity(topics.len()),
            topics,
            over: 0,
            seen: 0,
            sequence: earliest.map_or(sequence, |head| sequence.min(head - 1)),
            ended: None,
        }
    }

    /// Returns the topics and patterns of the subscription.
    pub(super) fn names(&self) -> impl Iterator<Item = &Pattern> {
        self.topics.iter().map(|followed| &followed.reader.log.name)
    }

    #[inline(never)]
    pub(super) fn poll_next(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            match std::task::ready!(self.poll_order(shared, cx)) {
                Next::Events { key, up_to } => {
                    self.marked.push(key);
                    let followed = &mut self.topics[key as usize];
                    let overflow = followed.overflow;
                    let (reader, up_to, end) = followed.reader(up_to);
                    let ahead = reader.ahead_before(end, shared, overflow);
                    if let Some(ahead) = ahead.and_then(|ahead| ahead.up_to(up_to)) {
                        let ahead = ahead.of_one_topic();
                        if !ahead.is_whole {
                            let Some((batch, taken)) = ahead.sieved_batch(shared, overflow) else {
                                continue;
                            };
                            self.sequence = taken.sequence;
                            let conflated = reader.take(&taken, batch.count(), shared);
                            return Poll::Ready(Delivery::Events(batch.with_conflated(conflated)));
                        }
                        let (batch, events, sequence) = (ahead.batch(), ahead.len(), ahead.last_sequence());
                        reader.advance(events);
                        self.sequence = sequence;
                        return Poll::Ready(Delivery::Events(batch));
                    }
                }
                Next::Gap { key, up_to } => {
                    if let Some(gap) = self.tell(shared, key, up_to) {
                        return Poll::Ready(Delivery::Gap(gap));
                    }
                }
                Next::End(end) => return Poll::Ready(Delivery::End(end)),
            }
        }
    }

    /// Returns the next item, or registers for it.
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

    /// Returns the next item; if there is none, the watermark up to which that is so.
    fn order(&mut self, shared: &Shared) -> Result<Next, u64> {
        let mut is_fresh = false;
        loop {
            while let Some(&key) = self.marked.last() {
                self.look(key, shared);
                // After the look, which asks the clock: that may panic.
                self.marked.pop();
            }
            if let Some(end) = self.ended {
                return Ok(Next::End(end));
            }
            self.seen = match self.heads.peek() {
                Some(&Reverse((head, key))) if head <= self.seen => return Ok(self.turn(key)),
                // In its log, but the watermark is not past it yet: its publisher is between the two.
                Some(_) if is_fresh => shared.settled(),
                None if is_fresh && self.over == self.topics.len() => {
                    self.ended = Some(SubscriptionEnd::Closed);
                    continue;
                }
                None if is_fresh => return Err(self.seen),
                _ => shared.published.load(),
            };
            is_fresh = true;
            self.take_marked(shared);
        }
    }

    /// Takes the keys of topics that may have something to read. After the watermark is loaded: each event up to it is
    /// found here.
    #[inline(always)]
    fn take_marked(&mut self, shared: &Shared) {
        if shared.budget.late_marks.is_on() {
            return self.take_late(shared);
        }
        self.inbox.take(&mut self.marked);
    }

    /// Takes the keys of topics whose followers are about to be marked, too.
    #[cold]
    #[inline(never)]
    fn take_late(&mut self, shared: &Shared) {
        let all = shared.budget.late_marks.current();
        let is_late =
            |log: &Arc<Log>| all.iter().any(|logs| logs.binary_search_by_key(&Arc::as_ptr(log), Arc::as_ptr).is_ok());
        self.inbox.take(&mut self.marked);
        let late = (0..).zip(&self.topics).filter(|(_, followed)| is_late(&followed.reader.log));
        self.marked.extend(late.map(|(key, _)| key));
    }

    /// Takes the topic that is first in `heads`.
    fn turn(&mut self, key: u32) -> Next {
        self.heads.pop();
        self.topics[key as usize].is_placed = false;
        let other = self.heads.peek().map_or(u64::MAX, |&Reverse((head, _))| head - 1);
        let up_to = other.min(self.seen);
        match self.topics[key as usize].is_at_gap() {
            true => Next::Gap { key, up_to },
            false => Next::Events { key, up_to },
        }
    }

    /// Looks at a topic that may have something to read: puts it into `heads`, or arms it, or finds it over.
    fn look(&mut self, key: u32, shared: &Shared) {
        let Followed { reader, ticket, is_placed, overflow, before } = &mut self.topics[key as usize];
        if *is_placed {
            // The mark came late.
            return;
        }
        let overflow = *overflow;
        loop {
            let head = match before.as_deref_mut() {
                None => reader.ahead(shared, overflow).map(|ahead| ahead.first_sequence()),
                Some(before) => match before.head(reader, shared, overflow) {
                    Ok(head) => head,
                    Err(end) => {
                        self.ended = Some(end);
                        return;
                    }
                },
            };
            if let Some(head) = head {
                self.heads.push(Reverse((head, key)));
                *is_placed = true;
                return;
            }
            let mut state = reader.log.state();
            reader.uncounted.count(&mut state);
            let found = state.find(reader.next, overflow);
            if matches!(found, Found::Nothing) {
                if state.closed {
                    self.over += 1;
                    *is_placed = true;
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
            if let Some(lost) = reader.follow(found, u64::MAX, shared) {
                if let Some(Before::Replay(replay)) = before.as_deref_mut() {
                    replay.catch_up(shared, &reader.log.name, self.sequence, &lost, overflow);
                    continue;
                }
                if overflow == Overflow::Disconnect {
                    self.ended = Some(SubscriptionEnd::TooSlow);
                    return;
                }
                *before = Some(Box::new(Before::Gap(lost.gap(shared, &reader.log))));
            }
        }
    }

    /// Takes the gap of a topic, to be told now.
    fn tell(&mut self, shared: &Shared, key: u32, up_to: u64) -> Option<Gap> {
        self.marked.push(key);
        let before = &mut self.topics[key as usize].before;
        let gap = match before.as_deref_mut()? {
            Before::Replay(replay) => replay.tell(shared, up_to)?,
            Before::Gap(gap) => {
                let gap = gap.clone();
                *before = None;
                gap
            }
        };
        shared.gaps.add(1);
        let after = shared.cursor(self.sequence);
        self.sequence = gap.cursor.sequence();
        Some(gap.after(after))
    }

    /// That of the topic where it is the least.
    pub(super) fn next_in(&self, now: u64) -> Duration {
        self.topics.iter().map(|followed| followed.reader.next_in(now)).min().unwrap_or(Duration::MAX)
    }

    pub(super) fn release(&mut self) {
        for Followed { reader, before, .. } in &mut self.topics {
            reader.release();
            if let Some(Before::Replay(replay)) = before.as_deref_mut() {
                replay.release();
            }
        }
    }

    /// Leaves every topic.
    pub(super) fn leave(&mut self, shared: &Shared) {
        // Dropped last: a payload or a waker may panic, and the rest must be left all the same.
        let _gone: Vec<_> = self.topics.iter_mut().map(|followed| followed.leave(shared)).collect();
        for Followed { before, .. } in &mut self.topics {
            if let Some(Before::Replay(replay)) = before.as_deref_mut() {
                replay.leave(shared);
            }
        }
    }
}
