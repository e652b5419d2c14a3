use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use super::reply::ReplyParams;
use crate::endpoint::connection::Hop;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::response::answer::Answer;
use crate::endpoint::session::Order;
use crate::endpoint::subscribe::PendingSubscribe;
use crate::transport::short_poll::PollQueue;

/// Answers a short poll: at once, or when the snapshot or the first event that it waits for is loaded.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
pub(crate) fn short(mut pending: PendingSubscribe, hop: Hop) -> impl Future<Output = Result<Answer, Refusal>> + Send {
    async move {
        let (authorization, mut accepted) = pending.authorize().await?;
        let throttle = accepted.take_throttle();
        let PendingSubscribe { shared, params, .. } = &pending;
        let mut guard = shared.admit_poll(params, authorization).await?;
        let mut queue =
            PollQueue::new(guard.subscriber(accepted, params.start)).max_batch_bytes(shared.config.max_batch_bytes);
        poll_fn(|cx| {
            let order = guard.poll_order(cx);
            if let Poll::Ready(Order::Cut | Order::Revoke) = order {
                return Poll::Ready(());
            }
            let waits = queue.collect(cx).is_recovering() || queue.is_loading();
            // A poll whose session ends does not wait for a snapshot.
            if waits && order.is_pending() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        let reply = queue.finish();
        guard.cut_off().map_or(Ok(()), |order| Err(shared.refuse_cut_off(order)))?;
        let retry = match reply.end {
            _ if reply.more => Duration::ZERO,
            Some(_) => shared.config.jittered_retry(),
            None => shared.config.jittered_poll_interval(reply.next_in).max(throttle.unwrap_or_default()),
        };
        ReplyParams::of(shared, params, hop).answer(guard, reply, retry).map(Answer::Now)
    }
}
