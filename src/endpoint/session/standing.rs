//! When a session joins and when it has left: once each, in this order, and under no lock.

use std::sync::Arc;

use super::cell::Standing;
use super::member::{Member, drop_isolated};
use super::registry::NoPlace;
use crate::contract::Transport;
use crate::endpoint::isolate::isolate;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::session::SessionState;
use crate::endpoint::stream::flow::Flow;

impl Member {
    /// Takes a place in the registry, and has the publisher told.
    pub(super) fn join(self: &Arc<Self>) -> Result<(), NoPlace> {
        // Before others can find it, who may end it at once.
        let mut cell = self.cell.lock();
        (cell.standing, cell.state) = (Standing::Joining, Some(SessionState::Open));
        drop(cell);
        if let Err(no_place) = self.shared.registry.enter(self) {
            let mut cell = self.cell.lock();
            (cell.standing, cell.state) = (Standing::Outside, None);
            return Err(no_place);
        }
        let _ = isolate(|| self.shared.publisher.joined(&self.who));
        let mut cell = self.cell.lock();
        let parted = cell.standing == Standing::Parting;
        cell.standing = if parted { Standing::Gone } else { Standing::Inside };
        let (why, state) = (cell.why.unwrap_or(SessionEnd::Gone), if parted { cell.state.take() } else { None });
        drop(cell);
        if parted {
            self.part(why, state);
        }
        if self.is_run() {
            // Another poll of it may wait for this.
            self.ring();
        }
        Ok(())
    }

    /// The client has gone, or was seen off. Any number of times; `why` counts where nobody has said it before.
    pub(crate) fn leave(&self, why: SessionEnd) {
        let mut cell = self.cell.lock();
        cell.alarm.cancel();
        let why = *cell.why.get_or_insert(why);
        let (flow, fresh) = (cell.unread.take(), cell.watch.count());
        let (term, head) = (cell.term.take(), cell.head.take());
        let mut parted = None;
        match cell.standing {
            Standing::Inside => {
                cell.standing = Standing::Gone;
                parted = Some(cell.state.take());
            }
            Standing::Joining => cell.standing = Standing::Parting,
            Standing::Outside | Standing::Parting | Standing::Gone => {}
        }
        drop(cell);
        if why == SessionEnd::Stalled {
            flow.iter().for_each(Flow::note_stall);
        }
        drop_isolated((flow, head));
        drop(term);
        self.shared.counters.sent(fresh);
        if let Some(state) = parted {
            self.part(why, state);
        }
    }

    /// Leaves the registry, and has the publisher told.
    fn part(&self, why: SessionEnd, state: Option<SessionState>) {
        if self.transport() == Transport::WebSocket {
            self.shared.counters.sent(self.track.bytes());
        }
        self.shared.registry.leave(self, state, why);
        let _ = isolate(|| self.shared.publisher.left(&self.who, why));
        self.shared.registry.parted();
    }
}
