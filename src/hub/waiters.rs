use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::vec::Drain;

/// Number of places that are kept however few register.
const FEW: usize = 64;

/// Waiters for a topic's next event: a slab that is taken whole.
///
/// A registration is good for one round. Taking the slab ends the round, so a waiter that was taken is not woken again
/// before it has registered again, and no ticket of an old round can touch a newer registration.
#[derive(Debug)]
pub(super) struct Waiters<T> {
    slots: Vec<Option<T>>,
    round: u64,
    /// Waiters beside the first slots, which most topics with one subscriber do without.
    beside: Option<Box<Beside<T>>>,
}

#[derive(Debug)]
struct Beside<T> {
    /// The slots that were cancelled in this round.
    free: Vec<u32>,
    /// The allocation of the round before, to be used by the next.
    spare: Vec<Option<T>>,
}

/// A place in the slab, in the round in which it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    round: u64,
    slot: u32,
}

impl Ticket {
    /// The ticket of nobody: rounds begin at 1.
    pub(super) const NONE: Self = Self { round: 0, slot: 0 };
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Waiters<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), round: 1, beside: None }
    }

    /// Registers a waiter under its ticket. Returns what stood there before, to be dropped outside of the lock.
    #[inline]
    pub(super) fn register(&mut self, ticket: &mut Ticket, waiter: T) -> Option<T> {
        if ticket.round == self.round || self.has_free() {
            return self.reuse(ticket, waiter);
        }
        // 2^32 waiters of one topic would need 64 GiB of slots.
        *ticket = Ticket { round: self.round, slot: self.slots.len() as u32 };
        self.slots.push(Some(waiter));
        None
    }

    /// Registers a waiter where it stands already, or where one was cancelled.
    #[cold]
    fn reuse(&mut self, ticket: &mut Ticket, waiter: T) -> Option<T> {
        if ticket.round != self.round {
            let slot = self.beside.as_mut()?.free.pop()?;
            *ticket = Ticket { round: self.round, slot };
        }
        self.slots.get_mut(ticket.slot as usize)?.replace(waiter)
    }

    /// Takes a waiter out. Returns it, to be dropped outside of the lock.
    #[inline]
    pub(super) fn cancel(&mut self, ticket: &mut Ticket) -> Option<T> {
        let Ticket { round, slot } = mem::replace(ticket, Ticket::NONE);
        if round != self.round {
            return None;
        }
        let waiter = self.slots.get_mut(slot as usize)?.take()?;
        if slot as usize + 1 == self.slots.len() {
            self.slots.pop();
        } else {
            self.beside().free.push(slot);
        }
        Some(waiter)
    }

    #[inline]
    fn has_free(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| !beside.free.is_empty())
    }

    fn beside(&mut self) -> &mut Beside<T> {
        self.beside.get_or_insert_with(|| Box::new(Beside { free: Vec::new(), spare: Vec::new() }))
    }

    /// Whether nobody is registered, nor was in this round.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many are registered.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.beside.as_ref().map_or(0, |beside| beside.free.len())
    }

    /// Takes everyone, in time that does not depend on how many they are.
    pub(super) fn take(&mut self) -> Vec<Option<T>> {
        if self.slots.is_empty() {
            return Vec::new();
        }
        self.round += 1;
        let next = match self.beside.as_deref_mut() {
            Some(Beside { free, spare }) => {
                free.clear();
                free.shrink_to(FEW);
                mem::take(spare)
            }
            None => Vec::new(),
        };
        mem::replace(&mut self.slots, next)
    }

    /// Gives an emptied allocation back: for this round if nobody has registered yet, else for a later one. `most` is the
    /// number of those that may register: for many more than these nothing is kept. Returns what is not needed, to be
    /// dropped outside of the lock.
    pub(super) fn give_back(&mut self, slots: Vec<Option<T>>, most: u32) -> [Vec<Option<T>>; 2] {
        let most = FEW.max(4 * most as usize);
        let place = if self.slots.is_empty() { &mut self.slots } else { &mut self.beside().spare };
        let (kept, unneeded) = match slots.capacity() > place.capacity() {
            true => (slots, mem::take(place)),
            false => (mem::take(place), slots),
        };
        if kept.capacity() <= most {
            *place = kept;
            return [unneeded, Vec::new()];
        }
        if unneeded.capacity() <= most {
            *place = unneeded;
            return [kept, Vec::new()];
        }
        [kept, unneeded]
    }

    /// Returns whether there are allocations for more than a [`FEW`].
    #[inline]
    pub(super) fn is_large(&self) -> bool {
        let is_large = |beside: &Beside<T>| beside.free.capacity() > FEW || beside.spare.capacity() > FEW;
        self.slots.capacity() > FEW || self.beside.as_deref().is_some_and(is_large)
    }

    /// Takes the allocations out. Only where nobody is registered.
    pub(super) fn release(&mut self) -> Self {
        // The round goes on, so that no ticket of before is good for the next registration.
        mem::replace(self, Self { slots: Vec::new(), round: self.round, beside: None })
    }
}

/// Wakes everyone in these lists, each once, also when one of the wakers panics. Leaves the lists empty.
pub(super) fn wake_all<'a>(lists: impl Iterator<Item = &'a mut Vec<Option<Waker>>>) {
    struct Rest<'a, I: Iterator<Item = &'a mut Vec<Option<Waker>>>> {
        list: Option<Drain<'a, Option<Waker>>>,
        lists: I,
    }

    impl<'a, I: Iterator<Item = &'a mut Vec<Option<Waker>>>> Rest<'a, I> {
        fn wake(&mut self, wake: impl Fn(Waker)) {
            loop {
                if let Some(list) = &mut self.list {
                    list.flatten().for_each(&wake);
                }
                match self.lists.next() {
                    Some(list) => self.list = Some(list.drain(..)),
                    None => return,
                }
            }
        }
    }

    impl<'a, I: Iterator<Item = &'a mut Vec<Option<Waker>>>> Drop for Rest<'a, I> {
        fn drop(&mut self) {
            // There is something left only when a waker panicked: a second panic here would abort.
            self.wake(|waker| drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))));
        }
    }

    Rest { list: None, lists }.wake(Waker::wake);
}
