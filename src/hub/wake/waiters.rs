use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::vec::Drain;

/// Number of places that are kept however few waiters register.
const FEW: usize = 64;

/// Waiters for the next event of a log: a slab that is taken as a whole.
///
/// A registration is valid for one round. Taking the slab ends the round. A waiter that was taken is woken again only
/// after it has registered again, and no ticket of an earlier round refers to a newer registration.
#[derive(Debug)]
pub(crate) struct Waiters<T> {
    slots: Vec<Option<T>>,
    round: u64,
    /// Lists that most topics with one subscriber do not need.
    beside: Option<Box<Spare<T>>>,
}

#[derive(Debug)]
struct Spare<T> {
    /// Slots that were cancelled in this round.
    free: Vec<u32>,
    /// Allocation of the previous round, for use in the next one.
    spare: Vec<Option<T>>,
}

/// Slot of a waiter, and the round in which it was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    round: u64,
    slot: u32,
}

impl Ticket {
    /// Ticket without a registration: rounds begin at 1.
    pub(crate) const NONE: Self = Self { round: 0, slot: 0 };
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Waiters<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), round: 1, beside: None }
    }

    /// Registers a waiter under its ticket. Returns the previous waiter, which the caller drops outside of the lock.
    #[inline]
    pub(crate) fn register(&mut self, ticket: &mut Ticket, waiter: T) -> Option<T> {
        if ticket.round == self.round || self.has_free() {
            return self.reuse(ticket, waiter);
        }
        // 2^32 waiters of one topic would need 64 GiB of slots.
        *ticket = Ticket { round: self.round, slot: self.slots.len() as u32 };
        self.slots.push(Some(waiter));
        None
    }

    /// Registers a waiter in the slot that it has, or in one that was cancelled.
    #[cold]
    fn reuse(&mut self, ticket: &mut Ticket, waiter: T) -> Option<T> {
        if ticket.round != self.round {
            let slot = self.beside.as_mut()?.free.pop()?;
            *ticket = Ticket { round: self.round, slot };
        }
        self.slots.get_mut(ticket.slot as usize)?.replace(waiter)
    }

    /// Removes a waiter. Returns it; the caller drops it outside of the lock.
    #[inline]
    pub(crate) fn cancel(&mut self, ticket: &mut Ticket) -> Option<T> {
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

    fn beside(&mut self) -> &mut Spare<T> {
        self.beside.get_or_insert_with(|| Box::new(Spare { free: Vec::new(), spare: Vec::new() }))
    }

    /// Returns whether no waiter has registered in this round.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns the number of registered waiters.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.beside.as_ref().map_or(0, |beside| beside.free.len())
    }

    /// Takes all waiters, in time that does not depend on their number.
    pub(crate) fn take(&mut self) -> Vec<Option<T>> {
        if self.slots.is_empty() {
            return Vec::new();
        }
        self.round += 1;
        let next = match self.beside.as_deref_mut() {
            Some(Spare { free, spare }) => {
                free.clear();
                free.shrink_to(FEW);
                mem::take(spare)
            }
            None => Vec::new(),
        };
        mem::replace(&mut self.slots, next)
    }

    /// Returns an emptied allocation: for this round if no waiter has registered yet, otherwise for a later one. `most`
    /// is the number of waiters that may register: an allocation for many more is not kept. Returns the allocations
    /// that are not kept; the caller drops them outside of the lock.
    pub(crate) fn give_back(&mut self, slots: Vec<Option<T>>, most: u32) -> [Vec<Option<T>>; 2] {
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

    /// Returns whether there are allocations for more than [`FEW`] waiters.
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        let is_large = |beside: &Spare<T>| beside.free.capacity() > FEW || beside.spare.capacity() > FEW;
        self.slots.capacity() > FEW || self.beside.as_deref().is_some_and(is_large)
    }

    /// Takes the allocations out. Called only while no waiter is registered.
    pub(crate) fn release(&mut self) -> Self {
        // The round number is kept, so that no earlier ticket is valid for the next registration.
        mem::replace(self, Self { slots: Vec::new(), round: self.round, beside: None })
    }
}

/// Wakes every waker in these lists once, also if one of them panics. Leaves the lists empty.
pub(crate) fn wake_all<'a>(lists: impl Iterator<Item = &'a mut Vec<Option<Waker>>>) {
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
            // Wakers are left only if one has panicked: a second panic here would abort.
            self.wake(|waker| drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))));
        }
    }

    Rest { list: None, lists }.wake(Waker::wake);
}
