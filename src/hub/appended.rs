use std::sync::Arc;
use std::task::Waker;

use crate::hub::late_marks::Marking;
use crate::hub::log::{Follower, Log};
use crate::hub::segment::Evicted;

/// Work that an append leaves for the time after the locks are released.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub(super) wakers: Vec<Option<Waker>>,
    /// The log's waiters are to be queued for the notifier.
    pub(super) queues: bool,
    pub(super) followers: Vec<Option<Follower>>,
    /// The wakers of those whose inboxes are marked, and the notifier's.
    pub(super) marked: Vec<Option<Waker>>,
    pub(super) subscriptions: u32,
    pub(super) idle: bool,
    /// Dropped late: the events in it are the user's.
    pub(super) evicted: Vec<Evicted>,
    /// Work that the same event leaves in each pattern's log that it went to.
    pub(super) fed: Vec<(Arc<Log>, Self)>,
}

/// Work that an eviction for the budget leaves for the time after the lock is released.
#[derive(Debug)]
pub(super) struct Relief<'a> {
    pub(super) evicted: Evicted,
    /// Wakers of the readers that wait with the segment in hand. It is free when they have looked.
    pub(super) wakers: Vec<Option<Waker>>,
    /// Those of them that follow several topics. They are to be marked.
    pub(super) followers: Vec<Option<Follower>>,
    pub(super) marking: Option<Marking<'a>>,
    pub(super) idle: bool,
}

impl Appended {
    /// Returns the number of inboxes that the event concerns.
    #[inline]
    pub(super) fn followers(&self) -> usize {
        self.fed.iter().map(|(_, fed)| fed.followers.len()).sum::<usize>() + self.followers.len()
    }

    /// Marks the inboxes that the event concerns.
    #[inline]
    pub(super) fn mark(&mut self) {
        if !self.followers.is_empty() {
            self.marked.reserve_exact(self.followers.len());
            self.marked.extend(self.followers.iter().flatten().filter_map(Follower::mark).map(Some));
        }
        self.fed.iter_mut().for_each(|(_, fed)| fed.mark());
    }

    /// Whether nothing is left to be done: nobody waited, and nothing is to be let go of.
    pub(super) fn is_settled(&self) -> bool {
        self.wakers.is_empty()
            && !self.queues
            && self.followers.is_empty()
            && self.evicted.is_empty()
            && !self.idle
            && self.fed.is_empty()
    }

    /// How many subscriptions follow the topic, itself or by a pattern.
    pub(super) fn subscribers(&self) -> usize {
        (self.subscriptions + self.fed.iter().map(|(_, fed)| fed.subscriptions).sum::<u32>()) as usize
    }
}
