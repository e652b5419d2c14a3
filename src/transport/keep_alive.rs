use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::wake_flag::WakeFlag;
use crate::time::{Sleep, Timer};

/// Default of the longest silence. nginx and load balancers close a silent connection after 60 s.
const INTERVAL: Duration = Duration::from_secs(15);

/// Limit of the silence on a stream.
///
/// A timer fires twice in an interval. A keep-alive is due if nothing was written since the timer last fired. So a delivery
/// sets a `bool`, and neither reads the clock nor resets the timer. The timer is polled only if it has raised the flag.
#[repr(C)]
pub(crate) struct KeepAlive {
    sleep: Pin<Box<dyn Sleep>>,
    begin: Instant,
    interval: Duration,
    /// Time at which the timer fires next. `None`: never, since the clock has no such instant.
    fires: Option<Instant>,
    // The fields that every delivery touches are last, beside those of the owner.
    written: bool,
    /// The flag that the timer raises. `None` before the timer is first polled, and when it is to be polled in any case.
    flag: Option<WakeFlag>,
}

impl KeepAlive {
    /// Returns a keep-alive with the default interval, which begins now.
    pub(crate) fn new(timer: &dyn Timer) -> Self {
        let begin = timer.now();
        let fires = begin + INTERVAL / 2;
        let sleep = timer.sleep_until(fires);
        Self { sleep, flag: None, begin, interval: INTERVAL, fires: Some(fires), written: false }
    }

    /// Sets the interval, counted from the begin. An interval of less than 2 ms is 2 ms.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval.max(Duration::from_millis(2));
        self.flag = None;
        self.fire_after(self.begin);
    }

    /// Returns the longest silence. `None`: there is no limit.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.fires.map(|_| self.interval)
    }

    /// Makes a keep-alive due when this time has passed since the begin, whatever was written.
    #[allow(dead_code, reason = "used by chunked streams")]
    #[cold]
    pub(crate) fn due_after(&mut self, time: Duration) {
        self.set_interval(time.saturating_mul(2));
        self.written = false;
    }

    /// Notes that something goes out.
    pub(crate) fn wrote(&mut self) {
        self.written = true;
    }

    /// Polls for a due keep-alive, which then counts as written.
    #[inline]
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_set(cx) { Poll::Pending } else { self.look(cx) }
    }

    /// Returns whether no keep-alive is due and the task of `cx` is woken when one may be.
    #[inline]
    pub(crate) fn is_set(&self, cx: &Context<'_>) -> bool {
        self.flag.as_ref().is_some_and(|flag| flag.is_for(cx) && !flag.is_raised())
    }

    /// Polls the timer.
    #[cold]
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let flag = self.flag.take().filter(|flag| flag.is_for(cx));
        let flag = flag.unwrap_or_else(|| WakeFlag::new(cx.waker().clone(), false));
        // Before the timer is polled: a wake in between is seen next time.
        flag.take();
        let waker = flag.waker();
        self.flag = Some(flag);
        let cx = &mut Context::from_waker(&waker);
        match self.fires {
            Some(fired) if self.sleep.as_mut().poll(cx).is_ready() => self.fire(fired, cx),
            _ => Poll::Pending,
        }
    }

    /// Sets the next firing. Missed firings bring one keep-alive.
    fn fire(&mut self, fired: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut due = !self.written;
        self.fire_after(fired);
        if self.fires.is_some() && self.sleep.as_mut().poll(cx).is_ready() {
            due = true;
            self.skip_missed(fired, cx);
        }
        self.written = due;
        if due { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Finds the first firing after `fired` that is not over: doubles the distance until one is not, then halves the
    /// interval in between. The clock is not known here, and after a leap of it there may be millions.
    fn skip_missed(&mut self, fired: Instant, cx: &mut Context<'_>) {
        let (mut over, mut ahead) = (1_u32, 2_u32);
        while ahead < u32::MAX && self.is_over(fired, ahead, cx) {
            (over, ahead) = (ahead, ahead.saturating_mul(2));
        }
        while ahead - over > 1 {
            let middle = over + (ahead - over) / 2;
            if self.is_over(fired, middle, cx) {
                over = middle;
            } else {
                ahead = middle;
            }
        }
        // The last look may have been at an earlier one.
        let _ = self.is_over(fired, ahead, cx);
    }

    /// Sets the sleep to the firing this many half intervals after `fired`. Returns whether that is over.
    fn is_over(&mut self, fired: Instant, halves: u32, cx: &mut Context<'_>) -> bool {
        self.fires = (self.interval / 2).checked_mul(halves).and_then(|wait| fired.checked_add(wait));
        match self.fires {
            Some(fires) => {
                self.sleep.as_mut().reset(fires);
                self.sleep.as_mut().poll(cx).is_ready()
            }
            None => false,
        }
    }

    fn fire_after(&mut self, instant: Instant) {
        self.fires = instant.checked_add(self.interval / 2);
        if let Some(fires) = self.fires {
            self.sleep.as_mut().reset(fires);
        }
    }
}
