//! Changes of a session's topics, as they wait in the session's entry.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::entry::{CHANGES, REGISTERS, SessionEntry, drop_catching};
use super::lifecycle::Phase;
use crate::contract::{BoxSubscriber, Rejection};
use crate::endpoint::accepted::Accepted;
use crate::model::{Cursor, Pattern};
use crate::time::{Clock, Rate};

/// Future of the publisher's answer to a change: the subscriber of the new topics.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Accepted<BoxSubscriber>, Rejection>> + Send>>;

/// Change of topics that the client asks for.
#[derive(Clone)]
pub(crate) struct ChangeRequest {
    pub(crate) topics: Arc<[Pattern]>,
    /// Asks the publisher for the subscriber of a client that is at this cursor.
    pub(crate) ask: Arc<dyn Fn(Cursor) -> Answer + Send + Sync>,
}

/// Changes of one session: the one that is under way, and the newest ones that wait.
#[derive(Default)]
pub(super) struct Changes {
    /// Newest change of the client that has not begun.
    waiting: Option<ChangeRequest>,
    /// Subscriber of the application's newest change. It precedes the client's.
    given: Option<Accepted<BoxSubscriber>>,
    /// Change that is under way, unless the session's task has it.
    under_way: Option<Change>,
    rate: Rate,
}

/// Change that is under way.
pub(super) enum Change {
    /// The publisher has not been asked.
    New(ChangeRequest),
    /// The publisher was asked.
    Asked(ChangeRequest, Answer),
    /// The subscriber waits until the session's task swaps it in. Without a request it is the application's.
    Ready(Option<ChangeRequest>, Box<Accepted<BoxSubscriber>>),
    /// The subscriber was swapped in when the client was at this cursor. The state of added topics may be on its way.
    Swapped(Arc<[Pattern]>, Cursor),
}

impl Change {
    fn request(&self) -> Option<&ChangeRequest> {
        match self {
            Self::New(request) | Self::Asked(request, _) | Self::Ready(Some(request), _) => Some(request),
            Self::Ready(None, _) | Self::Swapped(..) => None,
        }
    }
}

impl Changes {
    /// Takes the change that goes on. Also returns the one that it replaces, to be dropped under no lock.
    fn take(&mut self) -> (Option<Change>, Option<Change>) {
        let under_way = self.under_way.take();
        if let Some(Change::Swapped(..)) = under_way {
            return (under_way, None);
        }
        let Some(given) = self.given.take() else {
            return (under_way.or_else(|| self.waiting.take().map(Change::New)), None);
        };
        // The publisher is asked again after the application's change, unless the client has asked for a newer one.
        if let Some(request) = under_way.as_ref().and_then(Change::request) {
            self.waiting.get_or_insert_with(|| request.clone());
        }
        (Some(Change::Ready(None, Box::new(given))), under_way)
    }
}

impl SessionEntry {
    /// Begins a change of the client, or lets it wait in the place of an older one. Returns `false` if the client has asked
    /// for more than `rate` in a second.
    #[cfg_attr(not(feature = "websocket"), expect(dead_code, reason = "only WebSockets have messages in a session"))]
    pub(crate) fn change_topics(self: &Arc<Self>, request: ChangeRequest, rate: u32) -> bool {
        let now = self.shared.runtime.wheel.now();
        let mut locked = self.locked.lock();
        let is_open = locked.lifecycle.phase() == Phase::Open;
        let Some(live) = locked.live_or_new().filter(|_| is_open) else { return true };
        if !live.changes.rate.admit(now, rate) {
            return false;
        }
        let replaced = live.changes.waiting.replace(request);
        self.set_signal(CHANGES, true);
        drop(locked);
        drop_catching(replaced);
        true
    }

    /// Lets the subscriber of the application's change wait for the session's task, in the place of an older one. Returns
    /// `false` if the session is not open.
    pub(crate) fn give_subscriber(self: &Arc<Self>, accepted: Accepted<BoxSubscriber>) -> bool {
        let mut locked = self.locked.lock();
        let is_open = locked.lifecycle.phase() == Phase::Open;
        let Some(live) = locked.live_or_new().filter(|_| is_open) else { return false };
        let replaced = live.changes.given.replace(accepted);
        self.set_signal(CHANGES | REGISTERS, true);
        drop(locked);
        drop_catching(replaced);
        self.wake_tasks();
        true
    }

    /// Returns whether the session may be at a position of the same source as this one, as far as that is known.
    pub(crate) fn may_be_at(&self, position: Cursor) -> bool {
        match self.track.read().cursor {
            Some(cursor) => cursor.epoch() == position.epoch(),
            // A client that receives a snapshot has no position yet.
            None => self.locked.lock().head.is_some(),
        }
    }

    /// Takes the change that goes on, for the session's task.
    pub(super) fn take_change(&self) -> Option<Change> {
        let mut locked = self.locked.lock();
        let (change, replaced) = locked.live().map(|live| live.changes.take()).unwrap_or_default();
        if change.is_none() {
            self.set_signal(CHANGES, false);
        }
        drop(locked);
        drop_catching(replaced);
        change
    }

    /// Puts back the change that the session's task took. It is dropped if the session is no longer open.
    pub(super) fn put_change(&self, change: Change) {
        let mut locked = self.locked.lock();
        let is_open = locked.lifecycle.phase() == Phase::Open;
        match locked.live().filter(|_| is_open) {
            Some(live) => live.changes.under_way = Some(change),
            None => {
                drop(locked);
                drop_catching(change);
            }
        }
    }
}
