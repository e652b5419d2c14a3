//! The locks and atomics of the hub, in one place: the orderings are argued here, and loom replaces them here.

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

pub(super) type MutexGuard<'a, T> = Held<primitives::MutexGuard<'a, T>>;
pub(super) type RwLockReadGuard<'a, T> = Held<primitives::RwLockReadGuard<'a, T>>;
pub(super) type RwLockWriteGuard<'a, T> = Held<primitives::RwLockWriteGuard<'a, T>>;
pub(super) type LeafGuard<'a, T> = Held<std::sync::MutexGuard<'a, T>>;

/// Topics by name. Ordered under loom, which needs every run to be the same.
#[cfg(loom)]
pub(super) type Set<T> = std::collections::BTreeSet<T>;
/// Topics by name. Hashed with the standard library's with_key hash: peers choose the names.
#[cfg(not(loom))]
pub(super) type Set<T> = std::collections::HashSet<T>;

/// A lock's guard, and the [hold](crate::hub::holds) that ends with it.
#[derive(Debug)]
pub(super) struct Held<G> {
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

/// A mutex without poison: no code of a user runs under one, so its data is whole after a panic.
#[derive(Debug, Default)]
pub(super) struct Mutex<T>(primitives::Mutex<T>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(primitives::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        Held::new(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A readers-writer lock that does not know poison, for the same reason.
#[derive(Debug, Default)]
pub(super) struct RwLock<T>(primitives::RwLock<T>);

impl<T> RwLock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(primitives::RwLock::new(value))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, T> {
        Held::new(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, T> {
        Held::new(self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A mutex under which nothing else is locked and nobody waits. So the others need not be tried while it is held, and
/// loom does not know it.
#[derive(Debug, Default)]
pub(super) struct Leaf<T>(PlainMutex<T>);

impl<T> Leaf<T> {
    pub(super) fn new(value: T) -> Self {
        Self(PlainMutex::new(value))
    }

    pub(super) fn lock(&self) -> LeafGuard<'_, T> {
        Held::new(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The sequence up to which every event is in its log, and every inbox that it concerns is marked or found by
/// [`LateMarks`](crate::hub::late_marks::LateMarks).
///
/// Release on the store, Acquire on the load: a reader that sees a sequence here sees the marks made before it, and so
/// may take an inbox without a mark for "nothing up to this sequence".
#[derive(Debug)]
pub(super) struct Watermark(AtomicU64);

impl Watermark {
    pub(super) fn new(sequence: u64) -> Self {
        Self(AtomicU64::new(sequence))
    }

    pub(super) fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Only under the sequencer, so it never goes back.
    pub(super) fn advance(&self, sequence: u64) {
        self.0.store(sequence, Ordering::Release);
    }
}

/// How many places of a segment are written.
///
/// Release on the store, Acquire on the load: a reader that sees a length sees the places below it. (A place is a
/// `OnceLock`, so a reader that did not would find it empty, never torn.)
#[derive(Debug)]
pub(super) struct Length(AtomicU32);

impl Length {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(super) fn load(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Only under the log's lock, by its one writer.
    pub(super) fn set(&self, len: u32) {
        self.0.store(len, Ordering::Release);
    }
}

/// A link that is set once. Writes before it is set are ordered before reads of a thread that finds it, as with a
/// `OnceLock`; loom has none, so there a flag stands for the ordering.
#[derive(Debug)]
pub(super) struct Link<T> {
    link: OnceLock<T>,
    #[cfg(loom)]
    is_set: loom::sync::atomic::AtomicBool,
}

impl<T> Link<T> {
    pub(super) fn new() -> Self {
        Self {
            link: OnceLock::new(),
            #[cfg(loom)]
            is_set: loom::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(super) fn set(&self, link: T) {
        // The second of two is not kept.
        let _ = self.link.set(link);
        #[cfg(loom)]
        self.is_set.store(true, Ordering::Release);
    }

    pub(super) fn get(&self) -> Option<&T> {
        #[cfg(loom)]
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        self.link.get()
    }
}

/// The earliest expiry of a segment's events, in nanoseconds of the hub's clock.
///
/// Relaxed: it is lowered before the length that makes the event visible is stored, so Release and Acquire of
/// [`Length`] order it.
#[derive(Debug)]
pub(super) struct Expiry(AtomicU64);

impl Expiry {
    const NEVER: u64 = u64::MAX;

    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Self::NEVER))
    }

    pub(super) fn is_never(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::NEVER
    }

    pub(super) fn lower(&self, at: u64) {
        self.0.fetch_min(at, Ordering::Relaxed);
    }
}

/// Which places of a segment hold an event that a newer one of its key replaces.
///
/// Relaxed: a reader that sees a mark steps over the event, and finds the newer one as it finds any other, by a
/// [`Length`] or under the log's lock. One that does not see it yet reads the event as if it had come a moment earlier.
#[derive(Debug)]
pub(super) struct Replaced {
    words: Box<[AtomicU64]>,
    /// The place after the last marked one.
    end: AtomicU32,
}

impl Replaced {
    /// For so many places, none of them marked.
    pub(super) fn new(places: usize) -> Self {
        let words = std::iter::repeat_with(|| AtomicU64::new(0)).take(places.div_ceil(64)).collect();
        Self { words, end: AtomicU32::new(0) }
    }

    pub(super) fn set(&self, place: u32) {
        if let Some(word) = self.words.get(place as usize / 64) {
            word.fetch_or(1 << (place % 64), Ordering::Relaxed);
            self.end.fetch_max(place + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn has(&self, place: u32) -> bool {
        let word = self.words.get(place as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (place % 64)) != 0)
    }

    pub(super) fn end(&self) -> u32 {
        self.end.load(Ordering::Relaxed)
    }
}

/// A count for statistics and heuristics. Relaxed, and the same under loom: nothing depends on when it is seen.
#[derive(Debug, Default)]
pub(super) struct Count(Plain);

impl Count {
    pub(super) fn new(value: u64) -> Self {
        Self(Plain::new(value))
    }

    pub(super) fn load(&self) -> u64 {
        self.0.load(PlainOrdering::Relaxed)
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, PlainOrdering::Relaxed);
    }

    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, PlainOrdering::Relaxed);
    }

    /// Only what was added before.
    pub(super) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, PlainOrdering::Relaxed);
    }
}

/// A mirror of a number that a lock guards, as a count is.
#[derive(Debug)]
pub(super) struct Mirror(PlainSmall);

impl Mirror {
    pub(super) fn new(value: u32) -> Self {
        Self(PlainSmall::new(value))
    }

    pub(super) fn load(&self) -> u32 {
        self.0.load(PlainOrdering::Relaxed)
    }

    pub(super) fn set(&self, value: u32) {
        self.0.store(value, PlainOrdering::Relaxed);
    }
}

/// A mirror of a flag that a lock guards, for code that decides nothing for good by it. Relaxed: code that acts upon an
/// old value is told so under the lock.
#[derive(Debug, Default)]
pub(super) struct Switch(AtomicFlag);

impl Switch {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Only under the lock.
    pub(super) fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }
}

/// A flag that readers act upon without a lock. Changed under a lock only.
///
/// Release on the store, Acquire on the load: a reader that finds it cleared sees what was done before. It is set before the
/// [`Watermark`] is advanced, which orders it for a reader that sees that sequence. Loom does not know it: each load would
/// be tried with every value that it had, and no model would end.
#[derive(Debug, Default)]
pub(super) struct Signal(AtomicBool);

impl Signal {
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.0.load(PlainOrdering::Acquire)
    }

    /// Only under the lock.
    pub(super) fn set(&self, is_on: bool) {
        self.0.store(is_on, PlainOrdering::Release);
    }
}

/// A flag that is set once. Relaxed: nothing is decided for good by it.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn set(&self) {
        self.0.store(true, PlainOrdering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(PlainOrdering::Relaxed)
    }
}

/// Whether a segment is sealed, and whether it has caches.
///
/// Two bits of one atomic, each changed by a read-modify-write: all changes are in one order, so of two threads of which
/// one seals the segment and the other fills a cache, exactly one finds the other's bit. Relaxed: nothing else hangs on
/// it.
#[derive(Debug, Default)]
pub(super) struct Marks(AtomicU8);

impl Marks {
    const SEALED: u8 = 1;
    const CACHED: u8 = 2;

    /// Says that the segment is sealed. Returns whether it has caches.
    pub(super) fn seal(&self) -> bool {
        self.0.fetch_or(Self::SEALED, PlainOrdering::Relaxed) & Self::CACHED != 0
    }

    /// Says that there is something in a cache. `None` if it was said before, else whether the segment is sealed.
    pub(super) fn cache(&self) -> Option<bool> {
        let before = self.0.fetch_or(Self::CACHED, PlainOrdering::Relaxed);
        (before & Self::CACHED == 0).then_some(before & Self::SEALED != 0)
    }

    /// Says that the caches are about to be emptied. Returns whether there was something in them.
    pub(super) fn empty(&self) -> bool {
        self.0.fetch_and(!Self::CACHED, PlainOrdering::Relaxed) & Self::CACHED != 0
    }
}
