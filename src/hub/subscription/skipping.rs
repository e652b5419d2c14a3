//! Skips of a subscription to a cursor, see [`Subscriber::skip_to`](crate::Subscriber::skip_to).
//!
//! The subscription then delivers the same as one that starts at the cursor, and the ends of topics that it has not delivered.
//! While it delivers the state of a keyed topic, its cursor stays before that state, so that a client that is cut gets the rest.

use std::cmp::Reverse;

use crate::hub::shared::Shared;
use crate::hub::subscription::followed::{Beside, FollowedLog};
use crate::hub::subscription::multi_topic::MultiTopic;
use crate::hub::subscription::single_topic::SingleTopic;
use crate::hub::subscription::state_position::NOWHERE;
use crate::model::{Cursor, Gap, GapReason};

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

impl SingleTopic {
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
