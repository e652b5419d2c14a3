#[cfg(feature = "long-poll")]
use std::future::Future;
use std::future::poll_fn;
#[cfg(feature = "long-poll")]
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
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

/// Answers a short poll: at once, or when the state is there that it needs.
#[cfg(feature = "short-poll")]
pub(super) async fn short(mount: &Mount, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    use std::task::Poll;

    use crate::adapters::PollQueue;

    let mut queue = PollQueue::new(visitor.subscriber).max_bytes(mount.config.batch);
    poll_fn(|cx| if queue.collect(cx).is_mending() { Poll::Pending } else { Poll::Ready(()) }).await;
    let reply = queue.finish();
    let retry = if reply.more { Duration::ZERO } else { mount.config.jittered_retry() };
    respond(mount, &visitor.wanted, reply, retry)
}

/// Answers a long poll, as a session for as long as it is held.
#[cfg(feature = "long-poll")]
pub(super) async fn long(mount: &std::sync::Arc<Mount>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    use super::visit::Visit;
    use crate::adapters::LongPollWaiter;
    use crate::contract::Transport;

    let mut visit = Visit::new(mount, Transport::LongPoll).register().map_err(|_| mount.later())?;
    let wheel = &mount.runtime.wheel;
    let deadline = wheel.after(mount.config.jittered_hold(visitor.wanted.wait));
    let mut waiter = LongPollWaiter::new(visitor.subscriber, wheel, deadline).max_bytes(mount.config.batch);
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
    let retry = if pause { mount.config.jittered_retry() } else { Duration::ZERO };
    respond(mount, &visitor.wanted, reply, retry)
}

/// A reply as a response: 200, or 304 to a client that holds all there is and said so; 500 where there would be more,
/// had the application's code not failed.
fn respond(mount: &Mount, wanted: &Wanted, reply: Reply, retry: Duration) -> Result<Response<Body>, Refusal> {
    if reply.end == Some(End::Failed) && reply.is_empty() {
        return Err(Refusal::internal("internal error"));
    }
    let cursor = reply.cursor;
    let unchanged = reply.is_empty() && cursor.is_some() && cursor == wanted.holds;
    let mut response = match unchanged {
        true => Response::new(Body::empty()),
        false => {
            let body = Body::parts(reply.into_parts());
            mount.counters.sent(http_body::Body::size_hint(&body).lower());
            answer::dressed_as(wanted.transport, http::Version::HTTP_11, body)
        }
    };
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    if let Some(cursor) = cursor {
        let mut tag = BytesMut::from(&b"\""[..]);
        cursor.encode(&mut tag);
        tag.extend_from_slice(b"\"");
        headers.extend(HeaderValue::from_maybe_shared(tag.freeze()).ok().map(|tag| (ETAG, tag)));
    }
    headers.insert(TIDINGS_RETRY_MS, u64::try_from(retry.as_millis()).unwrap_or(u64::MAX).into());
    if let Some(wait) = wanted.applied(mount.config.max_hold) {
        let applied = HeaderValue::try_from(format!("wait={}", wait.as_secs()));
        headers.extend(applied.ok().map(|applied| (PREFERENCE_APPLIED, applied)));
    }
    Ok(response)
}
