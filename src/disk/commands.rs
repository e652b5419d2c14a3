use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Queue of commands to a thread, with a limit.
#[derive(Debug)]
pub(super) struct Commands<C> {
    sender: Sender<C>,
    queued: Arc<AtomicUsize>,
    most: usize,
}

/// Receiving half of [`Commands`].
#[derive(Debug)]
pub(super) struct CommandQueue<C> {
    receiver: Receiver<C>,
    queued: Arc<AtomicUsize>,
}

/// Command that was not queued: the queue is full, or its thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    Full,
    Closed,
}

/// Returns both halves of a queue of at most `most` commands.
pub(super) fn commands<C>(most: usize) -> (Commands<C>, CommandQueue<C>) {
    let ((sender, receiver), queued) = (channel(), Arc::new(AtomicUsize::new(0)));
    (Commands { sender, queued: Arc::clone(&queued), most }, CommandQueue { receiver, queued })
}

impl<C> Commands<C> {
    /// Returns the number of commands in the queue.
    pub(super) fn len(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Queues a command although the queue is full: the last one.
    pub(super) fn send_last(&self, command: C) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        // A thread that has ended needs no end.
        let _ = self.sender.send(command);
    }

    pub(super) fn send(&self, command: C) -> Result<(), NotQueued> {
        if self.queued.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            return Err(NotQueued::Full);
        }
        self.sender.send(command).map_err(|_| {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            NotQueued::Closed
        })
    }
}

impl<C> CommandQueue<C> {
    /// Returns the next command. Waits for it at most for a time. `Ok(None)` after that; `Err` if none follows.
    pub(super) fn wait(&self, time: Duration) -> Result<Option<C>, ()> {
        match self.receiver.recv_timeout(time) {
            Ok(command) => Ok(Some(self.taken(command))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        }
    }

    /// Returns the next command if there is one.
    pub(super) fn next(&self) -> Option<C> {
        self.receiver.try_recv().ok().map(|command| self.taken(command))
    }

    fn taken(&self, command: C) -> C {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        command
    }
}
