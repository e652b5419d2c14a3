use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::locked::Locked;

/// Limit of the publisher's calls under way, in all and for each limit key.
///
/// Places are given in the order of arrival. A call whose key is at its limit is skipped.
pub(super) struct Gate {
    max: usize,
    max_per_key: usize,
    state: Locked<State>,
}

#[derive(Default)]
struct State {
    /// Places taken. Includes places given to a waiting call that has not been polled since.
    taken: usize,
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
            Self::All => "too many calls of the publisher",
            Self::Key => "too many calls of the publisher for the limit key",
        }
    }
}

/// Place of one call, given back when it is dropped.
pub(super) struct Permit<'a> {
    gate: &'a Gate,
    key: Option<Arc<str>>,
}

impl Gate {
    /// Makes a gate of `max` places, and for each key of `max_per_key`, which is at least 1.
    pub(super) fn new(max: usize, max_per_key: usize) -> Self {
        Self { max, max_per_key: max_per_key.max(1), state: Locked::default() }
    }

    /// Takes a place at once, or says which limit is reached.
    #[inline]
    pub(super) fn try_enter(&self, key: Option<&Arc<str>>) -> Result<Permit<'_>, Full> {
        let mut state = self.state.lock();
        if state.taken >= self.max {
            return Err(Full::All);
        }
        if !state.take_of_key(key, self.max_per_key) {
            return Err(Full::Key);
        }
        state.taken += 1;
        drop(state);
        Ok(Permit { gate: self, key: key.cloned() })
    }

    /// Waits for a place. Dropping the future gives up the wait, or the place that it was given meanwhile.
    pub(super) fn enter(&self, key: Option<Arc<str>>) -> Enter<'_> {
        Enter { gate: self, key, number: None }
    }

    #[inline]
    fn leave(&self, key: Option<&Arc<str>>) {
        let mut state = self.state.lock();
        state.taken -= 1;
        if let Some(key) = key {
            state.give_back(key);
        }
        if !state.waiting.is_empty() {
            let given = state.pass_on(self.max);
            drop(state);
            given.into_iter().for_each(Waker::wake);
        }
    }
}

impl State {
    /// Takes a place of the key, if it has one left. A call without a key needs none.
    #[inline]
    fn take_of_key(&mut self, key: Option<&Arc<str>>, max: usize) -> bool {
        let Some(key) = key else { return true };
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

    /// Gives free places to those that wait the longest, which are to be woken under no lock.
    fn pass_on(&mut self, max: usize) -> Vec<Waker> {
        let mut given = Vec::new();
        while self.taken < max {
            let Some((_, waker)) = self.waiting.pop_first() else { break };
            self.taken += 1;
            given.push(waker);
        }
        given
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
    key: Option<Arc<str>>,
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
            Some(number) => match state.waker_of(this.key.as_ref(), number) {
                Some(waiting) => {
                    replaced = Some(std::mem::replace(waiting, waker));
                    false
                }
                None => true,
            },
            None if !state.take_of_key(this.key.as_ref(), this.gate.max_per_key) => {
                let number = state.arrive();
                let share = this.key.as_ref().and_then(|key| state.keys.get_mut(key));
                share.map(|share| share.waiting.insert(number, waker));
                this.number = Some(number);
                false
            }
            None if state.taken < this.gate.max => {
                state.taken += 1;
                true
            }
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
        Poll::Ready(Permit { gate: this.gate, key: this.key.take() })
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.gate.state.lock();
        let key = self.key.as_ref();
        if let Some(waker) = key.and_then(|key| state.keys.get_mut(key)?.waiting.remove(&number)) {
            drop(state);
            return drop(waker);
        }
        let waker = state.waiting.remove(&number);
        if waker.is_none() {
            state.taken -= 1;
        }
        if let Some(key) = key {
            state.give_back(key);
        }
        let given = state.pass_on(self.gate.max);
        drop(state);
        drop(waker);
        given.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.gate.leave(self.key.as_ref());
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("max", &self.max).field("taken", &self.state.lock().taken).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

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
        let one = gate.try_enter(Some(&key)).ok();
        assert!(one.is_some());
        assert_eq!(gate.try_enter(Some(&key)).err(), Some(Full::Key));
        let two = gate.try_enter(None).ok();
        assert_eq!(gate.try_enter(None).err(), Some(Full::All));
        let (mut same, mut other) = (pin!(gate.enter(Some(key.clone()))), pin!(gate.enter(Some("b".into()))));
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
        let state = gate.state.lock();
        assert_eq!((state.taken, state.keys.len()), (0, 0));
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
                        waiting.push((key, Box::pin(gate.enter(keys[key].clone()))));
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
            let state = gate.state.lock();
            assert_eq!((state.taken, state.keys.len(), state.waiting.len()), (0, 0, 0));
        }
    }
}
