use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem::{replace, take};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::hub::sync::{Mutex, Switch};
#[cfg(feature = "http")]
use crate::hub::wake::waiters::Ticket;
use crate::hub::wake::waiters::Waiters;

/// Number of wakers that one poll calls before other tasks run.
const WAKES: usize = 256;

/// Future that wakes the subscribers of a [`LocalHub`](crate::LocalHub) in place of its publishers, see
/// [`LocalHub::notifier`](crate::LocalHub::notifier).
///
/// The application runs it as a task, or as a part of one. It is ready when the hub is closed. If it is dropped before,
/// it wakes the subscribers that are still queued, and publishers wake subscribers themselves again.
#[must_use = "a notifier wakes no subscriber unless it is polled"]
pub(crate) struct Notifier {
    wakes: Arc<NotifierQueue>,
    /// Wakers of the current log: those before `next` have been called.
    woken: Vec<Option<Waker>>,
    next: usize,
    waiters: Option<Arc<dyn QueuedWaiters>>,
}

/// Waiters of one log, which a publisher leaves to the notifier.
pub(crate) trait QueuedWaiters: fmt::Debug + Send + Sync {
    /// Takes the waiters that were queued.
    fn take_queued(&self) -> Vec<Option<Waker>>;

    /// Takes the emptied list back.
    fn give_back(&self, wakers: Vec<Option<Waker>>);
}

/// Queue of the logs whose waiters the notifier is to wake, each of them once. The waiters stay registered in their
/// logs until then, so the queue holds nothing for each of them.
#[derive(Debug, Default)]
pub(crate) struct NotifierQueue {
    /// Mirror of [`Queue::is_on`].
    is_on: Switch,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether there is a notifier.
    is_on: bool,
    is_closed: bool,
    waiters: VecDeque<Arc<dyn QueuedWaiters>>,
    /// Waker of the notifier while it waits.
    waker: Option<Waker>,
    /// Tasks that wait for the end of the notifier to replace it.
    standby: Waiters<Waker>,
}

/// Error of [`NotifierQueue::push`]: the publisher must wake the waiters itself.
pub(crate) struct NoNotifier;

/// Result of the attempt to start a notifier.
#[cfg(feature = "http")]
pub(crate) enum NotifierStart {
    First,
    Waits,
    Closed,
}

/// Next entry of the queue.
enum QueueItem {
    Waiters(Arc<dyn QueuedWaiters>),
    Nothing,
    Closed,
}

impl Notifier {
    /// Returns the notifier of a hub; `None` while there is another.
    pub(crate) fn new(wakes: &Arc<NotifierQueue>) -> Option<Self> {
        let is_first = wakes.start();
        is_first.then(|| Self::begun(Arc::clone(wakes)))
    }

    /// Returns the notifier of a hub whose queue is switched on.
    pub(crate) fn begun(wakes: Arc<NotifierQueue>) -> Self {
        Self { wakes, woken: Vec::new(), next: 0, waiters: None }
    }

    /// Wakes some of the current waiters. Returns `false` if none are left.
    fn wake(&mut self, left: &mut usize) -> bool {
        while let Some(waker) = self.woken.get_mut(self.next) {
            if *left == 0 {
                return true;
            }
            *left -= 1;
            self.next += 1;
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
        false
    }

    /// Begins with the waiters of a log. Returns the allocation of the previous log to it.
    fn begin(&mut self, waiters: Option<Arc<dyn QueuedWaiters>>) {
        let mut woken = take(&mut self.woken);
        woken.clear();
        if let Some(waiters) = self.waiters.take() {
            waiters.give_back(woken);
        }
        self.next = 0;
        self.woken = waiters.as_ref().map(|waiters| waiters.take_queued()).unwrap_or_default();
        self.waiters = waiters;
    }
}

impl Future for Notifier {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut left = WAKES;
        loop {
            if self.wake(&mut left) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.begin(None);
            match self.wakes.poll_item(cx) {
                QueueItem::Waiters(waiters) => self.begin(Some(waiters)),
                QueueItem::Nothing => return Poll::Pending,
                QueueItem::Closed => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // A waker may have panicked: a second panic would abort.
        let wake = |waker: Waker| drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        let (queued, standby) = self.wakes.stop();
        self.woken.drain(..).chain(standby).flatten().for_each(wake);
        for waiters in queued {
            waiters.take_queued().into_iter().flatten().for_each(wake);
        }
    }
}

impl NotifierQueue {
    /// Returns whether there is a notifier. The answer may be outdated a moment later.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.is_on()
    }

    /// Switches the queue on. Returns `false` if there was a notifier.
    fn start(&self) -> bool {
        let mut queue = self.queue.lock();
        self.is_on.set(true);
        !replace(&mut queue.is_on, true)
    }

    /// Switches the queue off. Returns the waiters that are still queued, and the wakers of the tasks that may replace
    /// the notifier.
    fn stop(&self) -> (VecDeque<Arc<dyn QueuedWaiters>>, Vec<Option<Waker>>) {
        let mut queue = self.queue.lock();
        self.is_on.set(false);
        queue.is_on = false;
        let (queued, waker, standby) = (take(&mut queue.waiters), queue.waker.take(), queue.standby.take());
        drop(queue);
        drop(waker);
        (queued, standby)
    }

    /// Switches the queue on. While there is a notifier, registers the waker for its end instead.
    #[cfg(feature = "http")]
    pub(crate) fn start_or_wait(&self, ticket: &mut Ticket, waker: Waker) -> NotifierStart {
        let mut queue = self.queue.lock();
        let (begun, unused) = match (queue.is_closed, queue.is_on) {
            (true, _) => (NotifierStart::Closed, Some(waker)),
            (false, true) => (NotifierStart::Waits, queue.standby.register(ticket, waker)),
            (false, false) => {
                self.is_on.set(true);
                queue.is_on = true;
                (NotifierStart::First, Some(waker))
            }
        };
        drop(queue);
        drop(unused);
        begun
    }

    /// Removes the registration of [`start_or_wait`](Self::start_or_wait).
    #[cfg(feature = "http")]
    pub(crate) fn cancel_wait(&self, ticket: &mut Ticket) {
        let waker = self.queue.lock().standby.cancel(ticket);
        drop(waker);
    }

    /// Queues the waiters of a log. Returns the waker of the notifier if it waits.
    pub(crate) fn push(&self, waiters: Arc<dyn QueuedWaiters>) -> Result<Option<Waker>, NoNotifier> {
        let mut queue = self.queue.lock();
        if !queue.is_on || queue.is_closed {
            return Err(NoNotifier);
        }
        queue.waiters.push_back(waiters);
        Ok(queue.waker.take())
    }

    /// Closes the queue. Returns the wakers of the notifier, if it waits, and of the tasks that wait for its end.
    pub(crate) fn close(&self) -> Vec<Option<Waker>> {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        let mut wakers = queue.standby.take();
        wakers.push(queue.waker.take());
        drop(queue);
        wakers
    }

    /// Returns the next entry. Registers the notifier if the queue is empty.
    fn poll_item(&self, cx: &Context<'_>) -> QueueItem {
        // Cloned before the lock: a waker is the executor's code.
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        let (turn, unused) = match queue.waiters.pop_front() {
            Some(waiters) => (QueueItem::Waiters(waiters), Some(waker)),
            None if queue.is_closed => (QueueItem::Closed, Some(waker)),
            None => (QueueItem::Nothing, queue.waker.replace(waker)),
        };
        drop(queue);
        drop(unused);
        turn
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("waking", &(self.woken.len() - self.next)).finish_non_exhaustive()
    }
}
