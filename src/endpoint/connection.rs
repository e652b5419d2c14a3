use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::Context;

use atomic_waker::AtomicWaker;
use http::Version;
use http::request::Parts;

use crate::endpoint::stream::live_body::{FIRST_FRAME, MAX_FRAME};

const SERVES: u8 = 0;
const FINISHES: u8 = 1;
const ABORTED: u8 = 2;

/// Handle of one connection of [`serve`](crate::server::serve), which puts a clone into the extensions of each request.
/// Other servers put none there.
///
/// Clones refer to the same connection and may outlive it; a call then has no effect.
#[derive(Clone)]
pub(crate) struct ConnectionHandle(Arc<State>);

struct State {
    /// Only increases: an aborted connection stays aborted.
    order: AtomicU8,
    /// Number of bodies that hyper still holds although their write timed out.
    stalled: AtomicUsize,
    /// Number of stalled streams of an HTTP/2 connection above which it is aborted.
    max_stalled: usize,
    task: AtomicWaker,
}

/// Order to the task of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionOrder {
    Serve,
    /// Answer the requests that have begun, then close.
    Finish,
    /// Close at once.
    Abort,
}

impl ConnectionHandle {
    pub(crate) fn new(max_stalled: usize) -> Self {
        Self(Arc::new(State {
            order: AtomicU8::new(SERVES),
            stalled: AtomicUsize::new(0),
            max_stalled,
            task: AtomicWaker::new(),
        }))
    }

    /// Closes the connection once the requests that have begun are answered.
    pub(crate) fn finish(&self) {
        self.raise(FINISHES);
    }

    /// Closes the connection at once, with all of its requests, even while the peer does not read. An HTTP/1 connection
    /// that became a WebSocket has left its task, and is not closed.
    pub(crate) fn abort(&self) {
        self.raise(ABORTED);
    }

    /// Notes that the write of a body timed out. Returns whether to abort the connection: if the body is alone on it,
    /// as on HTTP/1, or if too many of its streams are stalled.
    pub(crate) fn begin_stall(&self, is_alone: bool) -> bool {
        let before = self.0.stalled.fetch_add(1, Ordering::Relaxed);
        is_alone || before >= self.0.max_stalled
    }

    /// Notes that hyper dropped a stalled body.
    pub(crate) fn end_stall(&self) {
        self.0.stalled.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the order, and registers the task for the next one.
    pub(crate) fn poll_order(&self, cx: &Context<'_>) -> ConnectionOrder {
        if self.order() != ConnectionOrder::Abort {
            self.0.task.register(cx.waker());
        }
        // Read after the waker is registered, so that an order between the two is seen here.
        self.order()
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.order() == ConnectionOrder::Abort
    }

    fn order(&self) -> ConnectionOrder {
        match self.0.order.load(Ordering::Acquire) {
            SERVES => ConnectionOrder::Serve,
            FINISHES => ConnectionOrder::Finish,
            _ => ConnectionOrder::Abort,
        }
    }

    fn raise(&self, order: u8) {
        if self.0.order.fetch_max(order, Ordering::AcqRel) < order {
            self.0.task.wake();
        }
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionHandle").field(&self.order()).finish()
    }
}

/// Facts about the connection of a request that the response body needs.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    version: Version,
    /// `None` under other servers than [`serve`](crate::server::serve).
    handle: Option<ConnectionHandle>,
}

impl Hop {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self { version: parts.version, handle: parts.extensions.get().cloned() }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Returns whether a body is alone on the connection.
    pub(crate) fn is_alone(&self) -> bool {
        self.version < Version::HTTP_2
    }

    pub(crate) fn into_handle(self) -> Option<ConnectionHandle> {
        self.handle
    }

    /// Returns the most bytes of a body's first frame.
    pub(crate) fn first_frame(&self) -> usize {
        if self.is_alone() { MAX_FRAME } else { FIRST_FRAME }
    }
}
