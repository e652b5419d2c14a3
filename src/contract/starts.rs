use std::collections::BTreeMap;

use super::{Start, SubscribeError};
use crate::model::Pattern;

/// The starts of a subscription, for hubs: one for all topics, and those of topics that have their own.
///
/// Made by [`Subscribe::into_parts`](crate::Subscribe::into_parts).
#[derive(Debug, Clone, Default)]
pub struct Starts {
    all: Start,
    own: BTreeMap<Pattern, Start>,
}

const IS_CURSOR: &str = "a cursor is a position among all topics: give it to `Subscribe::start`";
const IS_UNKNOWN: &str = "name it in `Subscribe::topics` or `Subscribe::patterns` too";
const IS_COVERED: &str = "a pattern of the same subscription matches it: give the start to that one";

impl Starts {
    /// Returns the start of every topic and pattern without its own.
    #[must_use]
    pub fn all(&self) -> Start {
        self.all
    }

    /// Returns the start of a topic or pattern of the subscription.
    #[must_use]
    pub fn of(&self, name: &Pattern) -> Start {
        self.own_of(name).unwrap_or(self.all)
    }

    /// Returns the start of a topic or pattern if it has its own: never a cursor.
    #[inline]
    pub(crate) fn own_of(&self, name: &Pattern) -> Option<Start> {
        if self.own.is_empty() { None } else { self.own.get(name).copied() }
    }

    pub(super) fn set_all(&mut self, start: Start) {
        self.all = start;
    }

    pub(super) fn set_own(&mut self, name: Pattern, start: Start) -> Result<(), SubscribeError> {
        if matches!(start, Start::After(_) | Start::Unreadable) {
            return Err(SubscribeError::Start { name, why: IS_CURSOR });
        }
        self.own.insert(name, start);
        Ok(())
    }

    /// Checks them against the names of the subscription, and leaves out those that a cursor replaces.
    pub(super) fn checked(mut self, names: &[Pattern]) -> Result<Self, SubscribeError> {
        if self.own.is_empty() {
            return Ok(self);
        }
        if names.iter().filter(|name| self.own.contains_key(*name)).count() < self.own.len() {
            let unknown = self.own.into_keys().find(|name| !names.contains(name));
            return unknown.map_or(Ok(Self::default()), |name| Err(SubscribeError::Start { name, why: IS_UNKNOWN }));
        }
        let wide = || names.iter().filter(|name| name.as_topic().is_none());
        if let Some(name) = self.own.keys().find(|&own| wide().any(|wide| wide != own && wide.covers(own))) {
            return Err(SubscribeError::Start { name: name.clone(), why: IS_COVERED });
        }
        if matches!(self.all, Start::After(_) | Start::Unreadable) {
            self.own.clear();
        }
        Ok(self)
    }
}
