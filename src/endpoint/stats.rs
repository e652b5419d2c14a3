use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::instruments;
use super::reject::RefusalCause;
use super::session::SessionState;
use super::session::session_table::Counts;
use crate::contract::Transport;
use crate::endpoint::session::SessionEnd;

/// Counts of an endpoint since it was built, see [`Endpoint::stats`](crate::Endpoint::stats). The numbers are not all
/// of one instant.
///
/// ```
/// use tidings::{Endpoint, LocalHub, Transport};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), http::Error> {
/// let events = Endpoint::public(&LocalHub::new(), ["news"]);
/// let request = http::Request::get("/?transport=sse").header("host", "localhost").body(String::new())?;
/// let response = events.handle(request).await;
/// let stats = events.stats();
/// assert_eq!((stats.sessions_of(Transport::Sse), stats.subscribed), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EndpointStats {
    /// By transport.
    pub(crate) sessions: [usize; Transport::ALL.len()],
    /// By state.
    pub(crate) states: [usize; SessionState::ALL.len()],
    /// Number of sessions that began.
    pub joined: u64,
    /// By reason.
    pub(crate) left: [u64; SessionEnd::ALL.len()],
    /// Number of accepted requests to subscribe: polls, streams and WebSockets.
    pub subscribed: u64,
    /// Number of refusals of an origin or a host.
    pub refused_origin: u64,
    /// Number of rejections by the publisher, of its panics, and of its answers and snapshots that are too large.
    pub refused_publisher: u64,
    /// Number of refusals for now: a limit was reached, a call took too long, or the endpoint drained.
    pub refused_busy: u64,
    /// Number of malformed or too large requests and messages.
    pub refused_request: u64,
    /// Number of refusals because the endpoint lacks a driver or a spawner, or the server does not support upgrades.
    pub refused_internal: u64,
    /// Number of changes of [presence](crate::EndpointBuilder::presence) that were not published.
    pub refused_presence: u64,
    /// Number of published changes of [presence](crate::EndpointBuilder::presence).
    pub presence_changes: u64,
    /// Number of keys that are [present](crate::EndpointBuilder::presence), or were within the last second.
    pub present_keys: usize,
    /// Number of WebSocket messages that were ignored because the publisher takes none
    /// ([`Rejection::Unsupported`](crate::Rejection::Unsupported)).
    pub ignored_messages: u64,
    /// Number of [removals](crate::Event::removal) that clients of raw WebSocket frames did not get, because raw frames
    /// have no form for them. A removal counts once for each client.
    pub unsent_removals: u64,
    /// Number of gaps in place of events or snapshots that are larger than
    /// [`max_event`](crate::EndpointBuilder::max_event).
    pub too_large: u64,
    /// Number of refusals that were soft rejects: see [`max_soft_rejects`](crate::EndpointBuilder::max_soft_rejects).
    pub soft_rejected: u64,
    /// Number of soft rejects that are still connected.
    pub soft_rejects: usize,
    /// Number of sessions and replies of polls that the write timeout ended.
    pub stalled: u64,
    /// Number of bodies that the HTTP stack still holds although the write timeout ended them. Each is an HTTP/1
    /// connection or an HTTP/2 stream that is not read, and takes 3 to 8 KiB of the stack's memory until its client
    /// leaves.
    pub stalled_bodies: usize,
    /// Number of bytes of bodies that the HTTP stack took. Those of a live body are added within one write timeout, and
    /// those of a WebSocket's events when it has left.
    pub bytes: u64,
}

impl EndpointStats {
    /// Returns the number of live sessions of one transport. A poll session counts as the kind of its first poll. A short
    /// poll without a session name is no session.
    #[must_use]
    pub fn sessions_of(&self, transport: Transport) -> usize {
        self.sessions[transport as usize]
    }

    /// Returns the number of live sessions in one state.
    #[must_use]
    pub fn sessions_in(&self, state: SessionState) -> usize {
        self.states[state as usize]
    }

    /// Returns the number of live sessions.
    #[must_use]
    pub fn live(&self) -> usize {
        self.sessions.iter().sum()
    }

    /// Returns the number of sessions that ended.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.iter().sum()
    }

    /// Returns the number of refusals with this cause. Each is one call of
    /// [`on_refusal`](crate::EndpointBuilder::on_refusal).
    #[must_use]
    pub fn refused_for(&self, cause: RefusalCause) -> u64 {
        match cause {
            RefusalCause::Origin => self.refused_origin,
            RefusalCause::Publisher => self.refused_publisher,
            RefusalCause::Busy => self.refused_busy,
            RefusalCause::Request => self.refused_request,
            RefusalCause::Internal => self.refused_internal,
            RefusalCause::Presence => self.refused_presence,
        }
    }

    /// Returns the number of sessions that ended for this reason.
    #[must_use]
    pub fn left_for(&self, why: SessionEnd) -> u64 {
        self.left[why as usize]
    }
}

/// Counters behind [`EndpointStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    subscribed: AtomicU64,
    refused: [AtomicU64; RefusalCause::ALL.len()],
    ignored: AtomicU64,
    unsent_removals: AtomicU64,
    too_large: AtomicU64,
    stalled: AtomicU64,
    stalled_bodies: AtomicUsize,
    bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn refused(&self, cause: RefusalCause) {
        self.refused[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subscribed(&self, transport: Transport) {
        self.subscribed.fetch_add(1, Ordering::Relaxed);
        instruments::subscribed(transport);
    }

    pub(crate) fn ignored_message(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(feature = "websocket")]
    #[cold]
    pub(crate) fn unsent_removals(&self, count: u32) {
        self.unsent_removals.fetch_add(count.into(), Ordering::Relaxed);
    }

    pub(crate) fn too_large(&self) {
        self.too_large.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hold_stalled(&self) {
        self.stalled_bodies.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn drop_stalled(&self) {
        self.stalled_bodies.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn stalled(&self) {
        self.stalled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        if bytes != 0 {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, sessions: Counts, rejects: (usize, u64), presence: (usize, u64)) -> EndpointStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let refused = |cause: RefusalCause| read(&self.refused[cause as usize]);
        EndpointStats {
            sessions: sessions.transports,
            states: sessions.states,
            joined: sessions.joined,
            left: sessions.left,
            subscribed: read(&self.subscribed),
            refused_origin: refused(RefusalCause::Origin),
            refused_publisher: refused(RefusalCause::Publisher),
            refused_busy: refused(RefusalCause::Busy),
            refused_request: refused(RefusalCause::Request),
            refused_internal: refused(RefusalCause::Internal),
            refused_presence: refused(RefusalCause::Presence),
            presence_changes: presence.1,
            present_keys: presence.0,
            ignored_messages: read(&self.ignored),
            unsent_removals: read(&self.unsent_removals),
            too_large: read(&self.too_large),
            soft_rejected: rejects.1,
            soft_rejects: rejects.0,
            stalled: read(&self.stalled),
            stalled_bodies: self.stalled_bodies.load(Ordering::Relaxed),
            bytes: read(&self.bytes),
        }
    }
}
