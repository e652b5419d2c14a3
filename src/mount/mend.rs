use std::sync::Arc;

use super::isolate::isolated;
use super::session::Member;
use super::within::within;
use crate::contract::{Attach, BoxSubscriber, End, Mend, Mended, Mending, Start};
use crate::model::Gap;

/// What a transport gets its events from.
pub(super) type Feed = Mended<BoxSubscriber, State>;

/// The publisher's state, for one session.
pub(super) struct State(Arc<Member>);

/// The events for a session that began at `start`.
pub(super) fn feed(member: &Arc<Member>, attach: Attach<BoxSubscriber>, start: Start) -> Feed {
    let feed = Mended::new(attach.subscriber, start, State(member.clone()));
    match attach.snapshot {
        Some(snapshot) => feed.with_snapshot(*snapshot),
        None => feed,
    }
}

impl Mend for State {
    /// None where too many calls of the publisher are under way, or it takes too long. Its panic ends the session.
    fn mend(&mut self, gap: &Gap) -> Mending {
        let (member, gap) = (self.0.clone(), gap.clone());
        Box::pin(async move {
            let mount = &member.mount;
            let Some(_share) = mount.shares.take(member.who.shared_key().as_ref()) else {
                return Ok(None);
            };
            let Some(_permit) = mount.counters.permit(mount.config.max_attaches) else {
                return Ok(None);
            };
            let state = isolated(async { mount.publisher.snapshot(&member.who, &gap).await });
            match within(&mount.runtime.wheel, mount.config.attach_deadline, state).await {
                Some(Ok(snapshot)) => Ok(snapshot),
                Some(Err(_)) => Err(End::Failed),
                None => Ok(None),
            }
        })
    }
}
