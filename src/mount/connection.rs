use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Context;

use atomic_waker::AtomicWaker;

const SERVES: u8 = 0;
const FINISHES: u8 = 1;
const ABORTED: u8 = 2;

/// Handle of one connection of [`serve`](crate::server::serve), which puts a clone into the extensions of each request.
///
/// Other servers put none there. Clones refer to the same connection and may outlive it; a call then has no effect.
#[derive(Clone)]
pub(crate) struct ConnectionHandle(Arc<State>);

struct State {
    /// Only grows: an aborted connection stays aborted.
    order: AtomicU8,
    task: AtomicWaker,
}

/// State that a connection's task has to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionOrder {
    Serve,
    /// Answers the requests that have begun, and closes.
    Finish,
    /// Closes at once.
    Abort,
}

impl ConnectionHandle {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State { order: AtomicU8::new(SERVES), task: AtomicWaker::new() }))
    }

    /// Closes the connection once the requests that have begun are answered.
    pub(crate) fn finish(&self) {
        self.raise(FINISHES);
    }

    /// Closes the connection at once, with all of its requests: its task drops it, also while the peer takes nothing.
    ///
    /// An HTTP/1 connection that became a WebSocket has left its task, and is not closed.
    pub(crate) fn abort(&self) {
        self.raise(ABORTED);
    }

    /// Returns the order, and registers the task for the next one.
    pub(crate) fn poll_order(&self, cx: &Context<'_>) -> ConnectionOrder {
        if self.order() != ConnectionOrder::Abort {
            self.0.task.register(cx.waker());
        }
        // Read after the waker is registered: an order that came before it would wake nobody.
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
