//! Locks and atomics of the hub, in one file: the orderings are argued here, and loom replaces the primitives here.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool as AtomicFlag, AtomicU32, AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool as AtomicFlag, AtomicU32, AtomicU64, Ordering};

#[cfg(loom)]
use loom::sync as primitives;
#[cfg(not(loom))]
use std::sync as primitives;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32 as PlainSmall, AtomicU64 as Plain, Ordering as PlainOrdering};

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex as PlainMutex, OnceLock, PoisonError};

use crate::hub::holds::Hold;

pub(crate) type MutexGuard<'a, T> = Held<primitives::MutexGuard<'a, T>>;
pub(crate) type RwLockReadGuard<'a, T> = Held<primitives::RwLockReadGuard<'a, T>>;
pub(crate) type RwLockWriteGuard<'a, T> = Held<primitives::RwLockWriteGuard<'a, T>>;
pub(crate) type LeafGuard<'a, T> = Held<std::sync::MutexGuard<'a, T>>;

/// Set of topics by name. Ordered under loom, which needs every run to be the same.
#[cfg(loom)]
pub(crate) type Set<T> = std::collections::BTreeSet<T>;
/// Set of topics by name. Hashed with the standard library's keyed hash: peers choose the names.
#[cfg(not(loom))]
pub(crate) type Set<T> = std::collections::HashSet<T>;

/// Guard of a lock, and the [hold](crate::hub::holds) that ends with it.
#[derive(Debug)]
pub(crate) struct Held<G> {
    guard: G,
    _hold: Hold,
}

impl<G> Held<G> {
    #[inline(always)]
    fn new(guard: G) -> Self {
        Self { guard, _hold: Hold::begin() }
    }
}

impl<G: Deref> Deref for Held<G> {
    type Target = G::Target;

    #[inline(always)]
    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Held<G> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// Mutex without poison: no code of a user runs under it, so its data is complete after any panic.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(primitives::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(primitives::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        Held::new(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Readers-writer lock without poison, for the same reason.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(primitives::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(primitives::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        Held::new(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        Held::new(self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Mutex under which no other lock is taken and no thread waits. Its interleavings need not be tried, and loom does not
/// know it.
#[derive(Debug, Default)]
pub(crate) struct Leaf<T>(PlainMutex<T>);

impl<T> Leaf<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(PlainMutex::new(value))
    }

    pub(crate) fn lock(&self) -> LeafGuard<'_, T> {
        Held::new(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sequence up to which every event is in its log, and every inbox of a follower is marked or found by
/// [`LateMarks`](crate::hub::wake::late_marks::LateMarks).
///
/// Release on the store, Acquire on the load: a reader that loads a sequence sees the marks that were made before it
/// was stored. An inbox without a mark therefore means that there is nothing up to this sequence.
#[derive(Debug)]
pub(crate) struct Watermark(AtomicU64);

impl Watermark {
    pub(crate) fn new(sequence: u64) -> Self {
        Self(AtomicU64::new(sequence))
    }

    pub(crate) fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Called under the sequencer, so that it never decreases.
    pub(crate) fn advance(&self, sequence: u64) {
        self.0.store(sequence, Ordering::Release);
    }
}

/// Number of written places of a segment.
///
/// Release on the store, Acquire on the load: a reader that loads a length sees the places below it. (A place is a
/// `OnceLock`, so a reader that did not would find it empty, never torn.)
#[derive(Debug)]
pub(crate) struct Length(AtomicU32);

impl Length {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn load(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Called under the log's lock, by its one writer.
    pub(crate) fn set(&self, len: u32) {
        self.0.store(len, Ordering::Release);
    }
}

/// Link that is set once. A reader that finds it set sees all that was done before, as with a `OnceLock`. Loom has no
/// `OnceLock`, so a flag provides the ordering there.
#[derive(Debug)]
pub(crate) struct Link<T> {
    link: OnceLock<T>,
    #[cfg(loom)]
    is_set: loom::sync::atomic::AtomicBool,
}

impl<T> Link<T> {
    pub(crate) fn new() -> Self {
        Self {
            link: OnceLock::new(),
            #[cfg(loom)]
            is_set: loom::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn set(&self, link: T) {
        // A second value is dropped.
        let _ = self.link.set(link);
        #[cfg(loom)]
        self.is_set.store(true, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<&T> {
        #[cfg(loom)]
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        self.link.get()
    }
}

/// Earliest expiry of a segment's events, in nanoseconds of the hub's clock.
///
/// Relaxed: it is lowered before the length that makes the event visible is stored, so Release and Acquire of
/// [`Length`] order it.
#[derive(Debug)]
pub(crate) struct Expiry(AtomicU64);

impl Expiry {
    const NEVER: u64 = u64::MAX;

    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(Self::NEVER))
    }

    pub(crate) fn is_never(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::NEVER
    }

    pub(crate) fn lower(&self, at: u64) {
        self.0.fetch_min(at, Ordering::Relaxed);
    }
}

/// Places of a segment with events that newer ones of their keys replace.
///
/// Relaxed: a reader that sees a mark leaves the event out, and finds the newer one as any other, by a [`Length`] or
/// under the log's lock. A reader that does not see the mark yet reads the event as if it had polled a moment earlier.
#[derive(Debug)]
pub(crate) struct Replaced {
    words: Box<[AtomicU64]>,
    /// Place after the last marked one.
    end: AtomicU32,
}

impl Replaced {
    /// Returns marks for this number of places, none of them marked.
    pub(crate) fn new(places: usize) -> Self {
        let words = std::iter::repeat_with(|| AtomicU64::new(0)).take(places.div_ceil(64)).collect();
        Self { words, end: AtomicU32::new(0) }
    }

    pub(crate) fn set(&self, place: u32) {
        if let Some(word) = self.words.get(place as usize / 64) {
            word.fetch_or(1 << (place % 64), Ordering::Relaxed);
            self.end.fetch_max(place + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn has(&self, place: u32) -> bool {
        let word = self.words.get(place as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (place % 64)) != 0)
    }

    pub(crate) fn end(&self) -> u32 {
        self.end.load(Ordering::Relaxed)
    }
}

/// Count for statistics and heuristics. Relaxed, and the same under loom: nothing depends on the moment at which it is
/// seen.
#[derive(Debug, Default)]
pub(crate) struct Count(Plain);

impl Count {
    pub(crate) fn new(value: u64) -> Self {
        Self(Plain::new(value))
    }

    pub(crate) fn load(&self) -> u64 {
        self.0.load(PlainOrdering::Relaxed)
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, PlainOrdering::Relaxed);
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, PlainOrdering::Relaxed);
    }

    /// Subtracts a number that was added before.
    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, PlainOrdering::Relaxed);
    }
}

/// Mirror of a number that a lock guards. Relaxed, as a count is.
#[derive(Debug)]
pub(crate) struct Mirror(PlainSmall);

impl Mirror {
    pub(crate) fn new(value: u32) -> Self {
        Self(PlainSmall::new(value))
    }

    pub(crate) fn load(&self) -> u32 {
        self.0.load(PlainOrdering::Relaxed)
    }

    pub(crate) fn set(&self, value: u32) {
        self.0.store(value, PlainOrdering::Relaxed);
    }
}

/// Mirror of a flag that a lock guards. Relaxed: a thread that acts on an outdated value finds the present one under
/// the lock.
#[derive(Debug, Default)]
pub(crate) struct Switch(AtomicFlag);

impl Switch {
    pub(crate) fn new(is_on: bool) -> Self {
        Self(AtomicFlag::new(is_on))
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Called under the lock.
    pub(crate) fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }
}

/// Flag on which readers act without a lock. It changes under a lock.
///
/// Release on the store, Acquire on the load: a reader that finds it cleared sees all that was done before. It is set
/// before the [`Watermark`] is advanced, which orders it for a reader that sees that sequence. Loom does not know it:
/// it would try each load with every value that the flag had, and no model would end.
#[derive(Debug, Default)]
pub(crate) struct Signal(AtomicBool);

impl Signal {
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(PlainOrdering::Acquire)
    }

    /// Called under the lock.
    pub(crate) fn set(&self, is_on: bool) {
        self.0.store(is_on, PlainOrdering::Release);
    }
}

/// Flag that is set once. Relaxed: no final decision depends on it.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn set(&self) {
        self.0.store(true, PlainOrdering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(PlainOrdering::Relaxed)
    }
}

/// Whether a segment is sealed, and whether it has caches.
///
/// Two bits of one atomic, each changed by a read-modify-write: all changes are in one order. If one thread seals the
/// segment and another fills a cache, exactly one of them finds the other's bit. Relaxed: no other data depends on it.
#[derive(Debug, Default)]
pub(crate) struct Marks(AtomicU8);

impl Marks {
    const SEALED: u8 = 1;
    const CACHED: u8 = 2;

    /// Sets the bit for a sealed segment. Returns whether the segment has caches.
    pub(crate) fn seal(&self) -> bool {
        self.0.fetch_or(Self::SEALED, PlainOrdering::Relaxed) & Self::CACHED != 0
    }

    /// Sets the bit for a segment with caches. Returns `None` if it was set, otherwise whether the segment is sealed.
    pub(crate) fn cache(&self) -> Option<bool> {
        let before = self.0.fetch_or(Self::CACHED, PlainOrdering::Relaxed);
        (before & Self::CACHED == 0).then_some(before & Self::SEALED != 0)
    }

    /// Clears the bit for a segment with caches. Returns whether it was set.
    pub(crate) fn empty(&self) -> bool {
        self.0.fetch_and(!Self::CACHED, PlainOrdering::Relaxed) & Self::CACHED != 0
    }
}
