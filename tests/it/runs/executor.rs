use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks that a test polls by hand. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Executor(Arc<Mutex<Tasks>>);

type Tasks = Vec<(Task, Arc<Flag>)>;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    /// Adds a task, which is polled in the next round.
    pub(super) fn spawn(&self, task: Task) {
        self.0.lock().unwrap().push((task, Arc::new(Flag(AtomicBool::new(true)))));
    }

    /// Polls each woken task once. Returns whether there was one.
    pub(super) fn round(&self) -> bool {
        // No lock is held while a task is polled, so that it may spawn others.
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        let mut polled = false;
        for (mut task, flag) in tasks {
            let is_woken = flag.0.swap(false, Ordering::Relaxed);
            polled |= is_woken;
            let waker = Waker::from(Arc::clone(&flag));
            if !is_woken || task.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
                self.0.lock().unwrap().push((task, flag));
            }
        }
        polled
    }

    /// Polls the woken tasks until none is woken.
    pub(super) fn run(&self) {
        while self.round() {}
    }

    /// Returns the number of tasks that have not ended.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Drops all tasks.
    pub(super) fn abort(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        drop(tasks);
    }
}
