//! Changes of a session's topics, as they wait in the session's entry.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::entry::{CHANGES, REGISTERS, SessionEntry, drop_catching};
use crate::contract::{BoxSubscriber, Rejection, Subscriber};
use crate::endpoint::accepted::Accepted;
use crate::model::{Cursor, Pattern};
use crate::time::{Clock, Rate};

/// Future of the publisher's answer to a change: the subscriber of the new topics.
pub(crate) type Subscribing = Pin<Box<dyn Future<Output = Result<Accepted<BoxSubscriber>, Rejection>> + Send>>;

/// Change of topics that the client asks for.
#[derive(Clone)]
pub(crate) struct ChangeRequest {
    pub(crate) topics: Arc<[Pattern]>,
    /// Asks the publisher for the subscriber of a client that is at this cursor.
    pub(crate) ask: Arc<dyn Fn(Cursor) -> Subscribing + Send + Sync>,
}

/// Changes of one session: the one that is under way, and the newest ones that wait.
#[derive(Default)]
pub(super) struct Changes {
    /// Newest change of the client that has not begun.
    waiting: Option<ChangeRequest>,
    /// Subscriber of the application's newest change. It precedes the client's.
    given: Option<Box<NewSubscriber>>,
    /// Change that is under way, unless the session's task has it.
    under_way: Option<TopicsChange>,
    rate: Rate,
}

/// Change that is under way.
pub(super) enum TopicsChange {
    /// The publisher has not been asked.
    New(ChangeRequest),
    /// The publisher was asked.
    Asked(ChangeRequest, Subscribing),
    /// The subscriber waits until the session's task swaps it in. Without a request it is the application's.
    Ready(Option<ChangeRequest>, Box<NewSubscriber>),
    /// The subscriber was swapped in when the client was at this cursor. The state of added topics may be on its way.
    Swapped(Arc<[Pattern]>, Cursor),
}

/// Subscriber that waits until it is swapped in.
pub(super) struct NewSubscriber {
    pub(super) accepted: Accepted<BoxSubscriber>,
    /// Cursor that the client has reached when the subscriber is swapped in: the subscriber may have no earlier events.
    pub(super) from: Option<Cursor>,
}

impl NewSubscriber {
    pub(super) fn new(accepted: Accepted<BoxSubscriber>) -> Box<Self> {
        let from = match accepted.subscriber.cursor() {
            // The state of a keyed topic comes first. The events of other topics begin at or before the head.
            Some(cursor) if !is_position(cursor, &accepted.subscriber) => accepted.subscriber.info().head(),
            cursor => cursor,
        };
        Box::new(Self { accepted, from })
    }
}

/// Returns whether a client at this cursor of a subscriber has everything up to it. A client that receives the state of a
/// keyed topic has a cursor without an epoch or with a tag. Tags of other sources have other meanings.
pub(super) fn is_position(cursor: Cursor, subscriber: &impl Subscriber) -> bool {
    cursor.epoch() != 0 && (cursor.tag().is_none() || !subscriber.info().keeps_state())
}

impl TopicsChange {
    fn request(&self) -> Option<&ChangeRequest> {
        match self {
            Self::New(request) | Self::Asked(request, _) | Self::Ready(Some(request), _) => Some(request),
            Self::Ready(None, _) | Self::Swapped(..) => None,
        }
    }
}

impl Changes {
    /// Takes the change under way. Also returns the one that it replaces, to be dropped under no lock.
    fn take(&mut self) -> (Option<TopicsChange>, Option<TopicsChange>) {
        let under_way = self.under_way.take();
        if let Some(TopicsChange::Swapped(..)) = under_way {
            return (under_way, None);
        }
        let Some(given) = self.given.take() else {
            return (under_way.or_else(|| self.waiting.take().map(TopicsChange::New)), None);
        };
        // The publisher is asked again after the application's change, unless the client has asked for a newer one.
        if let Some(request) = under_way.as_ref().and_then(TopicsChange::request) {
            self.waiting.get_or_insert_with(|| request.clone());
        }
        (Some(TopicsChange::Ready(None, given)), under_way)
    }
}

impl SessionEntry {
    /// Begins a change of the client, or lets it wait in the place of an older one. Returns `false` if the client has
    /// asked for more than `rate` in a second.
    pub(crate) fn change_topics(self: &Arc<Self>, request: ChangeRequest, rate: u32) -> bool {
        let now = self.shared.runtime.wheel.now();
        let mut locked = self.locked.lock();
        let Some(live) = locked.open_live() else { return true };
        if !live.changes.rate.admit(now, rate) {
            return false;
        }
        let replaced = live.changes.waiting.replace(request);
        self.set_signal(CHANGES, true);
        drop(locked);
        drop_catching(replaced);
        true
    }

    /// Lets the subscriber of the application's change wait for the session's task, in the place of an older one.
    /// Returns `false` if the session is not open.
    pub(crate) fn give_subscriber(self: &Arc<Self>, accepted: Accepted<BoxSubscriber>) -> bool {
        let given = NewSubscriber::new(accepted);
        let mut locked = self.locked.lock();
        let Some(live) = locked.open_live() else { return false };
        let replaced = live.changes.given.replace(given);
        self.set_signal(CHANGES | REGISTERS, true);
        drop(locked);
        drop_catching(replaced);
        self.wake_tasks();
        true
    }

    /// Returns whether a subscriber may take the place of the session's, as far as that is known now.
    pub(crate) fn may_change_to(&self, subscriber: &mut BoxSubscriber) -> bool {
        let head = self.locked.lock().head.clone();
        let Some(cursor) = subscriber.cursor() else { return false };
        let is_position = is_position(cursor, subscriber);
        let is_of_source = match head {
            Some(head) => !is_position || head.cursor().epoch() == cursor.epoch(),
            None => self.track.read().cursor.is_some(),
        };
        is_of_source && (!is_position || subscriber.skip_to(cursor))
    }

    /// Takes the change under way, for the session's task.
    pub(super) fn take_change(&self) -> Option<TopicsChange> {
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
    pub(super) fn put_change(&self, change: TopicsChange) {
        let mut locked = self.locked.lock();
        match locked.open_live() {
            Some(live) => live.changes.under_way = Some(change),
            None => {
                drop(locked);
                drop_catching(change);
            }
        }
    }
}
