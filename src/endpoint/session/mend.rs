use std::sync::Arc;

use crate::contract::{BoxSubscriber, Start, SubscriptionEnd, Transport};
use crate::endpoint::isolate::isolated;
use crate::endpoint::publisher::Accepted;
use crate::endpoint::reject::refused::{RefusalCause, Refused};
use crate::endpoint::session::Member;
use crate::endpoint::session::Session;
use crate::endpoint::time::within::within;
use crate::model::Gap;
use crate::subscriber::{Mend, Mending, Recover, heeding};

/// Source of a transport's events.
pub(crate) type Feed = Recover<BoxSubscriber, State>;

/// The publisher's state, for one session.
pub(crate) struct State {
    member: Arc<Member>,
    /// The session as one poll of a run has it; `None`: as its member has it.
    turn: Option<Session>,
}

/// Returns the events of a session that began at `start`. The publisher is asked for state with `turn`, if there is one.
pub(crate) fn feed(member: &Arc<Member>, turn: Option<Session>, attach: Accepted<BoxSubscriber>, start: Start) -> Feed {
    let max_event = member.shared.config.max_event;
    let subscriber = if max_event == usize::MAX { attach.subscriber } else { heeding(attach.subscriber) };
    let feed = Recover::new(subscriber, start, State { member: member.clone(), turn }).max_event(max_event);
    match attach.snapshot {
        Some(snapshot) => feed.with_snapshot(*snapshot),
        None => feed,
    }
}

impl Mend for State {
    /// Asks the publisher. `None` if too many of its calls are under way, or if it takes too long. Its panic ends the
    /// session.
    fn mend(&mut self, gap: &Gap) -> Mending {
        let (member, turn, gap) = (self.member.clone(), self.turn.clone(), gap.clone());
        Box::pin(async move {
            let shared = &member.shared;
            let who = turn.as_ref().unwrap_or(&member.who);
            let tell = |cause, text: &str| shared.tell(&Refused::new(cause, text).of_session(who));
            let key = member.who.shared_key();
            let _permit = match shared.calls.try_enter(key.as_ref()) {
                Ok(permit) => permit,
                Err(full) => {
                    tell(RefusalCause::Busy, full.as_str());
                    return Ok(None);
                }
            };
            let state = isolated(async { shared.publisher.snapshot(who, &gap).await });
            match within(&shared.runtime.wheel, shared.config.subscribe_timeout, state).await {
                Some(Ok(snapshot)) => Ok(snapshot),
                Some(Err(_)) => {
                    // A poll is answered with a status, which the hook gets too.
                    if !matches!(member.transport(), Transport::ShortPoll | Transport::LongPoll) {
                        tell(RefusalCause::Publisher, "snapshot: publisher panicked");
                    }
                    Err(SubscriptionEnd::Failed)
                }
                None => {
                    let text = format!("snapshot took longer than {:?}", shared.config.subscribe_timeout);
                    tell(RefusalCause::Busy, &text);
                    Ok(None)
                }
            }
        })
    }

    fn too_large(&mut self) {
        let Self { member, turn } = self;
        let text = format!("snapshot has an event that is too large: max_event is {}", member.shared.config.max_event);
        let refused = Refused::new(RefusalCause::Publisher, &text);
        member.shared.tell(&refused.of_session(turn.as_ref().unwrap_or(&member.who)));
    }
}
