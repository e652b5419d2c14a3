use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::mutex::Mutex;

/// Limit of the concurrent calls of the publisher, in all and for each limit key.
///
/// Waiting calls get places in the order of arrival. A call whose key is at its limit is skipped.
pub(crate) struct Gate {
    max: usize,
    max_per_key: usize,
    /// Number of places taken, with the bit [`QUEUED`] while a call waits. Then all places are taken, and one that is
    /// given back goes to the first waiting call. A place that was given to a waiting call counts, also before the call
    /// is polled.
    taken: AtomicUsize,
    state: Mutex<State>,
}

/// Bit that is set while a call waits. It is set and cleared under the lock. While it is clear, calls without a key
/// take and give back their places without the lock.
const QUEUED: usize = 1 << (usize::BITS - 1);

#[derive(Default)]
struct State {
    keys: HashMap<Arc<str>, Share>,
    /// Calls that wait for a place of all, in the order of arrival. Each has a place of its key, or no key.
    waiting: BTreeMap<u64, Waker>,
    arrived: u64,
}

/// Places of one limit key.
#[derive(Default)]
struct Share {
    taken: usize,
    /// Calls that wait for a place of the key, in the order of arrival.
    waiting: BTreeMap<u64, Waker>,
}

/// Limit that leaves no place for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    All,
    Key,
}

impl Full {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "too many calls of the publisher: max_concurrent_calls is reached",
            Self::Key => "too many calls of the publisher for the limit key: max_concurrent_calls_per_key is reached",
        }
    }
}

/// Place of one call, given back when it is dropped.
pub(crate) struct Permit<'a> {
    gate: &'a Gate,
    key: Option<&'a Arc<str>>,
}

impl Gate {
    /// Returns a gate of `max` places, of which one key takes at most `max_per_key` (at least 1).
    pub(crate) fn new(max: usize, max_per_key: usize) -> Self {
        let (max, max_per_key) = (max.min(QUEUED - 1), max_per_key.max(1));
        Self { max, max_per_key, taken: AtomicUsize::new(0), state: Mutex::default() }
    }

    /// Takes a place at once, or returns the limit that is reached.
    #[inline(always)]
    pub(crate) fn try_enter<'a>(&'a self, key: Option<&'a Arc<str>>) -> Result<Permit<'a>, Full> {
        match key {
            None if self.take() => Ok(Permit { gate: self, key }),
            None => Err(Full::All),
            Some(key) => self.try_enter_with(key),
        }
    }

    fn try_enter_with<'a>(&'a self, key: &'a Arc<str>) -> Result<Permit<'a>, Full> {
        let mut state = self.state.lock();
        if !state.take_of_key(key, self.max_per_key) {
            return Err(Full::Key);
        }
        if !self.take() {
            // No call can wait for this place, because it was taken under the lock.
            state.give_back(key);
            return Err(Full::All);
        }
        Ok(Permit { gate: self, key: Some(key) })
    }

    /// Takes a place if one is free. None is free while a call waits, so no call overtakes another.
    #[inline]
    fn take(&self) -> bool {
        let next = |taken| if taken < self.max { Some(taken + 1) } else { None };
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// Waits for a place. Dropping the future ends the wait and gives back the place that it may have got.
    pub(crate) fn enter<'a>(&'a self, key: Option<&'a Arc<str>>) -> Enter<'a> {
        Enter { gate: self, key, number: None }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed) & !QUEUED
    }

    /// Takes a place, or sets [`QUEUED`]. Call it under the lock.
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

    /// Gives a place back: to the call that has waited longest, if one waits.
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

    /// Clears [`QUEUED`] if no call waits any more.
    fn unqueue(&self, state: &State) {
        if state.waiting.is_empty() {
            self.taken.fetch_and(!QUEUED, Ordering::AcqRel);
        }
    }
}

impl State {
    /// Takes a place of the key, if one is free.
    fn take_of_key(&mut self, key: &Arc<str>, max: usize) -> bool {
        let taken = self.keys.get(key).map_or(0, |share| share.taken);
        if taken < max {
            self.keys.entry(key.clone()).or_default().taken += 1;
        }
        taken < max
    }

    /// Gives a place of the key back: to its next waiting call, if there is one.
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

/// Future of [`Gate::enter`].
pub(crate) struct Enter<'a> {
    gate: &'a Gate,
    key: Option<&'a Arc<str>>,
    /// Number of the call in the order of arrival. `None` if it does not wait.
    number: Option<u64>,
}

impl<'a> Future for Enter<'a> {
    type Output = Permit<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit<'a>> {
        let this = &mut *self;
        // Wakers are cloned and dropped outside of the lock, because they run code of the executor.
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
            // The call has got a place.
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
mod tests;
