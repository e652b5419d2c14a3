use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{EventFilter, Start, SubscribeError};
use crate::model::{Overflow, Pattern};

/// Start and overflow of a subscription's topics: the common ones, and those of topics that have their own.
///
/// [`Subscribe::into_parts`](crate::Subscribe::into_parts) returns it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubscribeOptions {
    start: Start,
    overflow: Overflow,
    /// Boxed because most subscriptions have none, and the options are moved.
    rare: Option<Box<RareOptions>>,
}

/// Options that most subscriptions do not have.
#[derive(Debug, Clone, Default)]
struct RareOptions {
    own: BTreeMap<Pattern, Own>,
    added: BTreeSet<Pattern>,
    filter: Option<EventFilter>,
    continues: bool,
}

/// Options of one topic or pattern.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    start: Option<Start>,
    overflow: Option<Overflow>,
}

impl SubscribeOptions {
    /// Returns the start of every topic and pattern without its own.
    #[must_use]
    pub(crate) fn start(&self) -> Start {
        self.start
    }

    /// Returns the start of a topic or pattern of the subscription. If [`start`](Self::start) is a cursor, it applies to all.
    #[must_use]
    pub(crate) fn start_of(&self, name: &Pattern) -> Start {
        self.own_start(name).unwrap_or(self.start)
    }

    /// Returns the overflow of a topic or pattern of the subscription.
    #[must_use]
    pub(crate) fn overflow_of(&self, name: &Pattern) -> Overflow {
        self.own_of(name).and_then(|own| own.overflow).unwrap_or(self.overflow)
    }

    /// Returns the own start of a topic or pattern, if it has one. It is not a cursor.
    pub(crate) fn own_start(&self, name: &Pattern) -> Option<Start> {
        self.own_of(name).filter(|_| !is_cursor(self.start)).and_then(|own| own.start)
    }

    /// Returns whether the client did not follow the topic or pattern up to its cursor.
    #[must_use]
    pub(crate) fn is_added(&self, name: &Pattern) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.added.contains(name))
    }

    fn own_of(&self, name: &Pattern) -> Option<&Own> {
        self.rare.as_ref()?.own.get(name)
    }

    pub(super) fn set_start(&mut self, start: Start) {
        self.start = start;
    }

    pub(super) fn set_added(&mut self, names: impl IntoIterator<Item = Pattern>) {
        self.rare().added.extend(names);
    }

    pub(super) fn set_filter(&mut self, filter: EventFilter) {
        self.rare().filter = Some(filter);
    }

    /// Returns the predicate of the events that are delivered, if there is one.
    #[must_use]
    pub(crate) fn into_filter(self) -> Option<EventFilter> {
        self.rare?.filter
    }

    /// Replaces [`Overflow::Gap`] by [`Overflow::Disconnect`]. Returns whether that was one of the options.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn disconnect(&mut self) -> bool {
        let own = self.rare.iter_mut().flat_map(|rare| rare.own.values_mut()).filter_map(|own| own.overflow.as_mut());
        let mut disconnects = false;
        for overflow in std::iter::once(&mut self.overflow).chain(own) {
            disconnects |= *overflow == Overflow::Disconnect;
            if *overflow == Overflow::Gap {
                *overflow = Overflow::Disconnect;
            }
        }
        disconnects
    }

    /// Returns whether every topic and pattern starts now.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn starts_now(&self) -> bool {
        let own = self.rare.iter().flat_map(|rare| rare.own.values()).filter_map(|own| own.start);
        std::iter::once(self.start).chain(own).all(|start| start == Start::Now)
    }

    /// Starts every topic and pattern now, without the states of keyed topics.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn continue_now(&mut self) {
        self.start = Start::Now;
        let rare = self.rare();
        rare.continues = true;
        rare.added.clear();
        rare.own.values_mut().for_each(|own| own.start = None);
    }

    /// Returns whether keyed topics start without their states.
    pub(crate) fn continues(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.continues)
    }

    fn rare(&mut self) -> &mut RareOptions {
        self.rare.get_or_insert_default()
    }

    pub(super) fn set_overflow(&mut self, overflow: Overflow) {
        self.overflow = overflow;
    }

    pub(super) fn set_start_of(&mut self, name: Pattern, start: Start) -> Result<(), SubscribeError> {
        if is_cursor(start) {
            return Err(SubscribeError::OwnCursor(name));
        }
        self.rare().own.entry(name).or_default().start = Some(start);
        Ok(())
    }

    pub(super) fn set_overflow_of(&mut self, name: Pattern, overflow: Overflow) {
        self.rare().own.entry(name).or_default().overflow = Some(overflow);
    }

    /// Checks that the names with their own options are names of the subscription, and that no other pattern covers them.
    #[inline]
    pub(super) fn check(&self, names: &[Pattern]) -> Result<(), SubscribeError> {
        match &self.rare {
            None => Ok(()),
            Some(rare) => Self::check_own(&rare.own, names),
        }
    }

    #[cold]
    fn check_own(own: &BTreeMap<Pattern, Own>, names: &[Pattern]) -> Result<(), SubscribeError> {
        let names: HashSet<_> = names.iter().map(Pattern::as_str).collect();
        if let Some(name) = own.keys().find(|name| !names.contains(name.as_str())) {
            return Err(SubscribeError::NotFollowed(name.clone()));
        }
        let covered = own.keys().find(|name| name.covering().any(|other| names.contains(other.as_str())));
        covered.map_or(Ok(()), |name| Err(SubscribeError::Covered(name.clone())))
    }
}

fn is_cursor(start: Start) -> bool {
    matches!(start, Start::After(_) | Start::Unreadable)
}
