use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};

use crate::conformance::engines::EngineUnderTest;
use crate::engine::EngineFuture;

/// Waker of a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a task on a thread of its own.
pub(super) fn run<K: EngineUnderTest>(kit: &Arc<K>, task: EngineFuture<()>) {
    let kit = Arc::clone(kit);
    thread::spawn(move || kit.block_on(task));
}

/// Runs a future on the current thread until it is ready.
pub(super) fn block_on(mut future: EngineFuture<()>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        thread::park();
    }
}
