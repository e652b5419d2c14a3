use crate::hub::shared::Shared;
use crate::hub::subscription::followed::FollowedLog;
use crate::hub::subscription::multi_topic::MultiTopic;
use crate::hub::subscription::state_position::state_cursor;
use crate::model::Cursor;

/// Position of a subscription of several topics while the states of keyed topics are delivered.
impl MultiTopic {
    /// Returns the subscription, which begins without a cursor: its client starts over until it has an event of the state.
    pub(crate) fn beginning_with_state(mut self) -> Self {
        if self.fills {
            (self.begins_with_state, self.sequence, self.began) = (true, 0, 0);
        }
        self
    }

    /// Returns the cursor of the client.
    #[inline]
    pub(crate) fn cursor(&self, shared: &Shared) -> Cursor {
        if self.fills { self.cursor_in_fill(shared) } else { shared.cursor(self.sequence) }
    }

    #[cold]
    fn cursor_in_fill(&self, shared: &Shared) -> Cursor {
        if !self.topics.iter().any(FollowedLog::is_in_fill) {
            return shared.cursor(self.sequence);
        }
        // A client that lacks nothing has no tag, so no log is looked at for it.
        let base = match self.topics.iter().any(FollowedLog::lacks_state) {
            true => self.topics.iter().filter_map(|followed| followed.base(shared, self.sequence)).min(),
            false => None,
        };
        let base = base.map(|base| base.max(self.base));
        state_cursor(shared, self.sequence, self.begins_with_state, base)
    }

    /// Notes in all topics that they are read up to here: the position of the subscription goes back for a state.
    #[cold]
    pub(crate) fn begin_state_again(&mut self) {
        (self.begins_with_state, self.base) = (false, 0);
        self.topics.iter_mut().for_each(|followed| followed.note_read(self.sequence));
    }
}
