//! Deliveries of a subscription that precede those of its topics.

use std::cell::Cell;
use std::task::{Context, Poll, ready};

use crate::contract::EventFilter;
use crate::hub::subscription::added_states::AddedStates;
use crate::hub::subscription::filtered_output::{FilteredOutput, poll_filtered};
use crate::hub::subscription::kind::Kind;
use crate::hub::subscription::output::{Output, poll_later};
use crate::hub::subscription::rare::{First, Rare};
use crate::hub::subscription::subscription::Subscription;
use crate::model::{Cursor, Gap, GapReason};

impl Subscription {
    #[inline(never)]
    pub(super) fn poll_rare<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        match self.rare.as_deref() {
            Some(Rare { first: None, filter: Some(filter) }) => {
                poll_filtered(&mut self.kind, &self.shared, cx, output, filter)
            }
            _ => self.poll_first(cx, output),
        }
    }

    #[cold]
    fn poll_first<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        if self.states().is_some() {
            return self.poll_states(cx, output);
        }
        let Some(gap) = self.take_opening() else {
            return self.find(cx, output);
        };
        let gap = self.open(gap);
        Poll::Ready(if self.is_filtered() { O::gap(Gap { missed: None, ..gap }) } else { O::gap(gap) })
    }

    /// Polls for the next delivery of the states. After the last the poll is pending once, with the task woken, so that the
    /// caller sees the client at the cursor of the skip.
    #[cold]
    fn poll_states<O: Output>(&mut self, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        if let Some(Rare { first: Some(first), filter }) = self.rare.as_deref_mut() {
            if let Some(states) = &mut first.states {
                let polled = match filter {
                    Some(filter) => {
                        let output = FilteredOutput { output, filter, looks: &Cell::new(0) };
                        states.poll(&self.shared, cx, output)
                    }
                    None => states.poll(&self.shared, cx, output),
                };
                if let Some(delivery) = ready!(polled) {
                    return Poll::Ready(delivery);
                }
            }
        }
        let opening = self.take_opening();
        self.set_first(None, opening);
        poll_later(cx)
    }

    /// Sets the deliveries that precede all others.
    #[cold]
    pub(super) fn set_first(&mut self, states: Option<AddedStates>, opening: Option<Gap>) {
        let filter = self.rare.take().and_then(|rare| rare.filter);
        self.set_rare(states, opening, filter);
    }

    #[cold]
    pub(super) fn set_rare(&mut self, states: Option<AddedStates>, opening: Option<Gap>, filter: Option<EventFilter>) {
        let first = (states.is_some() || opening.is_some()).then(|| Box::new(First { states, opening }));
        let is_used = first.is_some() || filter.is_some();
        self.rare = is_used.then(|| Box::new(Rare { first, filter }));
    }

    /// Returns whether deliveries precede those of the topics.
    pub(super) fn has_first(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.first.is_some())
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.filter.is_some())
    }

    pub(super) fn take_opening(&mut self) -> Option<Gap> {
        let rare = self.rare.as_mut()?;
        let gap = rare.first.as_mut()?.opening.take();
        rare.first.take_if(|first| first.states.is_none());
        if rare.first.is_none() && rare.filter.is_none() {
            self.rare = None;
        }
        gap
    }

    #[inline]
    pub(super) fn opening(&self) -> Option<&Gap> {
        self.rare.as_ref()?.first.as_ref()?.opening.as_ref()
    }

    pub(super) fn states_mut(&mut self) -> Option<&mut AddedStates> {
        self.rare.as_mut()?.first.as_mut()?.states.as_mut()
    }

    fn states(&self) -> Option<&AddedStates> {
        self.rare.as_ref()?.first.as_ref()?.states.as_ref()
    }

    pub(super) fn take_states(&mut self) -> Option<AddedStates> {
        self.rare.as_mut()?.first.as_mut()?.states.take()
    }

    #[cold]
    pub(super) fn rare_cursor(&self) -> Option<Cursor> {
        if let Some(states) = self.states() {
            return Some(states.cursor(&self.shared));
        }
        (!self.lacks_cursor()).then(|| match &self.kind {
            Kind::Single(single) => single.cursor(&self.shared),
            Kind::Multi(multi) => multi.cursor(&self.shared),
        })
    }

    /// Returns whether the client has no cursor before the first gap.
    pub(super) fn lacks_cursor(&self) -> bool {
        self.opening().is_some_and(|gap| matches!(gap.reason, GapReason::Epoch | GapReason::Invalid))
    }

    /// Returns the gap that is delivered first.
    #[cold]
    fn open(&mut self, gap: Gap) -> Gap {
        self.shared.gaps.add(1);
        if let Kind::Multi(multi) = &mut self.kind {
            multi.base = if gap.snapshot { 0 } else { multi.base };
        }
        let sequence = self.kind.sequence_mut();
        let after = self.shared.cursor(*sequence);
        *sequence = if gap.snapshot { 0 } else { (*sequence).max(gap.cursor.sequence()) };
        if gap.reason == GapReason::Evicted { gap.with_after(after) } else { gap }
    }
}
