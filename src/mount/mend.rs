use std::sync::Arc;

use super::isolate::isolated;
use super::refused::{RefusalCause, Refused};
use super::session::Member;
use super::within::within;
use crate::contract::{Attach, BoxSubscriber, End, Mend, Mended, Mending, Start, Transport};
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
            let tell = |cause, text: &str| mount.tell(&Refused::new(cause, text).of_session(&member.who));
            let _permit = match mount.calls.try_enter(member.who.shared_key().as_ref()) {
                Ok(permit) => permit,
                Err(full) => {
                    tell(RefusalCause::Busy, full.as_str());
                    return Ok(None);
                }
            };
            let state = isolated(async { mount.publisher.snapshot(&member.who, &gap).await });
            match within(&mount.runtime.wheel, mount.config.attach_deadline, state).await {
                Some(Ok(snapshot)) => Ok(snapshot),
                Some(Err(_)) => {
                    // A poll is answered with a status, which is told too.
                    if !matches!(member.transport(), Transport::ShortPoll | Transport::LongPoll) {
                        tell(RefusalCause::Publisher, "snapshot: publisher panicked");
                    }
                    Err(End::Failed)
                }
                None => {
                    let text = format!("snapshot took longer than {:?}", mount.config.attach_deadline);
                    tell(RefusalCause::Busy, &text);
                    Ok(None)
                }
            }
        })
    }
}
