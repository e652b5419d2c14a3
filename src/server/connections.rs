use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::endpoint::ConnectionHandle;

/// Open connections of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    live: Mutex<Live>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Live {
    next: u64,
    handles: HashMap<u64, ConnectionHandle>,
}

/// Entry of one open connection, which is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Open {
    connections: Connections,
    number: u64,
    handle: ConnectionHandle,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// Adds a connection.
    pub(super) fn open(&self, permit: OwnedSemaphorePermit, max_stalled: usize) -> Open {
        let handle = ConnectionHandle::new(max_stalled);
        let mut live = self.live();
        let number = live.next;
        live.next += 1;
        live.handles.insert(number, handle.clone());
        drop(live);
        Open { connections: self.clone(), number, handle, _permit: permit }
    }

    /// Closes each connection when its current requests are answered.
    pub(super) fn finish(&self) {
        self.handles().iter().for_each(ConnectionHandle::finish);
    }

    /// Closes each connection at once.
    pub(super) fn abort(&self) {
        self.handles().iter().for_each(ConnectionHandle::abort);
    }

    /// Waits until no connection is open.
    pub(super) async fn closed(&self) {
        loop {
            let closed = self.0.closed.notified();
            if self.live().handles.is_empty() {
                return;
            }
            closed.await;
        }
    }

    /// Returns copies of the handles. A handle wakes a task, which must not happen under the lock.
    fn handles(&self) -> Vec<ConnectionHandle> {
        self.live().handles.values().cloned().collect()
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    pub(super) fn handle(&self) -> &ConnectionHandle {
        &self.handle
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut live = self.connections.live();
        let handle = live.handles.remove(&self.number);
        let is_last = live.handles.is_empty();
        drop(live);
        drop(handle);
        if is_last {
            // At most one task waits. A task that begins to wait now finds the permit.
            self.connections.0.closed.notify_one();
        }
    }
}
