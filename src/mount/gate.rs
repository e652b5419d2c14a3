use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::locked::Locked;

/// Limit of the publisher's calls under way, in all and for each limit key.
///
/// Places are given in the order of arrival. A call whose key is at its limit is skipped.
pub(super) struct Gate {
    max: usize,
    max_per_key: usize,
    /// Places taken, with the bit [`QUEUED`] while a call waits for one of them: then all are taken, and one that is given
    /// back goes to the first that waits. Includes places given to a waiting call that has not been polled since.
    taken: AtomicUsize,
    state: Locked<State>,
}

/// Set and cleared under the lock. Calls without a key take and give back their places without the lock while it is clear.
const QUEUED: usize = 1 << (usize::BITS - 1);

#[derive(Default)]
struct State {
    keys: HashMap<Arc<str>, Share>,
    /// Calls that have a place of their key, or have no key, and wait for one of all. By order of arrival.
    waiting: BTreeMap<u64, Waker>,
    arrived: u64,
}

/// Places of one limit key.
#[derive(Default)]
struct Share {
    taken: usize,
    /// Calls that wait for a place of the key.
    waiting: BTreeMap<u64, Waker>,
}

/// Cause for which a call has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    All,
    Key,
}

impl Full {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "too many calls of the publisher: max_attaches is reached",
            Self::Key => "too many calls of the publisher for the limit key: max_concurrent_calls_per_key is reached",
        }
    }
}

/// Place of one call, given back when it is dropped.
pub(super) struct Permit<'a> {
    gate: &'a Gate,
    key: Option<&'a Arc<str>>,
}

impl Gate {
    /// Makes a gate of `max` places, and for each key of `max_per_key`, which is at least 1.
    pub(super) fn new(max: usize, max_per_key: usize) -> Self {
        let (max, max_per_key) = (max.min(QUEUED - 1), max_per_key.max(1));
        Self { max, max_per_key, taken: AtomicUsize::new(0), state: Locked::default() }
    }

    /// Takes a place at once, or says which limit is reached.
    #[inline(always)]
    pub(super) fn try_enter<'a>(&'a self, key: Option<&'a Arc<str>>) -> Result<Permit<'a>, Full> {
        let may_take = |taken| if taken < self.max { Some(taken + 1) } else { None };
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, may_take).map_err(|_| Full::All)?;
        let mut permit = Permit { gate: self, key: None };
        if let Some(key) = key {
            if !self.state.lock().take_of_key(key, self.max_per_key) {
                return Err(Full::Key);
            }
            permit.key = Some(key);
        }
        Ok(permit)
    }

    /// Waits for a place. Dropping the future gives up the wait, or the place that it was given meanwhile.
    pub(super) fn enter<'a>(&'a self, key: Option<&'a Arc<str>>) -> Enter<'a> {
        Enter { gate: self, key, number: None }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed) & !QUEUED
    }

    /// Takes a place, or sets the bit that says that a call waits for one. To be called under the lock.
    fn take_or_queue(&self) -> bool {
        let next = |taken| Some(if taken < self.max { taken + 1 } else { taken | QUEUED });
        let before = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        before.is_ok_and(|before| before < self.max)
    }

    #[inline(always)]
    fn leave(&self, key: Option<&Arc<str>>) {
        let may_leave = |taken| if taken & QUEUED == 0 { Some(taken - 1) } else { None };
        let left = key.is_none() && self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, may_leave).is_ok();
        if !left {
            self.pass_on(self.state.lock(), key);
        }
    }

    /// Gives a place back, to the call that waits the longest if there is one.
    #[cold]
    fn pass_on(&self, mut state: MutexGuard<'_, State>, key: Option<&Arc<str>>) {
        if let Some(key) = key {
            state.give_back(key);
        }
        let next = state.waiting.pop_first();
        match &next {
            Some(_) => self.unqueue(&state),
            None => drop(self.taken.fetch_sub(1, Ordering::AcqRel)),
        }
        drop(state);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }

    /// Clears the bit after a call was removed from those that wait, if it was the last.
    fn unqueue(&self, state: &State) {
        if state.waiting.is_empty() {
            self.taken.fetch_and(!QUEUED, Ordering::AcqRel);
        }
    }
}

impl State {
    /// Takes a place of the key, if it has one left.
    fn take_of_key(&mut self, key: &Arc<str>, max: usize) -> bool {
        let taken = self.keys.get(key).map_or(0, |share| share.taken);
        if taken < max {
            self.keys.entry(key.clone()).or_default().taken += 1;
        }
        taken < max
    }

    /// Gives a place of the key back, to the next call that waits for one.
    fn give_back(&mut self, key: &Arc<str>) {
        let Some(share) = self.keys.get_mut(key) else { return };
        match share.waiting.pop_first() {
            Some((number, waker)) => drop(self.waiting.insert(number, waker)),
            None => share.taken -= 1,
        }
        if share.taken == 0 {
            self.keys.remove(key);
        }
    }

    fn arrive(&mut self) -> u64 {
        self.arrived += 1;
        self.arrived
    }

    fn waker_of(&mut self, key: Option<&Arc<str>>, number: u64) -> Option<&mut Waker> {
        let of_key = key.and_then(|key| self.keys.get_mut(key)).and_then(|share| share.waiting.get_mut(&number));
        of_key.or_else(|| self.waiting.get_mut(&number))
    }
}

/// Wait for a place.
pub(super) struct Enter<'a> {
    gate: &'a Gate,
    key: Option<&'a Arc<str>>,
    /// Order of arrival, while this waits.
    number: Option<u64>,
}

impl<'a> Future for Enter<'a> {
    type Output = Permit<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit<'a>> {
        let this = &mut *self;
        // Cloned, and an old one dropped, under no lock: a waker is foreign code.
        let (waker, mut replaced) = (cx.waker().clone(), None);
        let mut state = this.gate.state.lock();
        let is_given = match this.number {
            Some(number) => match state.waker_of(this.key, number) {
                Some(waiting) => {
                    replaced = Some(std::mem::replace(waiting, waker));
                    false
                }
                None => true,
            },
            None if this.key.is_some_and(|key| !state.take_of_key(key, this.gate.max_per_key)) => {
                let number = state.arrive();
                let share = this.key.and_then(|key| state.keys.get_mut(key));
                share.map(|share| share.waiting.insert(number, waker));
                this.number = Some(number);
                false
            }
            None if this.gate.take_or_queue() => true,
            None => {
                let number = state.arrive();
                state.waiting.insert(number, waker);
                this.number = Some(number);
                false
            }
        };
        drop(state);
        drop(replaced);
        if !is_given {
            return Poll::Pending;
        }
        this.number = None;
        Poll::Ready(Permit { gate: this.gate, key: this.key })
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.gate.state.lock();
        let key = self.key;
        if let Some(waker) = key.and_then(|key| state.keys.get_mut(key)?.waiting.remove(&number)) {
            drop(state);
            return drop(waker);
        }
        let waker = state.waiting.remove(&number);
        if waker.is_none() {
            // It was given a place.
            return self.gate.pass_on(state, key);
        }
        if let Some(key) = key {
            state.give_back(key);
        }
        self.gate.unqueue(&state);
        drop(state);
        drop(waker);
    }
}

impl Drop for Permit<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.gate.leave(self.key);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("max", &self.max).field("taken", &self.taken()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread::{self, Thread};
    use std::time::Duration;

    use super::*;

    /// Task that counts its wakes.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<'a>(task: &Arc<Task>, enter: Pin<&mut Enter<'a>>) -> Option<Permit<'a>> {
        match enter.poll(&mut Context::from_waker(&task.clone().into())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn place_given_back_goes_to_the_call_that_waits_longest() {
        let (gate, task, key) = (Gate::new(2, 1), Arc::<Task>::default(), Arc::<str>::from("a"));
        let b = Arc::<str>::from("b");
        let one = gate.try_enter(Some(&key)).ok();
        assert!(one.is_some());
        assert_eq!(gate.try_enter(Some(&key)).err(), Some(Full::Key));
        let two = gate.try_enter(None).ok();
        assert_eq!(gate.try_enter(None).err(), Some(Full::All));
        let (mut same, mut other) = (pin!(gate.enter(Some(&key))), pin!(gate.enter(Some(&b))));
        assert!(poll(&task, same.as_mut()).is_none() && poll(&task, other.as_mut()).is_none());
        // The key of the first that waits has its share, so the second is next.
        drop(two);
        let two = poll(&task, other.as_mut());
        assert!(two.is_some() && poll(&task, same.as_mut()).is_none());
        assert_eq!(gate.try_enter(None).err(), Some(Full::All), "no call overtakes one that waits");
        drop(one);
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
        assert!(poll(&task, same.as_mut()).is_some_and(|_| true));
        drop(two);
        assert_eq!((gate.taken.load(Ordering::Relaxed), gate.state.lock().keys.len()), (0, 0));
    }

    /// Random calls that come, wait, go and give up: no place is lost, none is given twice, and none stays free while a
    /// call waits that may have it.
    #[test]
    fn places_add_up_whatever_gives_up_its_wait() {
        let mut random = 7_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        let keys: [Option<Arc<str>>; 4] = [None, Some("a".into()), Some("b".into()), Some("c".into())];
        for (max, share) in [(1, 1), (3, 1), (3, 2), (4, 9), (8, 3)] {
            let (gate, task) = (Gate::new(max, share), Arc::<Task>::default());
            let mut waiting: Vec<(usize, Pin<Box<Enter<'_>>>)> = Vec::new();
            let mut inside: Vec<(usize, Permit<'_>)> = Vec::new();
            for _ in 0..5_000 {
                match next(5) {
                    0 => {
                        let key = next(4);
                        waiting.push((key, Box::pin(gate.enter(keys[key].as_ref()))));
                    }
                    1 if !waiting.is_empty() => drop(waiting.swap_remove(next(waiting.len()))),
                    2 if !inside.is_empty() => drop(inside.swap_remove(next(inside.len()))),
                    3 => {
                        let key = next(4);
                        let of_key = inside.iter().filter(|(other, _)| *other == key).count();
                        let entered = gate.try_enter(keys[key].as_ref());
                        assert!(entered.is_err() || (inside.len() < max && (key == 0 || of_key < share)));
                        inside.extend(entered.ok().map(|permit| (key, permit)));
                    }
                    _ => waiting.retain_mut(|(key, enter)| match poll(&task, enter.as_mut()) {
                        Some(permit) => {
                            inside.push((*key, permit));
                            false
                        }
                        None => true,
                    }),
                }
                assert!(inside.len() <= max);
                for (key, _) in keys.iter().enumerate().skip(1) {
                    assert!(inside.iter().filter(|(other, _)| *other == key).count() <= share);
                }
            }
            // Each that waits gets its place when those before it have gone.
            while !waiting.is_empty() {
                inside.clear();
                let before = waiting.len();
                waiting.retain_mut(|(key, enter)| {
                    poll(&task, enter.as_mut()).map(|permit| inside.push((*key, permit))).is_none()
                });
                assert!(waiting.len() < before, "{before} wait for ever");
            }
            inside.clear();
            let taken = gate.taken.load(Ordering::Relaxed);
            let state = gate.state.lock();
            assert_eq!((taken, state.keys.len(), state.waiting.len()), (0, 0, 0));
        }
    }

    struct Parked(Thread);

    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Waits for a place on this thread.
    fn wait<'a>(gate: &'a Gate, key: Option<&'a Arc<str>>) -> Permit<'a> {
        let waker = Waker::from(Arc::new(Parked(thread::current())));
        let mut enter = pin!(gate.enter(key));
        loop {
            match enter.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(permit) => return permit,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn calls_on_several_threads_all_get_their_place() {
        const CALLS: usize = 2_000;
        let keys: [Option<Arc<str>>; 4] = [None, None, Some("a".into()), Some("a".into())];
        let (gate, inside) = (Arc::new(Gate::new(2, 1)), Arc::<AtomicUsize>::default());
        let (done, all) = mpsc::channel();
        for key in keys {
            let (gate, inside, done) = (gate.clone(), inside.clone(), done.clone());
            thread::spawn(move || {
                for call in 0..CALLS {
                    let permit = match call % 3 {
                        0 => gate.try_enter(key.as_ref()).ok(),
                        _ => Some(wait(&gate, key.as_ref())),
                    };
                    if permit.is_some() {
                        assert!(inside.fetch_add(1, Ordering::AcqRel) < 2);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::AcqRel);
                    }
                }
                done.send(()).unwrap();
            });
        }
        for _ in 0..4 {
            all.recv_timeout(Duration::from_secs(60)).expect("a call that waits is woken");
        }
        let state = gate.state.lock();
        assert_eq!((gate.taken.load(Ordering::Relaxed), state.keys.len(), state.waiting.len()), (0, 0, 0));
    }
}
