use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::endpoint::session::{SessionEntry, SessionId};

/// Live sessions by id, which can be listed in the order of the ids.
///
/// Ids count up, so sessions that began together are in one group. Only every 64th session changes the tree of groups, and
/// the newest group is beside it.
#[derive(Default)]
pub(crate) struct SessionSlots {
    newest: u64,
    newest_group: Group,
    groups: BTreeMap<u64, Group>,
    len: usize,
}

/// The sessions with ids of one range of 64.
#[derive(Default)]
struct Group {
    /// The id of the first slot.
    first: u64,
    /// A slot for each id from the first live session to the last.
    slots: VecDeque<Option<Arc<SessionEntry>>>,
}

/// Number of ids of one group, as a power of two.
const GROUP_BITS: u32 = 6;

impl SessionSlots {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Arc<SessionEntry>> {
        let number = number_of(id);
        let group = if number == self.newest { &self.newest_group } else { self.groups.get(&number)? };
        group.slots.get(group.slot_of(id)?)?.as_ref()
    }

    /// Adds a session whose id was not added before.
    pub(crate) fn insert(&mut self, entry: Arc<SessionEntry>) {
        let number = number_of(entry.session.id());
        if number > self.newest {
            let group = std::mem::take(&mut self.newest_group);
            if !group.slots.is_empty() {
                self.groups.insert(self.newest, group);
            }
            self.newest = number;
        }
        let group = if number == self.newest { &mut self.newest_group } else { self.groups.entry(number).or_default() };
        group.insert(entry);
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Arc<SessionEntry>> {
        let number = number_of(id);
        let is_newest = number == self.newest;
        let group = if is_newest { &mut self.newest_group } else { self.groups.get_mut(&number)? };
        let entry = group.remove(id)?;
        self.len -= 1;
        if !is_newest && group.slots.is_empty() {
            self.groups.remove(&number);
        }
        Some(entry)
    }

    /// Returns the sessions whose id is greater than `after`, in the order of the ids.
    pub(crate) fn after(&self, after: Option<SessionId>) -> impl Iterator<Item = &Arc<SessionEntry>> {
        let from = after.map_or(0, number_of);
        let groups = self.groups.range(from..).map(|(_, group)| group).chain([&self.newest_group]);
        let entries = groups.flat_map(|group| group.slots.iter().flatten());
        entries.skip_while(move |entry| after.is_some_and(|after| entry.session.id() <= after))
    }
}

impl Group {
    fn slot_of(&self, id: SessionId) -> Option<usize> {
        usize::try_from(id.get().checked_sub(self.first)?).ok()
    }

    fn insert(&mut self, entry: Arc<SessionEntry>) {
        let id = entry.session.id();
        if self.slots.is_empty() {
            self.first = id.get();
        }
        // Sessions begin at the same time on several threads, so an id may come after a greater one.
        while self.first > id.get() {
            self.slots.push_front(None);
            self.first -= 1;
        }
        let at = (id.get() - self.first) as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at, || None);
            self.slots.push_back(Some(entry));
        } else if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(entry);
        }
    }

    fn remove(&mut self, id: SessionId) -> Option<Arc<SessionEntry>> {
        let at = self.slot_of(id)?;
        let entry = self.slots.get_mut(at)?.take()?;
        if at == 0 {
            while let Some(None) = self.slots.front() {
                self.slots.pop_front();
                self.first += 1;
            }
            self.shrink();
        } else if at + 1 == self.slots.len() {
            while let Some(None) = self.slots.back() {
                self.slots.pop_back();
            }
            self.shrink();
        }
        Some(entry)
    }

    /// Gives memory back: a long-lived session must not keep the room of all that began with it.
    fn shrink(&mut self) {
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
        }
    }
}

fn number_of(id: SessionId) -> u64 {
    id.get() >> GROUP_BITS
}
