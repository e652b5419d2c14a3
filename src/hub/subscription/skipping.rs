//! Skips of a subscription to a cursor, see [`Subscriber::skip_to`](crate::Subscriber::skip_to).
//!
//! The subscription then delivers the same as one that starts at the cursor, and the ends of topics that it has not delivered.
//! While it delivers the state of a keyed topic, its cursor stays before that state, so that a client that is cut gets the rest.
//! With the topics that the client followed, [states of others](AddedStates) precede everything after the cursor.

use std::cmp::Reverse;

use crate::hub::log::seek::StartAt;
use crate::hub::log::state_start::{Starts, StateStart};
use crate::hub::shared::Shared;
use crate::hub::subscription::backfill::Backfill;
use crate::hub::subscription::followed::{Beside, FollowedLog};
use crate::hub::subscription::multi_topic::MultiTopic;
use crate::hub::subscription::reader::Reader;
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

/// Topics and patterns that a client followed up to a sequence.
#[derive(Clone, Copy)]
pub(crate) struct Since<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) sequence: u64,
    pub(crate) followed: &'a [Pattern],
}

impl Since<'_> {
    /// Returns whether the client followed all topics of a name.
    fn has(&self, name: &Pattern) -> bool {
        self.followed.iter().any(|other| other.covers(name))
    }
}

impl SingleTopic {
    /// Begins again after a sequence if the topic is keyed. Returns whether it is. The state of a topic that the client did
    /// not follow is added to `states`.
    pub(crate) fn follow(&mut self, since: Since<'_>, states: &mut Vec<UnreadTopic>) -> bool {
        let is_keyed = self.reader.log.is_keyed() && !self.reader.is_finished();
        if is_keyed {
            self.begins_with_state = false;
            states.extend(self.reader.begin_since(since, self.overflow));
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
    /// Begins again after a sequence in the keyed topics. The states of those that the client did not follow are added to
    /// `states`.
    pub(crate) fn follow(&mut self, since: Since<'_>, states: &mut Vec<UnreadTopic>) {
        // A client without a cursor would miss the events of topics that it followed.
        (self.begins_with_state, self.fills, self.base) = (false, true, 0);
        self.topics.iter_mut().for_each(|topic| topic.follow(since, states));
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
    /// Begins again after a sequence in the keyed topics.
    fn follow(&mut self, since: Since<'_>, states: &mut Vec<UnreadTopic>) {
        let Self { reader, overflow, beside, .. } = self;
        match beside.as_deref_mut() {
            Some(Beside::Backfill(backfill)) => backfill.follow(&reader.log.name, since, *overflow, states),
            _ if reader.is_finished() || !reader.log.is_keyed() => {}
            _ => {
                // A gap of a lost state, which the reader looks for again.
                *beside = None;
                states.extend(reader.begin_since(since, *overflow));
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

impl Reader {
    /// Begins again after a sequence. Returns the state up to there if the client did not follow the topic.
    fn begin_since(&mut self, since: Since<'_>, overflow: Overflow) -> Option<UnreadTopic> {
        let Since { shared, sequence, .. } = since;
        self.begin_after(sequence);
        if since.has(&self.log.name) {
            return None;
        }
        UnreadTopic::with_state(self.log.clone(), StateStart::Whole, sequence, overflow, shared.now()).0
    }
}

impl Backfill {
    /// Begins again after a sequence in the keyed topics of a backfill that has not begun. The states up to there of those that
    /// the client did not follow are added to `states`, also of topics that had none when the subscription began.
    #[cold]
    fn follow(&mut self, pattern: &Pattern, since: Since<'_>, overflow: Overflow, states: &mut Vec<UnreadTopic>) {
        let Since { shared, sequence, .. } = since;
        if !shared.registry.may_be_keyed(pattern) {
            return;
        }
        self.for_each_reader(|reader| {
            if reader.log.is_keyed() {
                reader.begin_after(sequence);
            }
        });
        // The readers find out which removals are forgotten.
        let read: Vec<_> = self.unread().filter_map(|unread| unread.reader.log.name.as_topic().cloned()).collect();
        self.forgotten.retain(|gap| {
            gap.gone.is_some_and(|gone| gone.sequence() > sequence)
                && gap.topic.as_ref().is_none_or(|topic| !read.contains(topic))
        });
        if since.has(pattern) {
            return;
        }
        let starts = Starts { plain: StartAt::Live(sequence), keyed: StateStart::Whole };
        let (mut begun, _) = Self::begin(shared, pattern, starts, sequence, overflow);
        for Reverse(unread) in begun.rest.drain() {
            match since.has(&unread.reader.log.name) {
                true => unread.leave(shared),
                false => states.push(unread),
            }
        }
    }
}
