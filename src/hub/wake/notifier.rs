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

/// How many it wakes before it lets other tasks run.
const WAKES: usize = 256;

/// NotifierQueue the subscribers of a [`LocalHub`](crate::LocalHub) in the place of who publishes, see
/// [`LocalHub::notifier`](crate::LocalHub::notifier).
///
/// A future for the application to run: as a task, or in one of its own. It is ready when the hub is closed. Dropped
/// before, it wakes whom it still should; from then on publishers wake by themselves again.
#[must_use = "a notifier wakes nobody unless it is polled"]
pub struct Notifier {
    wakes: Arc<NotifierQueue>,
    /// Whom it is waking: those before `next` are woken.
    woken: Vec<Option<Waker>>,
    next: usize,
    waiters: Option<Arc<dyn QueuedWaiters>>,
}

/// Waiters that a publisher leaves to the notifier: those of a log.
pub(crate) trait QueuedWaiters: fmt::Debug + Send + Sync {
    /// Takes the waiters that were queued.
    fn take_queued(&self) -> Vec<Option<Waker>>;

    /// Takes the emptied list back.
    fn give_back(&self, wakers: Vec<Option<Waker>>);
}

/// The topics whose waiters the notifier is to wake, each of them once. The waiters stay registered in their logs until
/// it comes to them, so nothing is held here for each of them.
#[derive(Debug, Default)]
pub(crate) struct NotifierQueue {
    /// A mirror of [`Queue::is_on`].
    is_on: Switch,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether there is a notifier.
    is_on: bool,
    is_closed: bool,
    waiters: VecDeque<Arc<dyn QueuedWaiters>>,
    /// The notifier's, where it waits.
    waker: Option<Waker>,
    /// Those that wait for the end of the notifier, to follow it.
    standby: Waiters<Waker>,
}

/// Whoever queued a topic wakes its waiters.
pub(crate) struct NoNotifier;

/// Result of the attempt to begin a notifier.
#[cfg(feature = "http")]
pub(crate) enum NotifierStart {
    First,
    Waits,
    Closed,
}

/// What a notifier finds in the queue.
enum QueueItem {
    Waiters(Arc<dyn QueuedWaiters>),
    Nothing,
    Closed,
}

impl Notifier {
    /// `None` while there is another.
    pub(crate) fn new(wakes: &Arc<NotifierQueue>) -> Option<Self> {
        let is_first = wakes.start();
        is_first.then(|| Self::begun(Arc::clone(wakes)))
    }

    /// Returns the notifier of a hub that was told of it.
    pub(crate) fn begun(wakes: Arc<NotifierQueue>) -> Self {
        Self { wakes, woken: Vec::new(), next: 0, waiters: None }
    }

    /// NotifierQueue some of those whom it is waking. False: that was all of them.
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

    /// Begins with those of a topic. The allocation goes back to where it came from.
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
            match self.wakes.turn(cx) {
                QueueItem::Waiters(waiters) => self.begin(Some(waiters)),
                QueueItem::Nothing => return Poll::Pending,
                QueueItem::Closed => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // Maybe because a waker panicked: a second panic would abort.
        let wake = |waker: Waker| drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        let (queued, standby) = self.wakes.stop();
        self.woken.drain(..).chain(standby).flatten().for_each(wake);
        for waiters in queued {
            waiters.take_queued().into_iter().flatten().for_each(wake);
        }
    }
}

impl NotifierQueue {
    /// Whether there is a notifier. It may be gone, or there may be one, a moment later.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.is_on()
    }

    /// There is a notifier now. False: there was one.
    fn start(&self) -> bool {
        let mut queue = self.queue.lock();
        self.is_on.set(true);
        !replace(&mut queue.is_on, true)
    }

    /// There is no notifier any more. Returns what it did not come to, and the wakers of those that may follow it.
    fn stop(&self) -> (VecDeque<Arc<dyn QueuedWaiters>>, Vec<Option<Waker>>) {
        let mut queue = self.queue.lock();
        self.is_on.set(false);
        queue.is_on = false;
        let (queued, waker, standby) = (take(&mut queue.waiters), queue.waker.take(), queue.standby.take());
        drop(queue);
        drop(waker);
        (queued, standby)
    }

    /// Begins a notifier. While there is another, registers the waker for the end of that one.
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

    /// Removes what [`start_or_wait`](Self::start_or_wait) registered.
    #[cfg(feature = "http")]
    pub(crate) fn wait_no_more(&self, ticket: &mut Ticket) {
        let waker = self.queue.lock().standby.cancel(ticket);
        drop(waker);
    }

    /// Has the notifier wake a topic's waiters, which are [queued](crate::hub::log::log::LogState::is_queued). Returns the waker
    /// of the notifier, if it waits.
    pub(crate) fn push(&self, waiters: Arc<dyn QueuedWaiters>) -> Result<Option<Waker>, NoNotifier> {
        let mut queue = self.queue.lock();
        if !queue.is_on || queue.is_closed {
            return Err(NoNotifier);
        }
        queue.waiters.push_back(waiters);
        Ok(queue.waker.take())
    }

    /// Nothing more is queued: the hub is closed. Returns the wakers of the notifier, if it waits, and of those that wait for
    /// its end.
    pub(crate) fn close(&self) -> Vec<Option<Waker>> {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        let mut wakers = queue.standby.take();
        wakers.push(queue.waker.take());
        drop(queue);
        wakers
    }

    /// The topic whose turn it is. Where there is none, the notifier waits for one.
    fn turn(&self, cx: &Context<'_>) -> QueueItem {
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
