use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::contract::{
    Delivery, EncodedDelivery, Format, Start, Subscribe, SubscribeError, Subscriber, SubscriberInfo, SubscriptionEnd,
};
use crate::engine::shared::{EngineShared, Join, Place};
use crate::engine::subscription::HistorySubscription;
use crate::model::{Cursor, Pattern};

/// Subscription of an [`EngineHub`](crate::engine::EngineHub).
///
/// It begins when the log pushes the events of its topics and patterns. If the hub begins again, because the log is in another
/// epoch or events could not be held in memory, the subscription begins again at its cursor.
pub struct EngineSubscription {
    shared: Arc<EngineShared>,
    what: Subscribe,
    names: Arc<[Pattern]>,
    /// Whether lost events end the subscription.
    disconnects: bool,
    place: Place,
    /// Cursor while the subscription begins. `None` until it is known whether that of a client is one of the log.
    known: Option<Cursor>,
    state: State,
    /// Number of hubs in memory when the subscription began.
    renewals: u64,
}

enum State {
    Joining(Join),
    Joined(Box<HistorySubscription>),
    Over(SubscriptionEnd),
}

impl EngineSubscription {
    pub(crate) fn new(shared: &Arc<EngineShared>, what: Subscribe) -> Result<Self, SubscribeError> {
        let (names, options) = what.clone().into_parts()?;
        let disconnects = what.clone().options.disconnect();
        let now = shared.follow(&names);
        let place = match options.start() {
            Start::After(cursor) => Place::After(cursor),
            _ => Place::Start(now),
        };
        let known = match place {
            Place::Start(now) if options.starts_now() => Some(now),
            Place::Start(_) | Place::After(_) => None,
        };
        let (state, renewals) = (State::Joining(shared.join(place)), shared.renewals());
        Ok(Self { shared: Arc::clone(shared), what, names: names.into(), disconnects, place, known, state, renewals })
    }

    fn poll_joined(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut HistorySubscription, SubscriptionEnd>> {
        let is_filling = matches!(&self.state, State::Joined(joined) if joined.is_filling());
        if is_filling && self.renewals != self.shared.renewals() {
            self.begin_again();
        }
        if let State::Joining(join) = &mut self.state {
            // Read before the hub in memory, which may be replaced afterwards.
            let renewals = self.shared.renewals();
            let joined = ready!(self.shared.poll_join(join, &self.what, &self.names, cx));
            self.shared.end_join(join);
            self.renewals = renewals;
            self.state = match joined {
                Ok(joined) => State::Joined(Box::new(joined)),
                Err(SubscribeError::Closed) => State::Over(SubscriptionEnd::Closed),
                Err(_) => State::Over(SubscriptionEnd::Failed),
            };
        }
        Poll::Ready(match &mut self.state {
            State::Joined(joined) => Ok(joined),
            State::Over(end) => Err(*end),
            State::Joining(_) => Err(SubscriptionEnd::Failed),
        })
    }

    /// Begins again at the cursor, or at the same place if nothing was delivered.
    fn begin_again(&mut self) {
        self.known = self.cursor();
        self.place = self.known.map_or(self.place, Place::After);
        self.state = State::Joining(self.shared.join(self.place));
    }

    /// While the log cannot be reached, a short poll does not wait for it.
    fn joining_info(&self) -> SubscriberInfo<'_> {
        let info = SubscriberInfo::new().with_topics(&*self.names);
        if self.shared.lock().merge.is_live() { info.with_loading() } else { info }
    }

    /// Returns whether the end is one of the hub in memory, and the subscription begins again.
    fn continues_after(&mut self, end: SubscriptionEnd) -> bool {
        let continues = match end {
            SubscriptionEnd::Closed => !self.shared.lock().is_closed,
            SubscriptionEnd::TooSlow => !self.disconnects,
            _ => false,
        };
        if continues {
            self.begin_again();
        }
        continues
    }
}

impl Subscriber for EngineSubscription {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            let joined = match ready!(self.poll_joined(cx)) {
                Ok(joined) => joined,
                Err(end) => return Poll::Ready(Delivery::End(end)),
            };
            match ready!(joined.poll_next(cx)) {
                Delivery::End(end) if self.continues_after(end) => {}
                delivery => return Poll::Ready(delivery),
            }
        }
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        loop {
            let joined = match ready!(self.poll_joined(cx)) {
                Ok(joined) => joined,
                Err(end) => return Poll::Ready(EncodedDelivery::End(end)),
            };
            match ready!(joined.poll_encoded(cx, format, max)) {
                EncodedDelivery::End(end) if self.continues_after(end) => {}
                delivery => return Poll::Ready(delivery),
            }
        }
    }

    fn heeds_max(&self) -> bool {
        true
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.state {
            State::Joined(joined) => joined.register(cx),
            State::Joining(_) | State::Over(_) => false,
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        match &self.state {
            State::Joined(joined) => joined.cursor(),
            State::Joining(_) => self.known,
            State::Over(_) => None,
        }
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        match &mut self.state {
            State::Joined(joined) => joined.skip_to(cursor),
            State::Joining(join) if self.shared.contains(cursor) => {
                (self.place, self.known) = (Place::After(cursor), Some(cursor));
                join.place = self.place;
                true
            }
            State::Joining(_) | State::Over(_) => false,
        }
    }

    fn release(&mut self) {
        if let State::Joined(joined) = &mut self.state {
            joined.release();
        }
    }

    fn info(&self) -> SubscriberInfo<'_> {
        match &self.state {
            State::Joined(joined) => joined.info(),
            State::Joining(_) => self.joining_info(),
            State::Over(_) => SubscriberInfo::new().with_topics(&*self.names),
        }
    }
}

impl Drop for EngineSubscription {
    fn drop(&mut self) {
        if let State::Joining(join) = &self.state {
            self.shared.end_join(join);
        }
        self.shared.leave(&self.names);
    }
}

impl fmt::Debug for EngineSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSubscription").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
