use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::reject::refused::RefusalCause;
use super::session::SessionState;
use super::session::session_table::Counts;
use crate::contract::Transport;
use crate::endpoint::session::SessionEnd;

/// Counts of everything that an endpoint has done since it was built. A snapshot: the numbers are not all of one
/// instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EndpointStats {
    /// The live sessions of each transport, in the order of [`Transport::ALL`]. A run of polls is of the kind that it
    /// began with; a short poll without a name is none.
    pub sessions: [usize; Transport::ALL.len()],
    /// The live sessions by their state, in the order of [`SessionState::ALL`].
    pub states: [usize; SessionState::ALL.len()],
    /// How many sessions there were: those live, and those that left.
    pub joined: u64,
    /// How many left for each reason, in the order of [`SessionEnd::ALL`].
    pub left: [u64; SessionEnd::ALL.len()],
    /// How many times a client was given a subscriber: polls, streams and WebSockets.
    pub attached: u64,
    /// Refused for its origin or its host.
    pub refused_origin: u64,
    /// Refused by the publisher, by its panic, or because its answer or snapshot is too large.
    pub refused_publisher: u64,
    /// Told to come back later: no place, or a drain.
    pub refused_busy: u64,
    /// Refused for what was wrong with the request.
    pub refused_request: u64,
    /// Refused because the endpoint lacks a driver or a spawner, or the server does not hand over its connections.
    pub refused_internal: u64,
    /// WebSocket messages that were ignored because the publisher takes none:
    /// [`Rejection::Unsupported`](crate::Rejection::Unsupported).
    pub ignored_messages: u64,
    /// Gaps in the place of events, or of snapshots, that are larger than
    /// [`max_event`](crate::EndpointBuilder::max_event).
    pub too_large: u64,
    /// Of those refused, how many softly: see [`max_soft_rejects`](crate::EndpointBuilder::max_soft_rejects).
    pub soft_rejected: u64,
    /// How many of these are still connected.
    pub soft_rejects: usize,
    /// Sessions, and replies of polls, that the write timeout ended.
    pub stalled: u64,
    /// Bodies that the HTTP stack still holds though the write timeout ended them. Each is an unread HTTP/1 connection, or
    /// a stream of an HTTP/2 connection, and takes 3 to 8 KiB of the stack's memory until its client goes.
    pub stalled_bodies: usize,
    /// Bytes of bodies given to the HTTP stack; a live one's within a write stall's time. Of a WebSocket those of its
    /// events, when it has left.
    pub bytes: u64,
}

impl EndpointStats {
    /// The live sessions of one transport.
    #[must_use]
    pub fn sessions_of(&self, transport: Transport) -> usize {
        self.sessions[transport as usize]
    }

    /// The live sessions that do this.
    #[must_use]
    pub fn sessions_in(&self, state: SessionState) -> usize {
        self.states[state as usize]
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
        }
    }

    /// The sessions that left for this reason.
    #[must_use]
    pub fn left_for(&self, why: SessionEnd) -> u64 {
        self.left[why as usize]
    }
}

/// The running counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    attached: AtomicU64,
    refused: [AtomicU64; RefusalCause::ALL.len()],
    ignored: AtomicU64,
    too_large: AtomicU64,
    stalled: AtomicU64,
    stalled_bodies: AtomicUsize,
    bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn refused(&self, cause: RefusalCause) {
        self.refused[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn attached(&self) {
        self.attached.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ignored_message(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
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

    pub(crate) fn read(&self, sessions: Counts, rejects: (usize, u64)) -> EndpointStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let refused = |cause: RefusalCause| read(&self.refused[cause as usize]);
        EndpointStats {
            sessions: sessions.transports,
            states: sessions.states,
            joined: sessions.joined,
            left: sessions.left,
            attached: read(&self.attached),
            refused_origin: refused(RefusalCause::Origin),
            refused_publisher: refused(RefusalCause::Publisher),
            refused_busy: refused(RefusalCause::Busy),
            refused_request: refused(RefusalCause::Request),
            refused_internal: refused(RefusalCause::Internal),
            ignored_messages: read(&self.ignored),
            too_large: read(&self.too_large),
            soft_rejected: rejects.1,
            soft_rejects: rejects.0,
            stalled: read(&self.stalled),
            stalled_bodies: self.stalled_bodies.load(Ordering::Relaxed),
            bytes: read(&self.bytes),
        }
    }
}
