use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::time::Duration;

/// Command that holds memory while it waits.
pub(super) trait Weighted {
    /// Returns its bytes.
    fn weight(&self) -> usize;
}

/// Limits of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) commands: usize,
    /// Sum of the weights. A command that waits alone may be larger.
    pub(super) bytes: usize,
}

/// Commands in a queue, and their bytes.
#[derive(Debug, Default)]
struct Queued {
    commands: AtomicUsize,
    bytes: AtomicUsize,
}

/// Queue of commands to a thread, with limits.
#[derive(Debug)]
pub(super) struct Commands<C> {
    sender: Sender<C>,
    queued: Arc<Queued>,
    limits: QueueLimits,
}

/// Receiving half of [`Commands`].
#[derive(Debug)]
pub(super) struct CommandQueue<C> {
    receiver: Receiver<C>,
    queued: Arc<Queued>,
}

/// Command that was not queued: the queue is full, or its thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    Full,
    Closed,
}

/// Returns both halves of a queue.
pub(super) fn commands<C>(limits: QueueLimits) -> (Commands<C>, CommandQueue<C>) {
    let ((sender, receiver), queued) = (channel(), Arc::new(Queued::default()));
    (Commands { sender, queued: Arc::clone(&queued), limits }, CommandQueue { receiver, queued })
}

impl Queued {
    /// Adds a command. Returns the commands and the bytes that were there.
    fn add(&self, bytes: usize) -> (usize, usize) {
        (self.commands.fetch_add(1, Ordering::Relaxed), self.bytes.fetch_add(bytes, Ordering::Relaxed))
    }

    fn remove(&self, bytes: usize) {
        self.commands.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl<C: Weighted> Commands<C> {
    /// Returns the number of commands in the queue.
    pub(super) fn len(&self) -> usize {
        self.queued.commands.load(Ordering::Relaxed)
    }

    /// Queues a command although the queue is full. Returns it if the thread has ended, which carries out nothing.
    pub(super) fn send_always(&self, command: C) -> Option<C> {
        let weight = command.weight();
        self.queued.add(weight);
        let SendError(command) = self.sender.send(command).err()?;
        self.queued.remove(weight);
        Some(command)
    }

    pub(super) fn send(&self, command: C) -> Result<(), NotQueued> {
        let weight = command.weight();
        let (commands, bytes) = self.queued.add(weight);
        let is_full = commands >= self.limits.commands || commands > 0 && bytes + weight > self.limits.bytes;
        let sent = match is_full {
            true => Err(NotQueued::Full),
            false => self.sender.send(command).map_err(|_| NotQueued::Closed),
        };
        sent.inspect_err(|_| self.queued.remove(weight))
    }
}

impl<C: Weighted> CommandQueue<C> {
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
        self.queued.remove(command.weight());
        command
    }
}
