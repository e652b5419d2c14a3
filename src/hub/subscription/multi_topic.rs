use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::{EndState, SubscribeOptions, SubscriptionEnd};
use crate::hub::log::end_mark::EndMark;
use crate::hub::log::log::Follower;
use crate::hub::log::seek::Found;
use crate::hub::shared::Shared;
use crate::hub::subscription::followed::{Beside, FollowedLog};
use crate::hub::subscription::joining::JoinedLogs;
use crate::hub::subscription::output::{Output, poll_later};
use crate::hub::subscription::state_position::{evicted_gap, state_gap};
use crate::hub::wake::inbox::Inbox;
use crate::hub::wake::waiters::Waiters;
use crate::model::{Cursor, GapReason, Overflow, Pattern, TopicEnd};

/// Subscription of several topics, or of patterns, merged by sequence up to the watermark.
///
/// A pattern is treated as a topic: its [log](crate::hub::log::pattern_log) has the events of all topics that match. No
/// event is in two of the logs, since names that another pattern covers are left out.
///
/// Each topic is in one of four states: to be looked at (`marked`), with events to read (`heads`), registered (its log
/// holds the inbox), or over. The watermark is loaded before the inbox is taken, so a registered topic has no unread
/// event up to the watermark, now or later. An event after the watermark stays in `heads` until all events up to it are
/// delivered and another watermark is loaded. Nothing is therefore delivered out of order, and the cursor is never
/// ahead of the delivered events.
#[derive(Debug)]
pub(crate) struct MultiTopic {
    inbox: Arc<Inbox>,
    pub(super) topics: Box<[FollowedLog]>,
    pub(super) marked: Vec<u32>,
    /// Sequence of the next delivery of a topic, and its key.
    pub(super) heads: BinaryHeap<Reverse<(u64, u32)>>,
    /// Number of topics that are over: they have ended, or the hub is closed.
    over: usize,
    /// Number of topics whose ends were delivered, or lie before the start.
    finished: usize,
    /// Whether the subscription began without a cursor, and with a state to deliver.
    pub(super) begins_with_state: bool,
    /// Whether a state may be delivered in part.
    pub(super) fills: bool,
    /// Sequence up to which the client needs no removal of any topic, by the tag of its cursor.
    pub(super) base: u64,
    /// Position at which the subscription began, or the sequence before its first event.
    pub(super) began: u64,
    /// Watermark. Unread events up to it are in `heads`, or in topics that are to be looked at.
    seen: u64,
    pub(crate) sequence: u64,
    ended: Option<SubscriptionEnd>,
}

/// Next delivery in the merged order. Its topic is taken out of `heads`; the caller puts it into `marked`.
enum NextRead {
    /// Events of one topic, up to the sequence.
    Events {
        key: u32,
        up_to: u64,
    },
    /// End of a topic, or a gap, with those that follow it up to the sequence.
    BetweenEvents {
        key: u32,
        up_to: u64,
    },
    End(SubscriptionEnd),
}

impl MultiTopic {
    /// Returns a subscription of these topics from their positions on, and of these patterns with their backfills,
    /// after `sequence`.
    pub(crate) fn new(shared: &Shared, joined: JoinedLogs, sequence: u64, options: &SubscribeOptions) -> Self {
        let (fills, earliest) = (joined.is_in_fill(), joined.earliest());
        let began = earliest.map_or(sequence, |head| sequence.min(head - 1));
        let (end, finished) = (joined.first_end(), joined.finished());
        let topics = joined.topics.into_iter().map(|(reader, point)| {
            let gap = point.gap.map(|sequence| evicted_gap(shared, &reader.log, sequence));
            FollowedLog::new(reader, options, gap.map(Beside::Gap))
        });
        let patterns = joined.patterns.into_iter();
        let patterns =
            patterns.map(|(reader, backfill)| FollowedLog::new(reader, options, Some(Beside::Backfill(backfill))));
        let topics: Box<[_]> = topics.chain(patterns).collect();
        Self {
            inbox: Arc::default(),
            marked: (0..topics.len() as u32).collect(),
            heads: BinaryHeap::with_capacity(topics.len()),
            topics,
            over: finished,
            finished,
            begins_with_state: false,
            fills,
            base: options.start().cursor().and_then(Cursor::tag).unwrap_or(0),
            began,
            seen: 0,
            sequence: end.map_or(began, |end| began.min(end - 1)),
            ended: None,
        }
    }

    /// Returns the topics and patterns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Pattern> {
        self.topics.iter().map(|followed| &followed.reader.log.name)
    }

    #[inline(never)]
    pub(crate) fn poll<O: Output>(&mut self, shared: &Shared, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        loop {
            match std::task::ready!(self.poll_order(shared, cx)) {
                NextRead::Events { key, up_to } => {
                    self.marked.push(key);
                    let followed = &mut self.topics[key as usize];
                    let (others, is_backfilling) = (self.heads.len(), followed.is_backfilling());
                    let Some((reader, first)) = followed.take(up_to, shared, output) else {
                        continue;
                    };
                    // The shared bytes of a single topic are delivered as they are.
                    let is_alone = others == 0 && !is_backfilling && first.filtered.is_none();
                    self.sequence = first.sequence;
                    let conflated = reader.pass(&first, shared);
                    let first = O::conflated(first.events, conflated);
                    let events = match is_alone {
                        true => first,
                        false => output.join(first, 1 + others, |output| self.read_more(shared, output)),
                    };
                    match O::events(events) {
                        Some(delivery) => return Poll::Ready(delivery),
                        None if output.is_spent() => return poll_later(cx),
                        None => {}
                    }
                }
                NextRead::BetweenEvents { key, up_to } => {
                    if let Some(delivery) = self.take_between_events::<O>(shared, key, up_to) {
                        return Poll::Ready(delivery);
                    }
                }
                NextRead::End(end) => return Poll::Ready(O::end(end)),
            }
        }
    }

    /// Reads the next events if no gap precedes them and they fit into the rest of a delivery.
    #[inline(always)]
    fn read_more<O: Output>(&mut self, shared: &Shared, output: O) -> Option<O::Events> {
        loop {
            let (key, up_to) = match self.order(shared) {
                Ok(NextRead::Events { key, up_to }) => (key, up_to),
                Ok(NextRead::BetweenEvents { key, .. }) => {
                    self.marked.push(key);
                    return None;
                }
                Ok(NextRead::End(_)) | Err(_) => return None,
            };
            self.marked.push(key);
            let Some((reader, taken)) = self.topics[key as usize].take(up_to, shared, output) else {
                continue;
            };
            if !output.fits(&taken.events) {
                return None;
            }
            self.sequence = taken.sequence;
            let conflated = reader.pass(&taken, shared);
            return Some(O::conflated(taken.events, conflated));
        }
    }

    /// Returns the next delivery, or registers the waker.
    fn poll_order(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<NextRead> {
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

    /// Returns the next delivery; if there is none, the watermark up to which that holds.
    fn order(&mut self, shared: &Shared) -> Result<NextRead, u64> {
        let mut is_fresh = false;
        loop {
            while let Some(&key) = self.marked.last() {
                self.look(key, shared);
                // After the look, which asks the clock: that may panic.
                self.marked.pop();
            }
            if let Some(end) = self.ended {
                return Ok(NextRead::End(end));
            }
            self.seen = match self.heads.peek() {
                Some(&Reverse((head, key))) if head <= self.seen => return Ok(self.turn(key)),
                // The event is in its log, but the watermark is not past it yet.
                Some(_) if is_fresh => shared.settled(),
                None if is_fresh && self.over == self.topics.len() => {
                    let has_finished = self.finished == self.topics.len();
                    self.ended = Some(if has_finished { SubscriptionEnd::Finished } else { SubscriptionEnd::Closed });
                    continue;
                }
                None if is_fresh => {
                    self.fills = false;
                    return Err(self.seen);
                }
                _ => shared.published.load(),
            };
            is_fresh = true;
            self.take_marked(shared);
        }
    }

    /// Takes the keys of topics that may have events to read. Called after the watermark is loaded, so that each event
    /// up to it is found here.
    #[inline(always)]
    fn take_marked(&mut self, shared: &Shared) {
        if shared.pool.late_marks.is_on() {
            return self.take_late(shared);
        }
        self.inbox.take(&mut self.marked);
    }

    /// Takes the keys of topics whose followers are about to be marked, too.
    #[cold]
    #[inline(never)]
    fn take_late(&mut self, shared: &Shared) {
        let all = shared.pool.late_marks.current();
        let is_late = |slot: &u32| all.iter().any(|slots| slots.binary_search(slot).is_ok());
        self.inbox.take(&mut self.marked);
        let late = (0..).zip(&self.topics).filter(|(_, followed)| is_late(&followed.reader.log.slot));
        self.marked.extend(late.map(|(key, _)| key));
    }

    /// Takes the topic that is first in `heads`.
    fn turn(&mut self, key: u32) -> NextRead {
        self.heads.pop();
        let other = self.heads.peek().map_or(u64::MAX, |&Reverse((head, _))| head.saturating_sub(1));
        let up_to = other.min(self.seen);
        let followed = &mut self.topics[key as usize];
        followed.is_placed = false;
        match followed.is_between_events() {
            true => NextRead::BetweenEvents { key, up_to },
            false => NextRead::Events { key, up_to },
        }
    }

    /// Looks at a topic that may have events to read. Puts it into `heads`, registers for its next event, or counts it
    /// as over.
    fn look(&mut self, key: u32, shared: &Shared) {
        let FollowedLog { reader, ticket, is_placed, overflow, beside } = &mut self.topics[key as usize];
        if *is_placed {
            // The mark was late.
            return;
        }
        let overflow = *overflow;
        loop {
            let head = match beside.as_deref_mut() {
                None => reader.unread(shared, overflow).map(|unread| unread.first_sequence()),
                Some(beside) => match beside.head(reader, shared, self.sequence, overflow) {
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
            if matches!(found, Found::Fill) {
                drop(state);
                self.fills = true;
                if let Some(forgotten) = reader.fill(self.sequence) {
                    let gap = state_gap(shared, &reader.log, GapReason::Overflow, forgotten);
                    *beside = Some(Box::new(Beside::Gap(gap)));
                }
                continue;
            }
            if matches!(found, Found::Nothing) {
                if state.is_over {
                    *is_placed = true;
                    match state.end_mark().cloned() {
                        Some(mark) => {
                            self.heads.push(Reverse((mark.sequence, key)));
                            *beside = Some(Box::new(Beside::End(mark)));
                        }
                        None => self.over += 1,
                    }
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
                if let Some(Beside::Backfill(backfill)) = beside.as_deref_mut() {
                    backfill.catch_up(shared, &reader.log.name, self.sequence, &lost, overflow);
                    self.fills |= backfill.is_in_fill();
                    continue;
                }
                if overflow == Overflow::Disconnect {
                    self.ended = Some(SubscriptionEnd::TooSlow);
                    return;
                }
                *beside = Some(Box::new(Beside::Gap(lost.gap(shared, &reader.log))));
            }
        }
    }

    /// Takes the gap or the end of a topic, to be delivered now.
    fn take_between_events<O: Output>(&mut self, shared: &Shared, key: u32, up_to: u64) -> Option<O::Delivery> {
        self.marked.push(key);
        let FollowedLog { reader, beside, .. } = &mut self.topics[key as usize];
        if let Some(Beside::End(mark)) = beside.as_deref() {
            let mark = mark.clone();
            // While the topic is to be looked at: the drop of an event may panic.
            reader.release();
            self.marked.pop();
            return Some(O::topic_end(self.take_end(shared, key, mark)));
        }
        let gap = match beside.as_deref_mut()? {
            Beside::Backfill(backfill) => backfill.take_gap(shared, up_to)?,
            Beside::Gap(gap) => {
                let gap = gap.clone();
                *beside = None;
                gap
            }
            Beside::End(_) => return None,
        };
        shared.gaps.add(1);
        let after = shared.cursor(self.sequence);
        if gap.snapshot {
            self.begin_state_again();
        }
        self.sequence = gap.cursor.sequence();
        Some(O::gap(gap.with_after(after)))
    }

    /// Takes the end of a topic, which is over then.
    #[cold]
    fn take_end(&mut self, shared: &Shared, key: u32, mark: EndMark) -> TopicEnd {
        let followed = &mut self.topics[key as usize];
        (followed.is_placed, followed.beside) = (true, None);
        followed.reader.finish();
        (self.over, self.finished) = (self.over + 1, self.finished + 1);
        // The cursor does not go back behind the start of the subscription, nor pass the next delivery of another topic.
        let next = self.heads.peek().map_or(u64::MAX, |&Reverse((head, _))| head.saturating_sub(1));
        self.sequence = self.sequence.max(mark.sequence).max(self.began.min(next));
        let end = mark.at(shared.cursor(self.sequence));
        if self.finished == self.topics.len() { end.with_last() } else { end }
    }

    /// Returns the state with regard to the ends of the topics. Takes the lock of each topic, up to the first that has not
    /// ended.
    pub(crate) fn end_state(&self) -> EndState {
        let has_ended =
            |followed: &FollowedLog| followed.reader.is_finished() || followed.reader.log.state().end.is_some();
        match self.ended {
            _ if self.finished == self.topics.len() => EndState::Finished,
            None if self.topics.iter().all(has_ended) => EndState::Ended,
            _ => EndState::Live,
        }
    }

    /// Returns the shortest such time of the topics.
    pub(crate) fn next_in(&self, now: u64) -> Duration {
        self.topics.iter().map(|followed| followed.reader.next_in(now)).min().unwrap_or(Duration::MAX)
    }

    pub(crate) fn release(&mut self) {
        for FollowedLog { reader, beside, .. } in &mut self.topics {
            reader.release();
            if let Some(Beside::Backfill(backfill)) = beside.as_deref_mut() {
                backfill.release();
            }
        }
    }

    /// Ends the subscription of every topic.
    pub(crate) fn leave(&mut self, shared: &Shared) {
        // Dropped last: the drop of a payload or a waker may panic, and the other topics are to be left all the same.
        let _gone: Vec<_> = self.topics.iter_mut().map(|followed| followed.leave(shared)).collect();
        for FollowedLog { beside, .. } in &mut self.topics {
            if let Some(Beside::Backfill(backfill)) = beside.as_deref_mut() {
                backfill.leave(shared);
            }
        }
    }
}
