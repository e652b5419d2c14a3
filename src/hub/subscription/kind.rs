use std::sync::Arc;
use std::task::{Context, Poll};

use crate::contract::{SubscribeError, SubscribeOptions};
use crate::hub::log::log::Log;
use crate::hub::log::seek::{EndAhead, StartPoint};
use crate::hub::shared::Shared;
use crate::hub::subscription::joining::{Beginning, JoinedLogs, Joining, gap_before_end};
use crate::hub::subscription::multi_topic::MultiTopic;
use crate::hub::subscription::narrowed::narrowed;
use crate::hub::subscription::output::Output;
use crate::hub::subscription::reader::Reader;
use crate::hub::subscription::single_topic::SingleTopic;
use crate::hub::subscription::state_position::state_gap;
use crate::model::{Gap, GapReason, Overflow, Pattern, Topic};

/// Position of a subscription in its logs.
pub(crate) enum Kind {
    Single(SingleTopic),
    Multi(Box<MultiTopic>),
}

impl Kind {
    /// Returns the reader of one topic, and its first gap.
    pub(crate) fn single(
        shared: &Shared,
        name: &Pattern,
        topic: &Topic,
        options: &SubscribeOptions,
    ) -> Result<(Option<Gap>, Self), SubscribeError> {
        let overflow = options.overflow_of(name);
        let beginning = Beginning::new(shared, options.start_of(name), shared.published.load()).continuing(options);
        let (log, point) = shared.join(topic, beginning.starts(name, options), overflow)?;
        if log.is_keyed() {
            return Ok(Self::single_with_state(shared, beginning, log, &point, overflow));
        }
        let Beginning { sequence, gap, .. } = beginning;
        let reader = Reader::new(log, &point);
        let gone = point.gap.map(|gone| shared.cursor(gone));
        let gap = match gap {
            Some(gap) => {
                let gap = match point.end {
                    EndAhead::At(end) => gap_before_end(gap, shared, end),
                    EndAhead::None | EndAhead::Passed => gap,
                };
                Some(gone.into_iter().fold(gap, Gap::with_gone))
            }
            None => gone.map(|gone| reader.log.gap(GapReason::Evicted, gone)),
        };
        Ok((gap, Self::Single(SingleTopic::new(reader, &point, sequence, overflow))))
    }

    /// Returns the reader of a keyed topic, and its first gap.
    #[cold]
    fn single_with_state(
        shared: &Shared,
        beginning: Beginning,
        log: Arc<Log>,
        point: &StartPoint,
        overflow: Overflow,
    ) -> (Option<Gap>, Self) {
        let (Beginning { sequence, gap, is_new, .. }, reader) = (beginning.with_state(shared), Reader::new(log, point));
        let evicted = point.gap.map(|forgotten| state_gap(shared, &reader.log, GapReason::Evicted, forgotten));
        let single = SingleTopic::new(reader, point, sequence, overflow);
        let single = if is_new { single.beginning_with_state() } else { single };
        (gap.or(evicted), Self::Single(single))
    }

    /// Returns the readers of several topics or of patterns, and their first gap.
    pub(crate) fn multi(
        shared: &Arc<Shared>,
        names: Vec<Pattern>,
        options: &SubscribeOptions,
    ) -> Result<(Option<Gap>, Self), SubscribeError> {
        let mut joining = Joining { shared, joined: JoinedLogs::default() };
        let Beginning { sequence, gap, is_new, .. } = joining.joined.join(shared, &narrowed(names), options)?;
        let joined = std::mem::take(&mut joining.joined);
        let multi = MultiTopic::new(shared, joined, sequence, options);
        let multi = if is_new { multi.beginning_with_state() } else { multi };
        Ok((gap, Self::Multi(Box::new(multi))))
    }

    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Self::Single(single) => single.sequence,
            Self::Multi(multi) => multi.sequence,
        }
    }

    pub(crate) fn sequence_mut(&mut self) -> &mut u64 {
        match self {
            Self::Single(single) => &mut single.sequence,
            Self::Multi(multi) => &mut multi.sequence,
        }
    }

    #[inline(always)]
    pub(crate) fn poll<O: Output>(&mut self, shared: &Shared, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        match self {
            Self::Single(single) => single.poll(shared, cx, output),
            Self::Multi(multi) => multi.poll(shared, cx, output),
        }
    }
}
