use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::isolate::isolate;
use super::locked::Locked;
use crate::contract::{Clock, Timer};

/// How exact the wheel is, as a power of two of nanoseconds: 2²² ns, 4.2 ms. What falls due within one tick is woken
/// by one turn.
const TICK_BITS: u32 = 22;
/// How many wakers one turn takes out under the lock before it wakes them outside.
const ROUND: usize = 64;
/// No tick: nothing is due.
const NEVER: u64 = u64::MAX;
/// The last tick that there is, 584 years on: whatever is later is due then.
const LAST: u64 = u64::MAX >> TICK_BITS;

/// Every deadline of one endpoint in one place, behind one timer of the runtime. A handle: clones are the same wheel.
///
/// It is the [`Timer`] that the adapters get. A due entry wakes its waker; the driver turns it
/// ([`turn`](Self::turn)). An ordered map does for the ring of slots: it has no cascades and no horizon, and
/// among 100,000 entries an insertion or a removal takes 200 ns, twice per session and keep-alive.
#[derive(Clone, Debug)]
pub(super) struct Wheel(Arc<Inner>);

struct Inner {
    base: Arc<dyn Timer>,
    origin: Instant,
    /// The last tick that was turned to: what is registered for it or before has been woken.
    turned: AtomicU64,
    ids: AtomicU64,
    dial: Locked<Dial>,
}

struct Dial {
    due: BTreeMap<(u64, u64), Waker>,
    /// The tick that the driver sleeps until.
    armed: u64,
    driver: Option<Waker>,
    stopped: bool,
}

/// What the driver does next.
#[derive(Debug)]
pub(super) enum Turn {
    /// It sleeps until then, or until it is woken.
    Next(Option<Instant>),
    /// It ends.
    Stopped,
}

impl Wheel {
    pub(super) fn new(base: Arc<dyn Timer>) -> Self {
        let dial = Dial { due: BTreeMap::new(), armed: NEVER, driver: None, stopped: false };
        Self(Arc::new(Inner {
            origin: base.now(),
            base,
            turned: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            dial: Locked::new(dial),
        }))
    }

    /// An entry that is not set yet.
    pub(super) fn alarm(&self) -> Alarm {
        Alarm { wheel: self.clone(), id: self.0.ids.fetch_add(1, Ordering::Relaxed), tick: NEVER }
    }

    /// The runtime's timer that turns this wheel.
    pub(super) fn base(&self) -> &dyn Timer {
        &*self.0.base
    }

    /// Wakes what is due, and says when to turn again. The task of `cx` is woken if that changes to earlier.
    pub(super) fn turn(&self, cx: &mut Context<'_>) -> Turn {
        let (mut round, waker) = (Vec::new(), cx.waker().clone());
        loop {
            let now = self.floor(self.now());
            {
                let mut dial = self.0.dial.lock();
                self.0.turned.fetch_max(now, Ordering::AcqRel);
                while let Some(entry) = dial.due.first_entry() {
                    if entry.key().0 > now || round.len() == ROUND {
                        break;
                    }
                    round.push(entry.remove());
                }
                if round.is_empty() {
                    if dial.stopped {
                        return Turn::Stopped;
                    }
                    let armed = dial.due.first_key_value().map_or(NEVER, |(&(tick, _), _)| tick);
                    dial.armed = armed;
                    let replaced = dial.driver.replace(waker);
                    drop(dial);
                    drop(replaced);
                    return Turn::Next((armed != NEVER).then(|| self.instant(armed)));
                }
            }
            // A waker that panics must not keep the others asleep, nor end the driver.
            for waker in round.drain(..) {
                let _ = isolate(|| waker.wake());
            }
        }
    }

    /// So long from now; far away where a clock can't say.
    pub(super) fn after(&self, duration: Duration) -> Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        self.now() + duration.min(FAR)
    }

    /// Ends the driver.
    pub(super) fn stop(&self) {
        let driver = {
            let mut dial = self.0.dial.lock();
            dial.stopped = true;
            dial.driver.take()
        };
        driver.into_iter().for_each(Waker::wake);
    }

    /// The last tick that is over at `at`.
    fn floor(&self, at: Instant) -> u64 {
        // 2⁶⁴ ns are 584 years.
        let nanos = at.saturating_duration_since(self.0.origin).as_nanos().min(u64::MAX.into());
        (nanos >> TICK_BITS) as u64
    }

    /// The first tick that is not before `at`.
    fn ceil(&self, at: Instant) -> u64 {
        let floor = self.floor(at);
        if self.instant(floor) < at { LAST.min(floor + 1) } else { floor }
    }

    fn instant(&self, tick: u64) -> Instant {
        self.0.origin + Duration::from_nanos(tick << TICK_BITS)
    }

    fn insert(&self, id: u64, tick: u64, waker: Waker) -> Option<Waker> {
        // Wakers are cloned, woken and dropped outside the lock.
        let (replaced, driver) = {
            let mut dial = self.0.dial.lock();
            let earlier = tick < dial.armed;
            let driver = if earlier { dial.driver.take() } else { None };
            dial.armed = dial.armed.min(tick);
            (dial.due.insert((tick, id), waker), driver)
        };
        drop(replaced);
        driver
    }

    fn remove(&self, id: u64, tick: u64) -> Option<Waker> {
        self.0.dial.lock().due.remove(&(tick, id))
    }
}

impl Clock for Wheel {
    fn now(&self) -> Instant {
        self.0.base.now()
    }
}

/// One entry of the wheel, at one tick at most.
#[derive(Debug)]
pub(super) struct Alarm {
    wheel: Wheel,
    id: u64,
    /// Where it was put last; it may have been taken out since.
    tick: u64,
}

impl Alarm {
    /// Has `waker` woken at `at` or within a tick after, and no more at any time set before. The driver is to be woken
    /// if it is returned, for which the caller lets go of its locks.
    #[must_use]
    pub(super) fn set(&mut self, at: Instant, waker: Waker) -> Option<Waker> {
        self.cancel();
        self.tick = self.wheel.ceil(at);
        self.wheel.insert(self.id, self.tick, waker)
    }

    /// Whether the wheel has turned past what was set. A waker that is on its way may still come late, for a time that
    /// is no longer the one set: ask this before acting on it.
    pub(super) fn is_due(&self) -> bool {
        self.tick <= self.wheel.0.turned.load(Ordering::Acquire)
    }

    pub(super) fn now(&self) -> Instant {
        self.wheel.now()
    }

    pub(super) fn cancel(&mut self) {
        if self.tick != NEVER && !self.is_due() {
            // A waker is dropped here, outside the lock.
            drop(self.wheel.remove(self.id, self.tick));
        }
        self.tick = NEVER;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wheel").field("turned", &self.turned).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;
    use crate::contract::Sleep;

    const TICK: Duration = Duration::from_nanos(1 << TICK_BITS);

    struct Hand(Mutex<Instant>);

    impl Clock for Hand {
        fn now(&self) -> Instant {
            *self.0.lock().unwrap()
        }
    }

    impl Timer for Hand {
        fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
            unreachable!("the wheel is turned by hand")
        }
    }

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    impl Flag {
        fn was_set(&self) -> bool {
            self.0.swap(false, Ordering::Relaxed)
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Sleep(u64),
        Reset(usize, u64),
        Drop(usize),
        Pass(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..3_000_u64).prop_map(Step::Sleep),
            2 => (any::<usize>(), 0..3_000_u64).prop_map(|(which, ms)| Step::Reset(which, ms)),
            1 => any::<usize>().prop_map(Step::Drop),
            3 => (0..1_000_u64).prop_map(Step::Pass),
        ]
    }

    struct Sleeper {
        sleep: Pin<Box<dyn Sleep>>,
        at: Instant,
        flag: Arc<Flag>,
    }

    impl Sleeper {
        fn is_ready(&mut self) -> bool {
            self.sleep.as_mut().poll(&mut Context::from_waker(&self.flag.clone().into())).is_ready()
        }
    }

    #[test]
    fn a_drivers_waker_may_use_the_wheel_when_it_is_dropped() {
        /// A task that its waker keeps, with what it sleeps on.
        struct Owner(#[allow(dead_code, reason = "held to be dropped")] Mutex<Pin<Box<dyn Sleep>>>);

        impl Wake for Owner {
            fn wake(self: Arc<Self>) {}
        }

        let (done, answer) = std::sync::mpsc::channel();
        // In a thread of its own: a lock that is taken twice would never come back.
        std::thread::spawn(move || {
            let mut none = Context::from_waker(Waker::noop());
            let wheel = Wheel::new(Arc::new(Hand(Mutex::new(Instant::now()))));
            let mut sleep = wheel.sleep_until(wheel.after(TICK * 9));
            assert!(sleep.as_mut().poll(&mut none).is_pending());
            wheel.turn(&mut Context::from_waker(&Arc::new(Owner(Mutex::new(sleep))).into()));
            wheel.turn(&mut none);
            done.send(()).unwrap();
        });
        assert_eq!(answer.recv_timeout(Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn a_time_that_never_comes_does_not_keep_the_driver_turning() {
        let wheel = Wheel::new(Arc::new(Hand(Mutex::new(Instant::now()))));
        let Some(never) = wheel.now().checked_add(Duration::from_millis(u64::MAX)) else { return };
        let (mut task, mut sleep) = (Context::from_waker(Waker::noop()), wheel.sleep_until(never));
        assert!(sleep.as_mut().poll(&mut task).is_pending());
        assert!(matches!(wheel.turn(&mut task), Turn::Next(Some(next)) if next > wheel.after(Duration::MAX)));
    }

    proptest! {
        #[test]
        fn who_sleeps_is_woken_within_a_tick_and_never_early(steps in prop::collection::vec(any_step(), 0..200)) {
            let hand = Arc::new(Hand(Mutex::new(Instant::now())));
            let wheel = Wheel::new(hand.clone());
            let driver = Arc::new(Flag::default());
            let turn = || wheel.turn(&mut Context::from_waker(&driver.clone().into()));
            let Turn::Next(mut next) = turn() else { panic!("stopped") };
            let mut sleepers: Vec<Sleeper> = Vec::new();
            for step in steps {
                let now = wheel.now();
                match step {
                    Step::Sleep(ms) => {
                        let at = now + Duration::from_millis(ms);
                        sleepers.push(Sleeper { sleep: wheel.sleep_until(at), at, flag: Arc::default() });
                    }
                    Step::Reset(which, ms) if !sleepers.is_empty() => {
                        let which = which % sleepers.len();
                        let at = now + Duration::from_millis(ms);
                        sleepers[which].sleep.as_mut().reset(at);
                        sleepers[which].at = at;
                    }
                    Step::Drop(which) if !sleepers.is_empty() => {
                        sleepers.swap_remove(which % sleepers.len());
                    }
                    Step::Pass(ms) => *hand.0.lock().unwrap() += Duration::from_millis(ms),
                    Step::Reset(..) | Step::Drop(_) => {}
                }
                let now = wheel.now();
                if driver.was_set() || next.is_some_and(|at| at <= now) {
                    let Turn::Next(at) = turn() else { panic!("stopped") };
                    next = at;
                }
                sleepers.retain_mut(|sleeper| {
                    let (at, woken) = (sleeper.at, sleeper.flag.was_set());
                    let ready = sleeper.is_ready();
                    assert!(!ready || at <= now, "early");
                    assert!(ready || at + TICK > now, "not ready though it is time");
                    assert!(!ready || woken || at + TICK > now || matches!(step, Step::Sleep(_) | Step::Reset(..)), "not woken");
                    !ready
                });
                if driver.was_set() {
                    let Turn::Next(at) = turn() else { panic!("stopped") };
                    next = at;
                }
                let first = sleepers.iter().map(|sleeper| sleeper.at).min();
                prop_assert!(first.is_none() || next.is_some_and(|at| at < first.unwrap() + TICK), "the driver comes too late");
            }
            drop(sleepers);
            prop_assert!(wheel.0.dial.lock().due.is_empty());
        }
    }
}
