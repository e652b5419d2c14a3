use std::cmp::Reverse;
use std::task::{Context, Poll};

use crate::hub::shared::Shared;
use crate::hub::subscription::backfill::Backfill;
use crate::hub::subscription::output::{Output, poll_later};
use crate::hub::subscription::reader::Reader;
use crate::hub::subscription::state_position::state_cursor;
use crate::hub::subscription::unread_topic::UnreadTopic;
use crate::model::Cursor;

/// States of keyed topics that a client did not follow, up to the sequence after which the subscription begins: see
/// [`Subscriber::skip_followed`](crate::Subscriber::skip_followed).
///
/// They are read as the backfill of a pattern is. The sequence is its boundary, so a client that is cut has no event after it.
#[derive(Debug)]
pub(crate) struct AddedStates {
    backfill: Backfill,
    /// Sequence up to which the states were delivered.
    sequence: u64,
}

impl AddedStates {
    /// Returns the states of topics up to a sequence; `None` if there are none.
    pub(crate) fn new(unread: Vec<UnreadTopic>, up_to: u64) -> Option<Self> {
        let first = unread.iter().map(|unread| unread.head).min()?;
        let mut backfill = Backfill::none(up_to);
        backfill.rest = unread.into_iter().map(Reverse).collect();
        Some(Self { backfill, sequence: first - 1 })
    }

    /// Returns the cursor of a client that receives the states. It needs the removals after the boundary from each topic that it
    /// follows.
    pub(crate) fn cursor(&self, shared: &Shared) -> Cursor {
        state_cursor(shared, self.sequence, false, Some(self.backfill.base(shared, self.sequence)))
    }

    /// Polls for the next events or a gap; `None` after the last. It is pending if a predicate has left out many events.
    pub(crate) fn poll<O: Output>(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        output: O,
    ) -> Poll<Option<O::Delivery>> {
        loop {
            self.backfill.find_first(None, shared, self.sequence);
            if let Some(gap) = self.backfill.forgotten.pop() {
                shared.gaps.add(1);
                let read = std::mem::take(&mut self.sequence);
                self.backfill.for_each_reader(|reader| reader.note_read(read));
                return Poll::Ready(Some(O::gap(gap.with_after(shared.cursor(read)))));
            }
            if self.backfill.first.is_none() {
                return Poll::Ready(None);
            }
            let Some(first) = self.read(shared, output, |_| true) else { continue };
            let pieces = 1 + self.backfill.rest.len();
            let events = output.join(first, pieces, |output| {
                self.backfill.find_first(None, shared, self.sequence);
                self.read(shared, output, |events| output.fits(events))
            });
            match O::events(events) {
                Some(delivery) => return Poll::Ready(Some(delivery)),
                None if output.is_spent() => return poll_later(cx),
                None => {}
            }
        }
    }

    /// Reads the next events of the first topic if no gap precedes them and they are wanted.
    fn read<O: Output>(
        &mut self,
        shared: &Shared,
        output: O,
        is_wanted: impl FnOnce(&O::Events) -> bool,
    ) -> Option<O::Events> {
        let backfill = &mut self.backfill;
        let unread = backfill.first.as_mut().filter(|_| backfill.forgotten.is_empty())?;
        let other = backfill.rest.peek().map_or(u64::MAX, |Reverse(other)| other.head - 1);
        let (reader, overflow) = (&mut unread.reader, unread.overflow);
        let slice = reader.unread(shared, overflow)?.up_to(unread.last.min(other))?;
        let taken = slice.take(output, shared, overflow, false).filter(|taken| is_wanted(&taken.events))?;
        self.sequence = taken.sequence;
        let conflated = reader.pass(&taken, shared);
        Some(O::conflated(taken.events, conflated))
    }

    /// Adds what the subscription skips up to a sequence to the rest of the states.
    pub(crate) fn extend(&mut self, sequence: u64) {
        let Backfill { boundary, first, rest, .. } = &mut self.backfill;
        *boundary = sequence.max(*boundary);
        let mut all = std::mem::take(rest).into_vec();
        all.iter_mut().for_each(|Reverse(unread)| unread.last = *boundary);
        *rest = all.into();
        first.iter_mut().for_each(|unread| unread.last = *boundary);
    }

    /// Releases the segments.
    pub(crate) fn release(&mut self) {
        self.backfill.for_each_reader(Reader::release);
    }

    /// Leaves the topics.
    pub(crate) fn leave(&mut self, shared: &Shared) {
        self.backfill.leave(shared);
    }
}
