#[cfg(feature = "long-poll")]
use std::future::Future;
use std::future::poll_fn;
#[cfg(feature = "long-poll")]
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::ETAG;
use http::{HeaderValue, Response, StatusCode};

use super::answer;
use super::attach::Visitor;
use super::body::Body;
use super::headers::{PREFERENCE_APPLIED, TIDINGS_RETRY_MS};
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::shared::Mount;
use crate::adapters::Reply;
use crate::contract::End;

/// Answers a short poll: at once, or when the state is there that it needs. With a name it is one of a run; without, it
/// is no session.
#[cfg(feature = "short-poll")]
pub(super) async fn short(mount: &Arc<Mount>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    use std::task::Poll;

    use super::session::Order;
    use crate::adapters::PollQueue;

    let Visitor { wanted, guest, attach, .. } = visitor;
    let mut visit = mount.admit_poll(&wanted, &guest).await?;
    let mut queue = PollQueue::new(visit.feed(attach, wanted.start)).max_bytes(mount.config.batch);
    poll_fn(|cx| {
        let order = visit.poll_order(cx);
        if let Poll::Ready(Order::Cut | Order::Revoke) = order {
            return Poll::Ready(());
        }
        // Whoever is to leave waits for nothing more.
        if queue.collect(cx).is_mending() && order.is_pending() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let reply = queue.finish();
    visit.cut_off().map_or(Ok(()), |order| Err(mount.refuse_cut_off(order)))?;
    let retry = match reply.end {
        _ if reply.more => Duration::ZERO,
        Some(_) => mount.config.jittered_retry(),
        None => mount.config.jittered_hint(reply.next_in),
    };
    respond(mount, &wanted, reply, retry)
}

/// Answers a long poll, as a session for as long as it is held, or as one poll of a run.
#[cfg(feature = "long-poll")]
pub(super) async fn long(mount: &Arc<Mount>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    use std::task::Poll;

    use super::session::Order;
    use crate::adapters::LongPollWaiter;
    use crate::contract::Left;

    let Visitor { wanted, guest, attach, .. } = visitor;
    let mut visit = mount.admit_poll(&wanted, &guest).await?;
    let (wheel, config) = (&mount.runtime.wheel, &mount.config);
    let hold = wheel.after(config.jittered_hold(wanted.wait));
    let deadline = visit.right().map_or(hold, |right| right.min(hold));
    let mut waiter = LongPollWaiter::new(visit.feed(attach, wanted.start), wheel, deadline).max_bytes(config.batch);
    if let Some(interval) = config.jittered_interval() {
        waiter = waiter.not_before(wheel.after(interval));
    }
    let mut order = None;
    let reply = poll_fn(|cx| {
        if let Poll::Ready(given) = visit.poll_order(cx) {
            order = Some(given);
            waiter.finish();
        }
        match order {
            None | Some(Order::Leave) => Pin::new(&mut waiter).poll(cx).map(Some),
            Some(Order::Cut | Order::Revoke) => Poll::Ready(None),
        }
    })
    .await;
    visit.cut_off().map_or(Ok(()), |order| Err(mount.refuse_cut_off(order)))?;
    let reply = reply.ok_or_else(|| mount.later())?;
    visit.ends(Left::Silent);
    // The next poll may come at once, unless it would find a closed door or the end again.
    let pause = order.is_some() || (reply.end.is_some() && !reply.more);
    let retry = if pause { config.jittered_retry() } else { Duration::ZERO };
    respond(mount, &wanted, reply, retry)
}

impl Mount {
    /// A poll that is ended before its answer: nothing of what it took has gone out.
    fn refuse_cut_off(&self, order: super::session::Order) -> Refusal {
        match order {
            super::session::Order::Revoke => self.revoked(),
            _ => self.later(),
        }
    }
}

/// A reply as a response: 200, or 304 to a client that holds all there is and said so; 500 where there would be more,
/// had the application's code not failed.
fn respond(mount: &Mount, wanted: &Wanted, reply: Reply, retry: Duration) -> Result<Response<Body>, Refusal> {
    if reply.end == Some(End::Failed) && reply.is_empty() {
        return Err(Refusal::internal("internal error"));
    }
    let cursor = reply.cursor;
    let unchanged = reply.is_empty() && cursor.is_some() && cursor == wanted.holds;
    let (tag, parts) = reply.into_tagged_parts();
    let mut response = match unchanged {
        true => Response::new(Body::empty()),
        false => {
            let body = Body::parts(parts);
            mount.counters.sent(http_body::Body::size_hint(&body).lower());
            answer::dressed_as(wanted.transport, http::Version::HTTP_11, body)
        }
    };
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_maybe_shared(tag).ok()) {
        headers.insert(ETAG, tag);
    }
    headers.insert(TIDINGS_RETRY_MS, u64::try_from(retry.as_millis()).unwrap_or(u64::MAX).into());
    if let Some(wait) = wanted.applied(mount.config.max_hold) {
        if let Ok(applied) = HeaderValue::try_from(format!("wait={}", wait.as_secs())) {
            headers.insert(PREFERENCE_APPLIED, applied);
        }
    }
    Ok(response)
}
