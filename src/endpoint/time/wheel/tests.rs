use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::dial::{NEVER, ROUND};
use super::shared_wheel::TICK_BITS;
use crate::endpoint::time::wheel::Advanced;
use crate::endpoint::time::wheel::Alarm;
use crate::endpoint::time::wheel::Wheel;
use crate::time::{Clock, Sleep, Timer};

const TICK: Duration = Duration::from_nanos(1 << TICK_BITS);

struct Hand(Mutex<Instant>);

impl Default for Hand {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Hand {
    fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

impl Timer for Hand {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        unreachable!("the test advances the wheel")
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
    Sleep(Duration),
    Reset(usize, Duration),
    Drop(usize),
    Pass(Duration),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any_time().prop_map(Step::Sleep),
        2 => (any::<usize>(), any_time()).prop_map(|(which, time)| Step::Reset(which, time)),
        1 => any::<usize>().prop_map(Step::Drop),
        3 => any_time().prop_map(Step::Pass),
    ]
}

/// Returns durations of nothing, of less than a tick, of about a tick, and up to seconds, minutes, hours and days.
fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(22_u32), Just(25), Just(32), Just(37), Just(42), Just(47)]
        .prop_flat_map(|bits| (0..1_u64 << bits).prop_map(Duration::from_nanos))
}

/// Change to some of the alarms.
#[derive(Debug, Clone)]
enum Change {
    Set(std::ops::Range<usize>, Duration),
    /// A time that has passed.
    SetBack(std::ops::Range<usize>, Duration),
    Cancel(std::ops::Range<usize>),
    Pass(Duration),
}

const ALARMS: usize = 3 * ROUND;

fn any_change() -> impl Strategy<Value = Change> {
    let some = || {
        prop_oneof![3 => 1..4_usize, 1 => 1..ALARMS]
            .prop_flat_map(|count| (0..=ALARMS - count).prop_map(move |from| from..from + count))
    };
    prop_oneof![
        6 => (some(), any_time()).prop_map(|(some, time)| Change::Set(some, time)),
        1 => (some(), any_time()).prop_map(|(some, time)| Change::SetBack(some, time)),
        2 => some().prop_map(Change::Cancel),
        6 => any_time().prop_map(Change::Pass),
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

/// Returns whether no alarm is set.
fn is_empty(wheel: &Wheel) -> bool {
    wheel.works().dial.next() == NEVER
}

#[test]
fn waker_can_use_the_wheel_while_it_is_dropped() {
    /// Task that its own waker keeps alive, with its sleep.
    struct Owner(#[allow(dead_code, reason = "held to be dropped")] Mutex<Pin<Box<dyn Sleep>>>);

    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }

    let (done, answer) = std::sync::mpsc::channel();
    // In a thread of its own, because a lock that is taken twice would block for ever.
    std::thread::spawn(move || {
        let mut none = Context::from_waker(Waker::noop());
        let hand = Arc::new(Hand::default());
        let wheel = Wheel::new(hand.clone(), Box::new(|_| false));
        let owner = || {
            let mut sleep = wheel.sleep_until(wheel.after(TICK * 9));
            assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            Waker::from(Arc::new(Owner(Mutex::new(sleep))))
        };
        wheel.advance(&mut Context::from_waker(&owner()));
        wheel.advance(&mut none);
        let mut alarm = wheel.alarm();
        for _ in 0..3 {
            drop(alarm.set(wheel.after(TICK), owner()));
        }
        alarm.cancel();
        drop(alarm.set(wheel.after(TICK), owner()));
        hand.pass(TICK * 2);
        wheel.advance(&mut none);
        assert!(is_empty(&wheel));
        done.send(()).unwrap();
    });
    assert_eq!(answer.recv_timeout(Duration::from_secs(60)), Ok(()));
}

#[test]
fn alarm_can_be_set_again_while_it_is_due() {
    /// Cancels an alarm that is due with it, and sets another, from inside of a wake.
    struct Meddler(Arc<Mutex<Vec<Alarm>>>, usize, Arc<Flag>);

    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            let mut alarms = self.0.lock().unwrap();
            let count = alarms.len();
            alarms[(self.1 + count / 2) % count].cancel();
            let at = alarms[0].now() + TICK * 100;
            drop(alarms[self.1 * 7 % count].set(at, self.2.clone().into()));
        }
    }

    let hand = Arc::new(Hand::default());
    let wheel = Wheel::new(hand.clone(), Box::new(|_| false));
    let alarms: Arc<Mutex<Vec<Alarm>>> = Arc::new(Mutex::new((0..ROUND * 3 + 1).map(|_| wheel.alarm()).collect()));
    let count = alarms.lock().unwrap().len();
    let flags: Vec<Arc<Flag>> = (0..count).map(|_| Arc::default()).collect();
    for (which, flag) in flags.iter().enumerate() {
        let meddler = Arc::new(Meddler(alarms.clone(), which, flag.clone()));
        drop(alarms.lock().unwrap()[which].set(wheel.after(TICK * 70), meddler.into()));
    }
    let advance = |time| {
        hand.pass(time);
        wheel.advance(&mut Context::from_waker(Waker::noop()))
    };
    assert!(matches!(advance(TICK * 71), Advanced::Until(Some(_))));
    assert!(!flags.iter().any(|flag| flag.was_set()), "early");
    // If two wakes changed one alarm, the later change counts.
    let set = alarms.lock().unwrap().iter().filter(|alarm| alarm.has_place()).count();
    assert!(matches!(advance(TICK * 101), Advanced::Until(None)));
    assert_eq!(flags.iter().filter(|flag| flag.was_set()).count(), set);
    assert!(set > 0);
}

#[test]
fn alarm_at_an_unreachable_time_lets_the_driver_sleep() {
    let wheel = Wheel::new(Arc::new(Hand::default()), Box::new(|_| false));
    let Some(never) = wheel.now().checked_add(Duration::from_millis(u64::MAX)) else { return };
    let (mut task, mut sleep) = (Context::from_waker(Waker::noop()), wheel.sleep_until(never));
    assert!(sleep.as_mut().poll(&mut task).is_pending());
    assert!(matches!(wheel.advance(&mut task), Advanced::Until(Some(next)) if next > wheel.after(Duration::MAX)));
}

#[test]
fn clock_that_goes_back_wakes_no_alarm_early() {
    let hand = Arc::new(Hand::default());
    let (wheel, start) = (Wheel::new(hand.clone(), Box::new(|_| false)), hand.now());
    let advance = || {
        let Advanced::Until(next) = wheel.advance(&mut Context::from_waker(Waker::noop())) else { panic!("stopped") };
        next
    };
    hand.pass(TICK * 9);
    assert_eq!(advance(), None);
    // The clock of another runtime.
    *hand.0.lock().unwrap() = start;
    let at = wheel.after(TICK);
    let mut sleeper = Sleeper { sleep: wheel.sleep_until(at), at, flag: Arc::default() };
    for _ in 0..3 {
        assert!(!sleeper.is_ready() && !sleeper.flag.was_set());
        assert!(advance() >= Some(at));
    }
    *hand.0.lock().unwrap() = at + TICK;
    assert_eq!(advance(), None);
    assert!(sleeper.flag.was_set() && sleeper.is_ready());
}

proptest! {
    #[test]
    fn sleep_ends_within_a_tick_and_never_early(steps in prop::collection::vec(any_step(), 0..200)) {
        let hand = Arc::new(Hand::default());
        let wheel = Wheel::new(hand.clone(), Box::new(|_| false));
        let driver = Arc::new(Flag::default());
        let advance = || wheel.advance(&mut Context::from_waker(&driver.clone().into()));
        let Advanced::Until(mut next) = advance() else { panic!("stopped") };
        let mut sleepers: Vec<Sleeper> = Vec::new();
        for step in steps {
            let now = wheel.now();
            match step {
                Step::Sleep(time) => {
                    let at = now + time;
                    sleepers.push(Sleeper { sleep: wheel.sleep_until(at), at, flag: Arc::default() });
                }
                Step::Reset(which, time) if !sleepers.is_empty() => {
                    let which = which % sleepers.len();
                    let at = now + time;
                    sleepers[which].sleep.as_mut().reset(at);
                    sleepers[which].at = at;
                }
                Step::Drop(which) if !sleepers.is_empty() => {
                    sleepers.swap_remove(which % sleepers.len());
                }
                Step::Pass(time) => hand.pass(time),
                Step::Reset(..) | Step::Drop(_) => {}
            }
            let now = wheel.now();
            if driver.was_set() || next.is_some_and(|at| at <= now) {
                let Advanced::Until(at) = advance() else { panic!("stopped") };
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
                let Advanced::Until(at) = advance() else { panic!("stopped") };
                next = at;
            }
            let first = sleepers.iter().map(|sleeper| sleeper.at).min();
            prop_assert!(first.is_none() || next.is_some_and(|at| at < first.unwrap() + TICK), "the driver comes too late");
        }
        drop(sleepers);
        prop_assert!(is_empty(&wheel));
    }

    #[test]
    fn alarm_wakes_once_in_time_unless_it_is_cancelled(changes in prop::collection::vec(any_change(), 0..40)) {
        let hand = Arc::new(Hand::default());
        let wheel = Wheel::new(hand.clone(), Box::new(|_| false));
        let driver = Arc::new(Flag::default());
        let advance = || {
            let Advanced::Until(next) = wheel.advance(&mut Context::from_waker(&driver.clone().into())) else { panic!("stopped") };
            next
        };
        let mut next = advance();
        let mut alarms: Vec<Alarm> = (0..ALARMS).map(|_| wheel.alarm()).collect();
        let mut set: Vec<Option<(Instant, Arc<Flag>)>> = vec![None; ALARMS];
        let mut cancelled = Vec::new();
        for change in changes {
            let now = wheel.now();
            let (some, at) = match change {
                Change::Set(some, time) => (some, Some(now + time)),
                Change::SetBack(some, time) => (some, Some(now.checked_sub(time).unwrap_or(now))),
                Change::Cancel(some) => (some, None),
                Change::Pass(time) => {
                    hand.pass(time);
                    (0..0, None)
                }
            };
            for which in some {
                let flag = Arc::new(Flag::default());
                match at {
                    Some(at) => alarms[which].set(at, flag.clone().into()).into_iter().for_each(Waker::wake),
                    None => alarms[which].cancel(),
                }
                let before = std::mem::replace(&mut set[which], at.map(|at| (at, flag)));
                cancelled.extend(before.map(|(_, flag)| flag));
            }
            let now = wheel.now();
            let advances = driver.was_set() || next.is_some_and(|at| at <= now);
            if advances {
                next = advance();
            }
            for (alarm, set) in alarms.iter_mut().zip(&mut set) {
                let Some((at, flag)) = set else {
                    prop_assert!(!alarm.is_due());
                    continue;
                };
                let rings = flag.was_set();
                prop_assert!(!rings || *at <= now, "early");
                prop_assert!(rings || *at + TICK > now, "late");
                prop_assert_eq!(rings, alarm.is_due());
                if rings {
                    alarm.cancel();
                    cancelled.extend(set.take().map(|(_, flag)| flag));
                }
            }
            prop_assert!(!cancelled.iter().any(|flag| flag.was_set()), "rings though it should not");
            let times = || set.iter().flatten().map(|&(at, _)| at);
            let first = times().min();
            prop_assert!(first.is_none_or(|first| next.is_some_and(|at| at < first + TICK)), "the driver comes too late");
            if advances {
                prop_assert!(next.is_none_or(|at| at > now), "the driver does not rest");
                prop_assert!(times().count() >= ROUND || next >= first, "the driver comes for nothing");
            }
        }
        drop(alarms);
        prop_assert!(is_empty(&wheel));
    }
}

/// Waker that starts another driver.
struct Follower(Wheel);

impl Wake for Follower {
    fn wake(self: Arc<Self>) {
        assert!(self.0.take_driver_slot());
    }
}

#[test]
fn lost_driver_wakes_each_alarm_until_another_has_its_place() {
    let hand = Arc::new(Hand::default());
    let wheel = Wheel::new(hand.clone(), Box::new(|_| false));
    let flags: Vec<_> = (0..1_000).map(|_| Arc::new(Flag::default())).collect();
    let mut alarms: Vec<_> = flags.iter().map(|_| wheel.alarm()).collect();
    for (alarm, flag) in alarms.iter_mut().zip(&flags) {
        assert!(alarm.set(hand.now() + Duration::from_secs(60), flag.clone().into()).is_none());
    }
    assert!(wheel.take_driver_slot() && !wheel.take_driver_slot());
    wheel.wake_for_driver();
    assert_eq!(flags.iter().filter(|flag| flag.was_set()).count(), 0, "there is a driver");
    wheel.release_driver_slot();
    wheel.wake_for_driver();
    assert_eq!(flags.iter().filter(|flag| flag.was_set()).count(), 1_000);

    let follower: Waker = Arc::new(Follower(wheel.clone())).into();
    drop(alarms[500].set(hand.now() + Duration::from_secs(60), follower));
    wheel.wake_for_driver();
    let woken = flags.iter().filter(|flag| flag.was_set()).count();
    assert!(wheel.has_driver() && (500 - ROUND..500 + ROUND).contains(&woken), "{woken}");
    assert!(alarms.iter().all(Alarm::has_place), "each is still set");
}
