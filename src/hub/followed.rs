use crate::contract::{SubscribeOptions, SubscriptionEnd};
use crate::hub::reader::Reader;
use crate::hub::replay::Replay;
use crate::hub::shared::Shared;
use crate::hub::waiters::Ticket;
use crate::model::{Gap, Overflow};

/// One of the topics or patterns of a subscription.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) reader: Reader,
    pub(super) ticket: Ticket,
    /// Whether it is among the heads, or over: a mark of it is one too many.
    pub(super) is_placed: bool,
    pub(super) overflow: Overflow,
    pub(super) before: Option<Box<Before>>,
}

/// Deliveries that precede those of the log's reader.
#[derive(Debug)]
pub(super) enum Before {
    /// Gap that is still to be delivered.
    Gap(Gap),
    /// Of a pattern: what is to be read of its topics.
    Replay(Replay),
}

impl Before {
    /// The sequence of what comes next, here or in the log.
    #[cold]
    pub(super) fn head(
        &mut self,
        reader: &mut Reader,
        shared: &Shared,
        overflow: Overflow,
    ) -> Result<Option<u64>, SubscriptionEnd> {
        match self {
            Self::Gap(gap) => Ok(Some(gap.cursor.sequence())),
            Self::Replay(replay) => {
                let head = replay.head(reader, shared, overflow);
                match replay.is_behind && overflow == Overflow::Disconnect {
                    true => Err(SubscriptionEnd::TooSlow),
                    false => Ok(head),
                }
            }
        }
    }
}

impl Followed {
    /// Leaves the topic or the pattern. Returns what is to be dropped when all is done.
    pub(super) fn leave(&mut self, shared: &Shared) -> impl Sized + use<> {
        let Self { reader: Reader { log, uncounted, .. }, ticket, .. } = self;
        shared.leave(log, |state| {
            uncounted.count(state);
            state.followers.as_mut().and_then(|slab| slab.cancel(ticket))
        })
    }

    pub(super) fn new(reader: Reader, options: &SubscribeOptions, before: Option<Before>) -> Self {
        let overflow = options.overflow_of(&reader.log.name);
        Self { reader, ticket: Ticket::NONE, is_placed: false, overflow, before: before.map(Box::new) }
    }

    #[inline]
    pub(super) fn is_at_gap(&self) -> bool {
        match self.before.as_deref() {
            None => false,
            Some(Before::Gap(_)) => true,
            Some(Before::Replay(replay)) => replay.is_at_gap(),
        }
    }

    /// Returns the reader of what is next here, up to which sequence, and the index where it ends: the highest, if that is
    /// all that there is here.
    #[inline]
    pub(super) fn reader(&mut self, up_to: u64) -> (&mut Reader, u64, u64) {
        match self.before.as_deref_mut() {
            Some(Before::Replay(replay)) => replay.reader(&mut self.reader, up_to),
            _ => (&mut self.reader, up_to, u64::MAX),
        }
    }
}
