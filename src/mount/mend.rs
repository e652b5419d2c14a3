use std::sync::Arc;

use super::isolate::isolated;
use super::refused::{RefusalCause, Refused};
use super::session::Member;
use super::within::within;
use crate::contract::{Attach, BoxSubscriber, End, Mend, Mended, Mending, Session, Start, Transport, heeding};
use crate::model::Gap;

/// Source of a transport's events.
pub(super) type Feed = Mended<BoxSubscriber, State>;

/// The publisher's state, for one session.
pub(super) struct State {
    member: Arc<Member>,
    /// The session as one poll of a run has it; `None`: as its member has it.
    turn: Option<Session>,
}

/// Returns the events of a session that began at `start`. The publisher is asked for state with `turn`, if there is one.
pub(super) fn feed(member: &Arc<Member>, turn: Option<Session>, attach: Attach<BoxSubscriber>, start: Start) -> Feed {
    let max_event = member.mount.config.max_event;
    let subscriber = if max_event == usize::MAX { attach.subscriber } else { heeding(attach.subscriber) };
    let feed = Mended::new(subscriber, start, State { member: member.clone(), turn }).max_event(max_event);
    match attach.snapshot {
        Some(snapshot) => feed.with_snapshot(*snapshot),
        None => feed,
    }
}

impl Mend for State {
    /// None where too many calls of the publisher are under way, or it takes too long. Its panic ends the session.
    fn mend(&mut self, gap: &Gap) -> Mending {
        let (member, turn, gap) = (self.member.clone(), self.turn.clone(), gap.clone());
        Box::pin(async move {
            let mount = &member.mount;
            let who = turn.as_ref().unwrap_or(&member.who);
            let tell = |cause, text: &str| mount.tell(&Refused::new(cause, text).of_session(who));
            let key = member.who.shared_key();
            let _permit = match mount.calls.try_enter(key.as_ref()) {
                Ok(permit) => permit,
                Err(full) => {
                    tell(RefusalCause::Busy, full.as_str());
                    return Ok(None);
                }
            };
            let state = isolated(async { mount.publisher.snapshot(who, &gap).await });
            match within(&mount.runtime.wheel, mount.config.attach_deadline, state).await {
                Some(Ok(snapshot)) => Ok(snapshot),
                Some(Err(_)) => {
                    // A poll is answered with a status, which the hook gets too.
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
