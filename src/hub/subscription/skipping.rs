//! Skips of a subscription to a cursor, see [`Subscriber::skip_to`](crate::Subscriber::skip_to).
//!
//! The subscription then delivers the same as one that starts at the cursor, and the ends of topics that it has not delivered.
//! While it delivers the state of a keyed topic, its cursor stays before that state, so that a client that is cut gets the rest.

use std::cmp::Reverse;

use crate::hub::log::seek::StartAt;
use crate::hub::log::state_start::{Starts, StateStart};
use crate::hub::shared::Shared;
use crate::hub::subscription::backfill::Backfill;
use crate::hub::subscription::followed::{Beside, FollowedLog};
use crate::hub::subscription::multi_topic::MultiTopic;
use crate::hub::subscription::single_topic::SingleTopic;
use crate::hub::subscription::state_position::NOWHERE;
use crate::hub::subscription::unread_topic::UnreadTopic;
use crate::model::{Cursor, Gap, GapReason, Overflow, Pattern};

/// Returns the cursor's sequence if a subscription of the hub can skip to it. Nothing is skipped for a client that has
/// received nothing of a state.
pub(crate) fn sequence_of(cursor: Cursor, shared: &Shared) -> Option<u64> {
    if shared.has_keyed && cursor == NOWHERE {
        return Some(0);
    }
    let sequence = cursor.sequence();
    let is_known = || sequence <= shared.published.load() || sequence <= shared.settled();
    let is_own = cursor.epoch() == shared.epoch && (cursor.tag().is_none() || shared.has_keyed);
    (is_own && is_known()).then_some(sequence)
}

/// Returns the first gap of a subscription without the events up to a cursor; `None` if no others are missing.
pub(crate) fn opening_after(gap: Gap, cursor: Cursor) -> Option<Gap> {
    let is_after = |other: Cursor| other.epoch() == cursor.epoch() && other.sequence() > cursor.sequence();
    let reason = if gap.reason == GapReason::Epoch { GapReason::Evicted } else { gap.reason };
    match gap.gone.unwrap_or(gap.cursor) {
        // The whole state follows.
        _ if gap.snapshot => Some(gap),
        _ if is_after(gap.cursor) => Some(Gap { missed: None, ..gap }),
        gone if is_after(gone) => Some(Gap { reason, missed: None, cursor, ..gap }),
        _ => None,
    }
}

/// Returns whether a client that followed these topics and patterns followed all topics of a name.
pub(crate) fn is_followed(name: &Pattern, followed: &[Pattern]) -> bool {
    followed.iter().any(|other| other.covers(name))
}

impl SingleTopic {
    /// Begins again, for a client that followed these topics up to a sequence, if the topic is keyed. Returns whether it is.
    pub(crate) fn follow(&mut self, sequence: u64, followed: &[Pattern]) -> bool {
        let is_keyed = self.reader.log.is_keyed() && !self.reader.is_finished();
        if is_keyed {
            self.begins_with_state = false;
            let head = self.reader.begin_state(sequence, is_followed(&self.reader.log.name, followed));
            self.sequence = head.map_or(self.sequence, |head| self.sequence.min(head - 1));
        }
        is_keyed
    }

    /// Skips to a sequence. Returns a gap if events after it are gone.
    pub(crate) fn skip_to(&mut self, sequence: u64, shared: &Shared) -> Option<Gap> {
        // The cursor of a client is that of the state until it has the whole state.
        let has_state = !self.reader.lacks_state();
        let gone = self.reader.skip_to(sequence, self.overflow);
        if has_state {
            self.sequence = self.sequence.max(sequence);
        }
        gone.map(|gone| self.reader.log.gap(GapReason::Evicted, shared.cursor(gone)))
    }
}

impl MultiTopic {
    /// Begins again in the keyed topics, for a client that followed these topics up to a sequence.
    pub(crate) fn follow(&mut self, sequence: u64, followed: &[Pattern], shared: &Shared) {
        // A client without a cursor would miss the events of topics that it followed.
        (self.begins_with_state, self.fills) = (false, true);
        let heads = self.topics.iter_mut().filter_map(|topic| topic.follow(sequence, followed, shared));
        self.sequence = heads.min().map_or(self.sequence, |head| self.sequence.min(head - 1));
    }

    /// Skips to a sequence.
    pub(crate) fn skip_to(&mut self, sequence: u64, shared: &Shared) {
        let has_state = !self.topics.iter().any(FollowedLog::lacks_state);
        for followed in &mut self.topics {
            followed.skip_to(sequence, shared);
        }
        for Reverse((_, key)) in self.heads.drain() {
            self.topics[key as usize].is_placed = false;
            self.marked.push(key);
        }
        if has_state {
            self.sequence = self.sequence.max(sequence);
        }
    }
}

impl FollowedLog {
    /// Begins again in the keyed topics. Returns the sequence of the first event of a state that the client lacks.
    fn follow(&mut self, sequence: u64, followed: &[Pattern], shared: &Shared) -> Option<u64> {
        let Self { reader, overflow, beside, .. } = self;
        match beside.as_deref_mut() {
            Some(Beside::Backfill(backfill)) => {
                backfill.follow(shared, &reader.log.name, sequence, followed, *overflow)
            }
            _ if reader.is_finished() || !reader.log.is_keyed() => None,
            _ => {
                // A gap of a lost state, which the reader looks for again.
                *beside = None;
                reader.begin_state(sequence, is_followed(&reader.log.name, followed))
            }
        }
    }

    fn skip_to(&mut self, sequence: u64, shared: &Shared) {
        let Self { reader, overflow, beside, .. } = self;
        let gone = match beside.as_deref_mut() {
            Some(Beside::Backfill(backfill)) => {
                backfill.skip_to(sequence, shared, *overflow);
                reader.skip_to(sequence, *overflow);
                return;
            }
            // The whole state follows.
            Some(Beside::Gap(gap)) if gap.snapshot => return,
            Some(Beside::Gap(gap)) if gap.cursor.sequence() > sequence => {
                gap.missed = None;
                Some(gap.cursor.sequence())
            }
            Some(Beside::Gap(_)) => {
                *beside = None;
                None
            }
            None | Some(Beside::End(_)) => None,
        };
        if let Some(more) = reader.skip_to(sequence, *overflow) {
            let gone = gone.map_or(more, |gone| gone.max(more));
            *beside = Some(Box::new(Beside::Gap(reader.log.gap(GapReason::Evicted, shared.cursor(gone)))));
        }
    }
}

impl Backfill {
    /// Begins again in the keyed topics of a backfill that has not begun, for a client that followed these topics up to a sequence.
    /// States of others are delivered up to this sequence, also of topics that had none when the subscription began. Returns
    /// the sequence of their first event.
    #[cold]
    pub(crate) fn follow(
        &mut self,
        shared: &Shared,
        pattern: &Pattern,
        sequence: u64,
        followed: &[Pattern],
        overflow: Overflow,
    ) -> Option<u64> {
        if !shared.registry.may_be_keyed(pattern) {
            return None;
        }
        let has = |unread: &UnreadTopic| is_followed(&unread.reader.log.name, followed);
        let unread = self.first.take().into_iter().chain(std::mem::take(&mut self.rest).into_iter().map(|rest| rest.0));
        let (mut kept, mut left): (Vec<_>, Vec<_>) =
            unread.partition(|unread| !unread.reader.log.is_keyed() || has(unread));
        for unread in kept.iter_mut().filter(|unread| unread.reader.log.is_keyed()) {
            unread.reader.begin_state(sequence, true);
        }
        // The readers find out which removals are forgotten.
        let is_read = |gap: &Gap| kept.iter().any(|unread| unread.reader.log.name.as_topic() == gap.topic.as_ref());
        self.forgotten.retain(|gap| gap.gone.is_some_and(|gone| gone.sequence() > sequence) && !is_read(gap));
        let mut head = None;
        if !is_followed(pattern, followed) {
            self.boundary = self.boundary.max(sequence);
            let starts = Starts { plain: StartAt::Live(self.boundary), keyed: StateStart::Whole };
            let (begun, _) = Self::begin(shared, pattern, starts, self.boundary, overflow);
            let (known, added): (Vec<_>, Vec<_>) = begun.rest.into_iter().map(|rest| rest.0).partition(has);
            head = added.iter().map(|unread| unread.head).min();
            left.extend(known);
            kept.extend(added);
        }
        self.rest = kept.into_iter().map(Reverse).collect();
        left.into_iter().for_each(|unread| unread.leave(shared));
        head
    }
}
