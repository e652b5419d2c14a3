use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Response;

use super::reply::ReplyParams;
use crate::contract::{Start, Subscriber};
use crate::endpoint::body::Body;
use crate::endpoint::config::with_jitter;
use crate::endpoint::connection::Hop;
use crate::endpoint::ended_source;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::negotiate::SubscribeParams;
use crate::endpoint::response::answer::Answer;
use crate::endpoint::session::{MeteredSubscriber, Order, SessionGuard};
use crate::endpoint::shared::Shared;
use crate::endpoint::subscribe::PendingSubscribe;
use crate::endpoint::time::sleep::WheelSleep;
use crate::transport::Reply;
use crate::transport::limit::REPEATED_END;
use crate::transport::long_poll::LongPollWaiter;

/// Longest time that a poll without a cursor is held, and time that a poll is held which came after the end and gets no
/// events, if `long_poll_min_wait` is not longer. A client that never sends a cursor, or continues after the end, polls
/// no more often than that.
const SHORT_HOLD: Duration = REPEATED_END;

/// Answers a long poll. It is a session while it is held, or one poll of a poll session.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
pub(crate) fn long(mut pending: PendingSubscribe, hop: Hop) -> impl Future<Output = Result<Answer, Refusal>> + Send {
    async move {
        let (authorization, mut accepted) = pending.authorize().await?;
        let PendingSubscribe { shared, params, .. } = &pending;
        let throttle = accepted.take_throttle().map(with_jitter);
        let authorized_at = authorization.authorized_at;
        let came_late = authorization.came_late();
        let guard = shared.admit_poll(params, authorization).await?;
        let (config, interval) = (&shared.config, shared.config.jittered_interval());
        let mut subscriber = guard.subscriber(accepted, params.start);
        // A client without a cursor cannot resume if its held poll is cut, so its first poll is answered soon, with
        // one.
        let has_cursor = matches!(params.start, Start::After(_) | Start::Unreadable);
        let is_first = !has_cursor && subscriber.cursor().is_some();
        let longest = match is_first {
            true => interval.max(throttle).unwrap_or_default().max(SHORT_HOLD),
            false => Duration::MAX,
        };
        let hold = authorized_at + config.jittered_hold(params.wait).min(longest);
        let deadline = guard.expires().map_or(hold, |at| at.min(hold));
        if let Some(throttle) = throttle {
            // At the deadline the events are to be read.
            subscriber.wait_until(deadline.min(authorized_at + throttle));
        }
        let mut waiter = LongPollWaiter::asleep(subscriber, shared.runtime.wheel.sleep(deadline), deadline)
            .max_batch_bytes(config.max_batch_bytes);
        if let Some(interval) = interval {
            waiter = waiter.not_before(authorized_at + interval);
        }
        if came_late {
            let held = interval.unwrap_or_default().max(SHORT_HOLD);
            waiter = waiter.not_before(authorized_at + held).hold_end();
        }
        let reply = ReplyParams::of(shared, params, hop);
        Ok(Answer::Held(Box::pin(HeldPoll { guard: Some(guard), waiter, order: None, reply })))
    }
}

/// Returns the reply to a long poll with the cursor of a source without cursors that has ended. It is held as any poll that can
/// get nothing but the end, unless the endpoint drains or has no place for it.
#[cold]
pub(crate) async fn of_ended_source(shared: &Arc<Shared>, params: &SubscribeParams) -> Response<Body> {
    ended_source::hold(shared, shared.config.jittered_hold(params.wait).min(SHORT_HOLD)).await;
    super::reply::of_ended_source(shared, params)
}

/// Long poll that is held. There is one for each waiting client, so it keeps only the values that the reply needs.
struct HeldPoll {
    /// `None` after the reply.
    guard: Option<SessionGuard>,
    waiter: LongPollWaiter<MeteredSubscriber, WheelSleep>,
    /// Order that the session gave to the poll.
    order: Option<Order>,
    reply: ReplyParams,
}

impl HeldPoll {
    /// Returns the reply, or `None` if the poll is ended without one.
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        if let Some(Poll::Ready(order)) = self.guard.as_mut().map(|guard| guard.poll_order(cx)) {
            self.order = Some(order);
            self.waiter.finish();
        }
        match self.order {
            None | Some(Order::Leave) => Pin::new(&mut self.waiter).poll(cx).map(Some),
            Some(Order::Cut | Order::Revoke) => Poll::Ready(None),
        }
    }
}

impl Future for HeldPoll {
    type Output = Result<Answer, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(self.poll_reply(cx));
        // `None` if it is polled after its end.
        let Some(guard) = self.guard.take() else { return Poll::Pending };
        Poll::Ready(self.reply.answer_held(guard, self.order, reply).map(Answer::Now))
    }
}
