use crate::contract::{SubscribeOptions, SubscriptionEnd};
use crate::hub::log::end_mark::EndMark;
use crate::hub::shared::Shared;
use crate::hub::subscription::backfill::Backfill;
use crate::hub::subscription::output::Output;
use crate::hub::subscription::reader::Reader;
use crate::hub::subscription::taken::Taken;
use crate::hub::wake::waiters::Ticket;
use crate::model::{Gap, Overflow};

/// Topic or pattern of a subscription of several.
#[derive(Debug)]
pub(crate) struct FollowedLog {
    pub(crate) reader: Reader,
    pub(crate) ticket: Ticket,
    /// Whether it is in the heads, or over: a mark of it is redundant.
    pub(crate) is_placed: bool,
    pub(crate) overflow: Overflow,
    pub(crate) beside: Option<Box<Beside>>,
}

/// Deliveries that are not read from the log: they precede those of its reader, or follow them.
#[derive(Debug)]
pub(crate) enum Beside {
    /// Gap that is still to be delivered.
    Gap(Gap),
    /// Events of the topics of a pattern.
    Backfill(Backfill),
    /// End of the topic, which nothing follows.
    End(EndMark),
}

impl Beside {
    /// Returns the sequence of the next delivery, here or in the log. Everything up to `read` is delivered.
    #[cold]
    pub(crate) fn head(
        &mut self,
        reader: &mut Reader,
        shared: &Shared,
        read: u64,
        overflow: Overflow,
    ) -> Result<Option<u64>, SubscriptionEnd> {
        match self {
            Self::Gap(gap) => Ok(Some(gap.cursor.sequence())),
            Self::End(mark) => Ok(Some(mark.sequence)),
            Self::Backfill(backfill) => {
                let head = backfill.head(reader, shared, read, overflow);
                match backfill.is_behind && overflow == Overflow::Disconnect {
                    true => Err(SubscriptionEnd::TooSlow),
                    false => Ok(head),
                }
            }
        }
    }
}

impl FollowedLog {
    /// Leaves the topic or the pattern. Returns values that the caller drops last.
    pub(crate) fn leave(&mut self, shared: &Shared) -> impl Sized + use<> {
        let is_reading = !self.reader.is_finished();
        let Self { reader: Reader { log, uncounted, .. }, ticket, .. } = self;
        shared.leave(log, is_reading, |state| {
            uncounted.count(state);
            state.followers.as_mut().and_then(|slab| slab.cancel(ticket))
        })
    }

    pub(crate) fn new(reader: Reader, options: &SubscribeOptions, beside: Option<Beside>) -> Self {
        let overflow = options.overflow_of(&reader.log.name);
        Self { is_placed: reader.is_finished(), reader, ticket: Ticket::NONE, overflow, beside: beside.map(Box::new) }
    }

    /// Notes that everything up to a sequence is read, in the topics of a backfill, too.
    pub(crate) fn note_read(&mut self, sequence: u64) {
        self.reader.note_read(sequence);
        if let Some(Beside::Backfill(backfill)) = self.beside.as_deref_mut() {
            backfill.for_each_reader(|reader| reader.note_read(sequence));
        }
    }

    /// Returns whether a state is delivered in part.
    pub(crate) fn is_in_fill(&self) -> bool {
        match self.beside.as_deref() {
            Some(Beside::Backfill(backfill)) => backfill.is_in_fill(),
            _ => self.reader.is_in_fill(),
        }
    }

    /// Returns whether the client lacks a state up to the position of its reader.
    pub(crate) fn lacks_state(&self) -> bool {
        match self.beside.as_deref() {
            Some(Beside::Backfill(backfill)) => backfill.lacks_state(),
            _ => self.reader.lacks_state(),
        }
    }

    /// Returns the sequence up to which the client needs no removal: 0 before a gap at which it forgets its state, `None`
    /// without keyed topics.
    pub(crate) fn base(&self, shared: &Shared, sequence: u64) -> Option<u64> {
        match self.beside.as_deref() {
            Some(Beside::Backfill(backfill)) => Some(backfill.base(shared, sequence)),
            Some(Beside::Gap(gap)) if gap.snapshot => Some(0),
            _ => self.reader.base(shared, sequence),
        }
    }

    /// Returns whether a gap is to be delivered.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn has_gap(&self) -> bool {
        match self.beside.as_deref() {
            Some(Beside::Gap(_)) => true,
            Some(Beside::Backfill(backfill)) => backfill.has_gap(),
            Some(Beside::End(_)) | None => false,
        }
    }

    /// Returns whether the next delivery is a gap or the end of the topic.
    #[inline]
    pub(crate) fn is_between_events(&self) -> bool {
        match self.beside.as_deref() {
            None => false,
            Some(Beside::Gap(_) | Beside::End(_)) => true,
            Some(Beside::Backfill(backfill)) => backfill.is_at_gap(),
        }
    }

    /// Takes the next events, up to a sequence. Returns them with their reader, which does not pass them.
    #[inline(always)]
    pub(crate) fn take<O: Output>(
        &mut self,
        up_to: u64,
        shared: &Shared,
        output: O,
    ) -> Option<(&mut Reader, Taken<O::Events>)> {
        let overflow = self.overflow;
        let (reader, up_to, end) = self.reader(up_to);
        let mut unread = reader.unread_before(end, shared, overflow)?.up_to(up_to)?;
        if O::OF_ONE_TOPIC {
            unread = unread.of_one_topic();
        }
        let taken = unread.take(output, shared, overflow, false)?;
        Some((reader, taken))
    }

    /// Returns whether the next events are in the log of a topic that a pattern matches.
    #[inline]
    pub(crate) fn is_backfilling(&self) -> bool {
        matches!(self.beside.as_deref(), Some(Beside::Backfill(backfill)) if backfill.has_unread())
    }

    /// Returns the reader of the next events, the sequence up to which it is to read, and the index at which it is to
    /// stop. The index is the highest if these events are in the log that is followed.
    #[inline]
    fn reader(&mut self, up_to: u64) -> (&mut Reader, u64, u64) {
        match self.beside.as_deref_mut() {
            Some(Beside::Backfill(backfill)) => backfill.reader(&mut self.reader, up_to),
            _ => (&mut self.reader, up_to, u64::MAX),
        }
    }
}
