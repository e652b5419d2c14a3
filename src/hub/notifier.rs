use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem::{replace, take};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::hub::log::Log;
use crate::hub::shared::Shared;
use crate::hub::sync::{Mutex, Switch};
#[cfg(feature = "http")]
use crate::hub::waiters::Ticket;
use crate::hub::waiters::Waiters;

/// How many it wakes before it lets other tasks run.
const WAKES: usize = 256;

/// Wakes the subscribers of a [`LocalHub`](crate::LocalHub) in place of the publishers, see
/// [`LocalHub::notifier`](crate::LocalHub::notifier).
///
/// A future for the application to run: as a task, or in one of its own. It is ready when the hub is closed. If it is
/// dropped before, it wakes the subscribers that it still has to wake; from then on publishers wake by themselves
/// again.
#[must_use = "a notifier wakes nobody unless it is polled"]
pub(super) struct Notifier {
    shared: Arc<Shared>,
    /// Waiters that it is waking: those before `next` are woken.
    woken: Vec<Option<Waker>>,
    next: usize,
    log: Option<Arc<Log>>,
}

/// The topics whose waiters the notifier is to wake, each of them once. The waiters stay registered in their logs until
/// it comes to them, so nothing is held here for each of them.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    /// A mirror of [`Queue::is_on`].
    is_on: Switch,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether there is a notifier.
    is_on: bool,
    is_closed: bool,
    logs: VecDeque<Arc<Log>>,
    /// The notifier's, where it waits.
    waker: Option<Waker>,
    /// Those that wait for the end of the notifier, to follow it.
    standby: Waiters<Waker>,
}

/// Error of a hub without a notifier. The caller wakes the topic's waiters.
pub(super) struct NoNotifier;

/// Result of the attempt to begin a notifier.
#[cfg(feature = "http")]
pub(super) enum Begun {
    First,
    Waits,
    Closed,
}

/// Next entry of the notifier's queue.
enum Turn {
    Log(Arc<Log>),
    Nothing,
    Closed,
}

impl Notifier {
    /// `None` while there is another.
    pub(super) fn new(shared: &Arc<Shared>) -> Option<Self> {
        let is_first = shared.wakes.start();
        is_first.then(|| Self::begun(Arc::clone(shared)))
    }

    /// Returns the notifier of a hub that was told of it.
    pub(super) fn begun(shared: Arc<Shared>) -> Self {
        Self { shared, woken: Vec::new(), next: 0, log: None }
    }

    /// Wakes some of the waiters in hand. Returns `false` if that was all of them.
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
    fn begin(&mut self, log: Option<Arc<Log>>) {
        let mut woken = take(&mut self.woken);
        woken.clear();
        if let Some(log) = self.log.take() {
            log.give_back(woken, Vec::new());
        }
        self.next = 0;
        self.woken = log.as_ref().map(|log| log.take_queued()).unwrap_or_default();
        self.log = log;
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
            match self.shared.wakes.turn(cx) {
                Turn::Log(log) => self.begin(Some(log)),
                Turn::Nothing => return Poll::Pending,
                Turn::Closed => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // Maybe because a waker panicked: a second panic would abort.
        let wake = |waker: Waker| drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        let (logs, standby) = self.shared.wakes.stop();
        self.woken.drain(..).chain(standby).flatten().for_each(wake);
        for log in logs {
            log.take_queued().into_iter().flatten().for_each(wake);
        }
    }
}

impl Wakes {
    /// Whether there is a notifier. It may be gone, or there may be one, a moment later.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.is_on.is_on()
    }

    /// There is a notifier now. False: there was one.
    fn start(&self) -> bool {
        let mut queue = self.queue.lock();
        self.is_on.set(true);
        !replace(&mut queue.is_on, true)
    }

    /// There is no notifier any more. Returns what it did not come to, and the wakers of those that may follow it.
    fn stop(&self) -> (VecDeque<Arc<Log>>, Vec<Option<Waker>>) {
        let mut queue = self.queue.lock();
        self.is_on.set(false);
        queue.is_on = false;
        let (logs, waker, standby) = (take(&mut queue.logs), queue.waker.take(), queue.standby.take());
        drop(queue);
        drop(waker);
        (logs, standby)
    }

    /// Begins a notifier. While there is another, registers the waker for the end of that one.
    #[cfg(feature = "http")]
    pub(super) fn start_or_wait(&self, ticket: &mut Ticket, waker: Waker) -> Begun {
        let mut queue = self.queue.lock();
        let (begun, unused) = match (queue.is_closed, queue.is_on) {
            (true, _) => (Begun::Closed, Some(waker)),
            (false, true) => (Begun::Waits, queue.standby.register(ticket, waker)),
            (false, false) => {
                self.is_on.set(true);
                queue.is_on = true;
                (Begun::First, Some(waker))
            }
        };
        drop(queue);
        drop(unused);
        begun
    }

    /// Removes what [`start_or_wait`](Self::start_or_wait) registered.
    #[cfg(feature = "http")]
    pub(super) fn wait_no_more(&self, ticket: &mut Ticket) {
        let waker = self.queue.lock().standby.cancel(ticket);
        drop(waker);
    }

    /// Queues a topic, so that the notifier wakes its waiters, which are [queued](crate::hub::log::State::is_queued).
    /// Returns the waker of the notifier, if it waits.
    pub(super) fn push(&self, log: &Arc<Log>) -> Result<Option<Waker>, NoNotifier> {
        let mut queue = self.queue.lock();
        if !queue.is_on || queue.is_closed {
            return Err(NoNotifier);
        }
        queue.logs.push_back(Arc::clone(log));
        Ok(queue.waker.take())
    }

    /// Nothing more is queued: the hub is closed. Returns the wakers of the notifier, if it waits, and of those that wait for
    /// its end.
    pub(super) fn close(&self) -> Vec<Option<Waker>> {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        let mut wakers = queue.standby.take();
        wakers.push(queue.waker.take());
        drop(queue);
        wakers
    }

    /// The topic whose turn it is. Where there is none, the notifier waits for one.
    fn turn(&self, cx: &Context<'_>) -> Turn {
        // Cloned before the lock: a waker is the executor's code.
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        let (turn, unused) = match queue.logs.pop_front() {
            Some(log) => (Turn::Log(log), Some(waker)),
            None if queue.is_closed => (Turn::Closed, Some(waker)),
            None => (Turn::Nothing, queue.waker.replace(waker)),
        };
        drop(queue);
        drop(unused);
        turn
    }
}

impl Log {
    /// Takes the waiters that were queued.
    pub(super) fn take_queued(&self) -> Vec<Option<Waker>> {
        let mut state = self.state();
        state.is_queued = false;
        state.waiters.take()
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("waking", &(self.woken.len() - self.next)).finish_non_exhaustive()
    }
}
