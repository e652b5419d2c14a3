use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Timer of one HTTP/1 connection of hyper, which distinguishes an idle connection from one with an unfinished head.
///
/// hyper counts its `header_read_timeout` from the end of the last answer, so it also closes a connection without a further
/// request. With this timer such a connection has the idle time, and the head of a further request has the
/// `header_read_timeout` from its first byte. The head of the first request has it from the beginning. A head that begins
/// before the previous answer has ended (pipelining) has the idle time instead, from the end of that answer.
pub(super) struct RequestTimer<T> {
    timer: T,
    idle: Duration,
    /// Whether the first head has not been requested.
    is_new: AtomicBool,
    has_read: Arc<AtomicBool>,
}

/// Maximum time that is passed to hyper and its timer: 30 years. hyper adds it to an instant, and panics if that overflows.
pub(super) const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

impl<T> RequestTimer<T> {
    /// Creates the timer of one connection. Each read from its socket must set `has_read`.
    pub(super) fn new(timer: T, idle: Duration, has_read: Arc<AtomicBool>) -> Self {
        Self { timer, idle: idle.min(LONGEST), is_new: AtomicBool::new(true), has_read }
    }
}

/// Sleep of a [`RequestTimer`]. hyper closes the connection when it is ready, and polls it after each read that did not
/// complete the head.
struct HeadSleep<T> {
    timer: T,
    sleep: Pin<Box<dyn hyper::rt::Sleep>>,
    /// Time for a head, until it begins.
    head: Option<Duration>,
    has_read: Arc<AtomicBool>,
}

impl<T: hyper::rt::Timer + Clone + Unpin + Send + Sync + 'static> hyper::rt::Timer for RequestTimer<T> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration.min(LONGEST))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        // A byte before the end of the last answer does not count. The head that it begins has the idle time.
        self.has_read.store(false, Ordering::Relaxed);
        if self.is_new.swap(false, Ordering::Relaxed) {
            return self.timer.sleep_until(deadline);
        }
        let now = self.now();
        Box::pin(HeadSleep {
            timer: self.timer.clone(),
            sleep: self.timer.sleep_until(now + self.idle),
            head: Some(deadline.saturating_duration_since(now).min(LONGEST)),
            has_read: self.has_read.clone(),
        })
    }

    fn now(&self) -> Instant {
        self.timer.now()
    }
}

impl<T: hyper::rt::Timer + Unpin> Future for HeadSleep<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.has_read.load(Ordering::Relaxed) {
            if let Some(head) = this.head.take() {
                this.timer.reset(&mut this.sleep, this.timer.now() + head);
            }
        }
        this.sleep.as_mut().poll(cx)
    }
}

impl<T: hyper::rt::Timer + Unpin + Send + Sync> hyper::rt::Sleep for HeadSleep<T> {}
