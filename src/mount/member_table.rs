use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::session::Member;
use crate::contract::SessionId;

/// Live sessions by id, which can be listed in the order of the ids.
///
/// Ids count up, so sessions that began together are in one group, which is a short sorted list. Only every 64th session
/// changes the tree of groups, and the newest group is beside it. The first of a group often leaves first, and so is
/// removed without a search or a move of the others.
#[derive(Default)]
pub(super) struct MemberTable {
    newest: u64,
    newest_group: Group,
    groups: BTreeMap<u64, Group>,
    len: usize,
}

type Group = VecDeque<(SessionId, Arc<Member>)>;

/// Number of ids of one group, as a power of two.
const GROUP_BITS: u32 = 6;

impl MemberTable {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Arc<Member>> {
        let number = number_of(id);
        let group = if number == self.newest { &self.newest_group } else { self.groups.get(&number)? };
        let at = group.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        group.get(at).map(|(_, member)| member)
    }

    /// Adds a session whose id was not added before.
    pub(super) fn insert(&mut self, member: Arc<Member>) {
        let id = member.who.id();
        let number = number_of(id);
        if number > self.newest {
            let group = std::mem::take(&mut self.newest_group);
            if !group.is_empty() {
                self.groups.insert(self.newest, group);
            }
            self.newest = number;
        }
        let group = if number == self.newest { &mut self.newest_group } else { self.groups.entry(number).or_default() };
        // Mostly ids come in their order.
        match group.back() {
            Some(&(last, _)) if last > id => {
                let at = group.partition_point(|&(other, _)| other < id);
                group.insert(at, (id, member));
            }
            _ => group.push_back((id, member)),
        }
        self.len += 1;
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Arc<Member>> {
        let number = number_of(id);
        let is_newest = number == self.newest;
        let group = if is_newest { &mut self.newest_group } else { self.groups.get_mut(&number)? };
        let (_, member) = match group.front() {
            Some(&(first, _)) if first == id => group.pop_front()?,
            _ => group.remove(group.binary_search_by_key(&id, |&(id, _)| id).ok()?)?,
        };
        self.len -= 1;
        if !is_newest && group.is_empty() {
            self.groups.remove(&number);
        } else if group.len() < group.capacity() / 4 {
            // A long-lived session must not keep the room of all that began with it.
            group.shrink_to(group.len() * 2);
        }
        Some(member)
    }

    /// Returns the sessions whose id is greater than `after`, in the order of the ids.
    pub(super) fn after(&self, after: Option<SessionId>) -> impl Iterator<Item = &Arc<Member>> {
        let from = after.map_or(0, number_of);
        let groups = self.groups.range(from..).map(|(_, group)| group);
        let sessions = groups.chain([&self.newest_group]).flatten();
        sessions.skip_while(move |(id, _)| after.is_some_and(|after| *id <= after)).map(|(_, member)| member)
    }
}

fn number_of(id: SessionId) -> u64 {
    id.get() >> GROUP_BITS
}
