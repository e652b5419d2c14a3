use std::future::{Future, poll_fn};
#[cfg(feature = "long-poll")]
use std::pin::Pin;
#[cfg(feature = "long-poll")]
use std::task::ready;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};

use super::replies::Payload;
use crate::contract::{Start, Subscriber, SubscriptionEnd};
use crate::endpoint::attach::{Arrival, Visitor};
use crate::endpoint::body::Body;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::negotiate::Wanted;
use crate::endpoint::response::future::Answer;
use crate::endpoint::response::headers::{self, TIDINGS_RETRY_MS, number};
use crate::endpoint::server::connection::Hop;
#[cfg(feature = "long-poll")]
use crate::endpoint::session::MeteredSubscriber;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::session::{Order, SessionEntry, SessionGuard};
use crate::endpoint::shared::Shared;
use crate::endpoint::stream::event_stream::{EventStream, ReplyStream};
use crate::endpoint::stream::live_body::LiveBody;
#[cfg(feature = "long-poll")]
use crate::endpoint::time::sleep::WheelSleep;
use crate::model::Cursor;
use crate::time::Clock;
use crate::transport::Reply;
#[cfg(feature = "long-poll")]
use crate::transport::long_poll::LongPollWaiter;

/// Parameters of a poll's reply, besides its events.
struct Terms {
    hop: Hop,
    /// Cursor that the client holds already, if it would take a 304. Boxed, because most held polls have none.
    holds: Option<Box<Cursor>>,
    /// The wait that is honoured, to be acknowledged, in seconds.
    applied: Option<u32>,
}

/// Answers a short poll: at once, or when the state is there that it needs. With a name it is one of a run; without, it
/// is no session.
#[cfg(feature = "short-poll")]
pub(crate) fn short(mut arrival: Arrival, hop: Hop) -> impl Future<Output = Result<Answer, Refusal>> + Send {
    use crate::transport::short_poll::PollQueue;

    async move {
        let Visitor { guest, attach } = arrival.authorize().await?;
        let Arrival { shared, wanted, .. } = &arrival;
        let mut guard = shared.admit_poll(wanted, guest).await?;
        let mut queue =
            PollQueue::new(guard.subscriber(attach, wanted.start)).max_batch_bytes(shared.config.max_batch_bytes);
        poll_fn(|cx| {
            let order = guard.poll_order(cx);
            if let Poll::Ready(Order::Cut | Order::Revoke) = order {
                return Poll::Ready(());
            }
            // Whoever is to leave waits for nothing more.
            if queue.collect(cx).is_recovering() && order.is_pending() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        let reply = queue.finish();
        guard.cut_off().map_or(Ok(()), |order| Err(shared.refuse_cut_off(order)))?;
        let retry = match reply.end {
            _ if reply.more => Duration::ZERO,
            Some(_) => shared.config.jittered_retry(),
            None => shared.config.jittered_hint(reply.next_in),
        };
        Terms::of(shared, wanted, hop).answer(guard, reply, retry).map(Answer::Now)
    }
}

/// Longest time that a poll without a cursor is held, if `long_poll_min_wait` is not longer. A client that never sends a cursor
/// asks no more often than that.
#[cfg(feature = "long-poll")]
const FIRST_HOLD: Duration = Duration::from_secs(1);

/// Answers a long poll, as a session for as long as it is held, or as one poll of a run.
#[cfg(feature = "long-poll")]
#[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
pub(crate) fn long(mut arrival: Arrival, hop: Hop) -> impl Future<Output = Result<Answer, Refusal>> + Send {
    async move {
        let Visitor { guest, attach } = arrival.authorize().await?;
        let Arrival { shared, wanted, .. } = &arrival;
        let came = guest.came;
        let guard = shared.admit_poll(wanted, guest).await?;
        let (config, interval) = (&shared.config, shared.config.jittered_interval());
        let feed = guard.subscriber(attach, wanted.start);
        // A client without a cursor cannot resume if its held poll is cut, so its first poll is answered soon, with one.
        let is_first = wanted.start == Start::Now && feed.cursor().is_some();
        let longest = if is_first { interval.unwrap_or_default().max(FIRST_HOLD) } else { Duration::MAX };
        let hold = came + config.jittered_hold(wanted.wait).min(longest);
        let deadline = guard.expires().map_or(hold, |at| at.min(hold));
        let mut waiter = LongPollWaiter::asleep(feed, shared.runtime.wheel.sleep(deadline), deadline)
            .max_batch_bytes(config.max_batch_bytes);
        if let Some(interval) = interval {
            waiter = waiter.not_before(came + interval);
        }
        let terms = Terms::of(shared, wanted, hop);
        Ok(Answer::Held(Box::pin(Held { guard: Some(guard), waiter, order: None, terms })))
    }
}

/// A long poll that is held. There are as many as clients, so it has nothing but what the reply takes.
#[cfg(feature = "long-poll")]
struct Held {
    /// Taken with the reply.
    guard: Option<SessionGuard>,
    waiter: LongPollWaiter<MeteredSubscriber, WheelSleep>,
    /// Order that the poll was given.
    order: Option<Order>,
    terms: Terms,
}

#[cfg(feature = "long-poll")]
impl Held {
    /// `None`: there is to be none.
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        if let Some(Poll::Ready(given)) = self.guard.as_mut().map(|guard| guard.poll_order(cx)) {
            self.order = Some(given);
            self.waiter.finish();
        }
        match self.order {
            None | Some(Order::Leave) => Pin::new(&mut self.waiter).poll(cx).map(Some),
            Some(Order::Cut | Order::Revoke) => Poll::Ready(None),
        }
    }
}

#[cfg(feature = "long-poll")]
impl Future for Held {
    type Output = Result<Answer, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(self.poll_reply(cx));
        // It is not polled after its end.
        let Some(guard) = self.guard.take() else { return Poll::Pending };
        Poll::Ready(self.terms.answer_held(guard, self.order, reply).map(Answer::Now))
    }
}

impl Shared {
    /// A poll that is ended before its answer: nothing of what it took has gone out.
    fn refuse_cut_off(&self, order: Order) -> Refusal {
        match order {
            Order::Revoke => self.revoked(),
            _ => self.later(),
        }
    }
}

impl Terms {
    fn of(shared: &Shared, wanted: &Wanted, hop: Hop) -> Self {
        Self { hop, holds: wanted.holds.map(Box::new), applied: wanted.applied(shared.config.max_wait()) }
    }

    /// Answers a poll that was held and was given this order. `None`: there is to be no reply.
    #[cfg(feature = "long-poll")]
    fn answer_held(
        &self,
        guard: SessionGuard,
        order: Option<Order>,
        reply: Option<Reply>,
    ) -> Result<Response<Body>, Refusal> {
        guard.cut_off().map_or(Ok(()), |order| Err(guard.shared().refuse_cut_off(order)))?;
        let reply = reply.ok_or_else(|| guard.shared().later())?;
        if order.is_some() && !reply.is_complete() {
            // It might have been, had the poll not been ended.
            return Err(guard.shared().later());
        }
        // The next poll may come at once, unless it would find a closed door or the end again.
        let pause = order.is_some() || (reply.end.is_some() && !reply.more);
        let retry = if pause { guard.shared().config.jittered_retry() } else { Duration::ZERO };
        self.answer(guard, reply, retry)
    }

    /// A reply as a response: 200, or 304 to a client that holds all there is and said so; 500 where there would be
    /// more, had the application's code not failed.
    fn answer(&self, mut guard: SessionGuard, reply: Reply, retry: Duration) -> Result<Response<Body>, Refusal> {
        if reply.end == Some(SubscriptionEnd::Failed) && (reply.is_empty() || reply.cursor.is_none()) {
            return Err(Refusal::failed("subscriber failed"));
        }
        if !reply.is_complete() {
            return Err(Refusal::no_cursors(guard.shared().config.transports));
        }
        let unchanged = reply.is_empty() && reply.cursor.is_some() && reply.cursor == self.holds.as_deref().copied();
        let (tag, payload) = guard.shared().replies.of(reply);
        let len = payload.len();
        let is_watched = !unchanged && len > self.hop.first_frame();
        if !is_watched {
            guard.ends(SessionEnd::Silent);
            guard.shared().counters.sent(if unchanged { 0 } else { len as u64 });
        }
        let mut response = Response::new(match unchanged {
            true => Body::empty(),
            false if is_watched => self.watched(guard, payload),
            false => Body::reply(payload),
        });
        *response.headers_mut() = headers::of_reply(tag, self.applied);
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(CONTENT_TYPE);
        } else if is_watched {
            response.headers_mut().insert(CONTENT_LENGTH, number(len as u128));
        }
        if !retry.is_zero() {
            response.headers_mut().insert(TIDINGS_RETRY_MS, number(retry.as_millis()));
        }
        Ok(response)
    }

    /// Returns the body of a reply that is more than the HTTP stack takes at once: the write timeout ends it, as it ends a
    /// stream. The poll is under way until then, so that its session can be ended and counts for its key.
    #[cold]
    fn watched(&self, guard: SessionGuard, payload: Payload) -> Body {
        let SessionEntry { shared, session, .. } = &**guard.entry();
        // The polls of a poll session share it, and each has a body of its own.
        let body = SessionGuard::outside(shared, session.clone(), shared.runtime.wheel.now(), None);
        let flow = EventStream::Reply(Box::new(ReplyStream::new(payload.into_parts(), guard)));
        Body::live(LiveBody::new(body, flow, self.hop.clone()))
    }
}
