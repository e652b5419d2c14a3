use std::sync::Arc;

use super::polls::PollEntry;
use crate::contract::{BoxSubscriber, Start, SubscriptionEnd};
use crate::endpoint::accepted::Accepted;
use crate::endpoint::call::FailedCall;
use crate::endpoint::refused::Refused;
use crate::endpoint::reject::RefusalCause;
use crate::endpoint::session::SessionEntry;
use crate::model::Gap;
use crate::subscriber::{Recover, Recovering, Recovery, heeding, sealed};

/// The subscriber that a session's transport reads, before it is metered.
pub(crate) type Feed = Recover<BoxSubscriber, SessionRecovery>;

/// Source of the publisher's snapshots for one session.
pub(crate) struct SessionRecovery {
    entry: Arc<SessionEntry>,
    /// The poll of a poll session whose handle of the session the publisher gets.
    poll: Option<Arc<PollEntry>>,
}

/// Returns the subscriber of a session that began at `start`.
pub(super) fn feed(
    entry: &Arc<SessionEntry>,
    poll: Option<Arc<PollEntry>>,
    accepted: Accepted<BoxSubscriber>,
    start: Start,
) -> Feed {
    let max_event = entry.shared.config.max_event;
    let subscriber = if max_event == usize::MAX { accepted.subscriber } else { heeding(accepted.subscriber) };
    let feed =
        Recover::new(subscriber, SessionRecovery { entry: entry.clone(), poll }).with_start(start).max_event(max_event);
    match accepted.snapshot {
        Some(snapshot) => feed.with_snapshot(*snapshot),
        None => feed,
    }
}

impl SessionRecovery {
    /// Returns the poll of a poll session that the feed is for.
    #[inline]
    pub(super) fn poll(&self) -> Option<&PollEntry> {
        self.poll.as_deref()
    }
}

impl sealed::SealedRecovery for SessionRecovery {}

impl Recovery for SessionRecovery {
    /// Asks the publisher for a snapshot. There is none if too many calls of the publisher are under way, or the call
    /// takes too long. A panic of the publisher ends the session.
    fn recover(&mut self, gap: &Gap) -> Recovering {
        let (entry, poll, gap) = (self.entry.clone(), self.poll.clone(), gap.clone());
        Box::pin(async move {
            let shared = &entry.shared;
            let session = poll.as_ref().map_or(&entry.session, |poll| &poll.session);
            let refuse = |cause, text: &str| shared.report_refusal(&Refused::new(cause, text).of_session(session));
            let key = entry.session.shared_key();
            let _permit = match shared.calls.try_enter(key.as_ref()) {
                Ok(permit) => permit,
                Err(full) => {
                    refuse(RefusalCause::Busy, full.as_str());
                    return Ok(None);
                }
            };
            match shared.call(|| shared.publisher.snapshot(session, &gap)).await {
                Ok(snapshot) => Ok(snapshot),
                Err(failed @ FailedCall::TimedOut(_)) => {
                    refuse(failed.cause(), &failed.text("snapshot"));
                    Ok(None)
                }
                Err(failed @ FailedCall::Panicked) => {
                    // A poll is answered with a status, which the hook gets too.
                    if !entry.transport().is_poll() {
                        refuse(failed.cause(), &failed.text("snapshot"));
                    }
                    Err(SubscriptionEnd::Failed)
                }
            }
        })
    }

    fn too_large(&mut self) {
        let Self { entry, poll } = self;
        let session = poll.as_ref().map_or(&entry.session, |poll| &poll.session);
        let text = format!("snapshot has an event that is too large: max_event is {}", entry.shared.config.max_event);
        entry.shared.report_refusal(&Refused::new(RefusalCause::Publisher, &text).of_session(session));
    }
}
