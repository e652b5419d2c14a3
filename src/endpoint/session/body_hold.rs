//! Bodies that the HTTP stack holds, though their clients may not read them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::{SessionEntry, drop_catching};
use super::event_stream::EventStream;
use super::lifecycle::Input;
use crate::endpoint::connection::{ConnectionHandle, Hop};
use crate::endpoint::stats::Counters;

/// Hold of the HTTP stack on a body.
#[derive(Debug, Default)]
pub(super) struct BodyHold {
    /// Under [`serve`](crate::server::serve).
    connection: Option<ConnectionHandle>,
    state: BodyState,
    /// Whether the body has the connection to itself.
    is_alone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum BodyState {
    #[default]
    Live,
    /// The body is counted among those that the HTTP stack holds though their write timed out.
    Stalled,
    Dropped,
}

impl BodyHold {
    /// Counts a body whose client takes nothing, unless the HTTP stack dropped it. Returns its connection if that is to be
    /// aborted.
    pub(super) fn stall(&mut self, counters: &Counters) -> Option<ConnectionHandle> {
        if self.state != BodyState::Live {
            return None;
        }
        self.state = BodyState::Stalled;
        counters.hold_stalled();
        let is_alone = self.is_alone;
        self.connection.as_ref().filter(|connection| connection.begin_stall(is_alone)).cloned()
    }

    /// Notes that the HTTP stack dropped the body. Returns the handle of its connection, which is dropped under no lock.
    fn end(&mut self, counters: &Counters) -> Option<ConnectionHandle> {
        let connection = self.connection.take();
        if std::mem::replace(&mut self.state, BodyState::Dropped) == BodyState::Stalled {
            counters.drop_stalled();
            connection.iter().for_each(ConnectionHandle::end_stall);
        }
        connection
    }
}

impl SessionEntry {
    /// Puts back the source of a body that yielded so many bytes, so that the driver can drop it. Returns whether the bytes
    /// may go out.
    #[inline(always)]
    pub(crate) fn put_stream(self: &Arc<Self>, stream: EventStream, bytes: usize) -> bool {
        let mut locked = self.locked.lock();
        if self.is_cut_off() {
            drop(locked);
            drop_shut(stream);
            return false;
        }
        let watches = locked.lifecycle.wrote(bytes);
        let none = locked.stream.replace(stream);
        self.is_read.store(false, Ordering::Relaxed);
        // The lock first.
        drop((locked, none));
        if watches {
            self.watch();
        }
        true
    }

    #[cold]
    fn watch(self: &Arc<Self>) {
        self.give(Input::Watch);
    }

    /// Takes the source of a body, to poll it. `None`: the driver dropped it, or a poll that panicked.
    #[inline]
    pub(crate) fn take_stream(&self) -> Option<EventStream> {
        self.locked.lock().stream.take()
    }

    /// Notes that the HTTP stack asks for more, though there is no more.
    #[inline]
    pub(crate) fn note_read(&self) {
        self.is_read.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Relaxed)
    }

    /// Notes the connection that the body goes out by.
    pub(crate) fn set_hop(&self, hop: Hop) {
        let mut locked = self.locked.lock();
        locked.body = BodyHold { is_alone: hop.is_alone(), connection: hop.into_handle(), state: BodyState::Live };
    }

    /// Notes that the HTTP stack dropped the body.
    pub(crate) fn drop_body(&self) {
        let mut locked = self.locked.lock();
        let connection = locked.body.end(&self.shared.counters);
        // The lock first: the last handle drops a waker.
        drop((locked, connection));
    }
}

#[cold]
fn drop_shut(stream: EventStream) {
    drop_catching(stream);
}
