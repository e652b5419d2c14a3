#[cfg(feature = "long-poll")]
use std::future::{Future, poll_fn};
#[cfg(feature = "long-poll")]
use std::pin::Pin;
use std::time::Duration;

use http::header::ETAG;
use http::{HeaderValue, Response, StatusCode};

use super::answer;
use super::attach::Visitor;
use super::body::Body;
use super::headers::{PREFERENCE_APPLIED, TIDINGS_RETRY_MS};
use super::negotiate::Wanted;
use super::shared::Mount;
use crate::adapters::Reply;

/// Answers a short poll.
#[cfg(feature = "short-poll")]
pub(super) fn short(mount: &Mount, visitor: Visitor) -> Response<Body> {
    use crate::adapters::PollQueue;

    let reply = PollQueue::new(visitor.subscriber).max_bytes(mount.config.batch).reply();
    let retry = match reply.end {
        _ if reply.more => Duration::ZERO,
        Some(_) => mount.config.jittered_retry(),
        None => mount.config.jittered_hint(reply.next_in),
    };
    respond(mount, &visitor.wanted, reply, retry)
}

/// Answers a long poll, as a session for as long as it is held.
#[cfg(feature = "long-poll")]
pub(super) async fn long(
    mount: &std::sync::Arc<Mount>,
    visitor: Visitor,
) -> Result<Response<Body>, super::refusal::Refusal> {
    use super::visit::Visit;
    use crate::adapters::LongPollWaiter;
    use crate::contract::Transport;

    let mut visit = Visit::new(mount, Transport::LongPoll).register().map_err(|_| mount.later())?;
    let wheel = &mount.runtime.wheel;
    let config = &mount.config;
    let deadline = wheel.after(config.jittered_hold(visitor.wanted.wait));
    let mut waiter = LongPollWaiter::new(visitor.subscriber, wheel, deadline).max_bytes(config.batch);
    if let Some(interval) = config.jittered_interval() {
        waiter = waiter.not_before(wheel.after(interval));
    }
    let mut ordered = false;
    let reply = poll_fn(|cx| {
        ordered = visit.poll_order(cx).is_ready();
        if ordered {
            waiter.finish();
        }
        Pin::new(&mut waiter).poll(cx)
    })
    .await;
    // The next poll may come at once, unless it would find a closed door or the end again.
    let pause = ordered || (reply.end.is_some() && !reply.more);
    let retry = if pause { config.jittered_retry() } else { Duration::ZERO };
    Ok(respond(mount, &visitor.wanted, reply, retry))
}

/// A reply as a response: 200, or 304 to a client that holds all there is and said so.
fn respond(mount: &Mount, wanted: &Wanted, reply: Reply, retry: Duration) -> Response<Body> {
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
    response
}
