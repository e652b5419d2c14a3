use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};

use super::reply_cache::Payload;
use crate::contract::{SubscriptionEnd, Transport};
use crate::endpoint::body::Body;
use crate::endpoint::connection::Hop;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::negotiate::SubscribeParams;
use crate::endpoint::request::transports::Transports;
use crate::endpoint::response::headers::{self, TIDINGS_RETRY_MS, number};
use crate::endpoint::session::event_stream::{EventStream, ReplyStream};
use crate::endpoint::session::{Order, SessionEnd, SessionEntry, SessionGuard};
use crate::endpoint::shared::Shared;
use crate::endpoint::stream::live_body::LiveBody;
use crate::model::Cursor;
use crate::time::Clock;
use crate::transport::Reply;
use crate::transport::limit::AFTER_END;

/// Parameters of a poll's reply, apart from its events.
pub(super) struct ReplyParams {
    hop: Hop,
    /// Cursor of `If-None-Match`: an empty reply at this cursor is a 304. Boxed because most held polls have none.
    held_cursor: Option<Box<Cursor>>,
    /// Wait that `Preference-Applied` reports, in seconds.
    applied: Option<u32>,
}

impl Shared {
    /// Returns the refusal of a poll that is ended before its reply. None of the events that it read was sent.
    pub(super) fn refuse_cut_off(&self, order: Order) -> Refusal {
        match order {
            Order::Revoke => self.revoked(),
            _ => self.no_place(),
        }
    }
}

impl ReplyParams {
    pub(super) fn of(shared: &Shared, params: &SubscribeParams, hop: Hop) -> Self {
        let applied = params.applied(shared.config.max_wait());
        Self { hop, held_cursor: params.held_cursor.map(Box::new), applied }
    }

    /// Returns the response of a held poll. `order` is the one that ended it early. `reply` is `None` if it is to be
    /// refused.
    #[cfg(feature = "long-poll")]
    pub(super) fn answer_held(
        &self,
        guard: SessionGuard,
        order: Option<Order>,
        reply: Option<Reply>,
    ) -> Result<Response<Body>, Refusal> {
        guard.cut_off().map_or(Ok(()), |order| Err(guard.shared().refuse_cut_off(order)))?;
        let reply = reply.ok_or_else(|| guard.shared().no_place())?;
        if order.is_some() && !reply.is_complete() {
            // The reply might have become complete if the poll had not been ended.
            return Err(guard.shared().no_place());
        }
        // The next poll may come at once, unless the endpoint drains or the subscription has ended.
        let pause = order.is_some() || (reply.end.is_some() && !reply.more);
        let retry = if pause { guard.shared().config.jittered_retry() } else { Duration::ZERO };
        self.answer(guard, reply, retry)
    }

    /// Returns the response of a reply: 200, or 304 if it is empty and the client sent its cursor in `If-None-Match`.
    ///
    /// # Errors
    ///
    /// Returns a 500 if the subscriber failed before it yielded an event, and a 400 if the events have no cursors and
    /// more would follow.
    pub(super) fn answer(
        &self,
        mut guard: SessionGuard,
        reply: Reply,
        retry: Duration,
    ) -> Result<Response<Body>, Refusal> {
        if reply.end == Some(SubscriptionEnd::Failed) && (reply.is_empty() || reply.cursor.is_none()) {
            return Err(Refusal::failed("subscriber failed"));
        }
        if !reply.is_complete() {
            return Err(no_cursors(guard.shared().config.transports));
        }
        let held_cursor = self.held_cursor.as_deref().copied();
        // A 304 cannot contain the end.
        let (has_ended, at_cursor) = (reply.has_ended(), reply.cursor.is_some() && reply.cursor == held_cursor);
        let unchanged = reply.is_empty() && at_cursor && !has_ended;
        let retry = if has_ended { AFTER_END } else { retry };
        let (tag, payload) = guard.shared().reply_cache.of(reply);
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

    /// Returns the body of a reply that is larger than the first frame. The write timeout applies to it as to a stream.
    /// The poll is under way until the body ends, so its session can be ended and counts for its limit key.
    #[cold]
    fn watched(&self, guard: SessionGuard, payload: Payload) -> Body {
        let SessionEntry { shared, session, .. } = &**guard.entry();
        // A guard of its own: the polls of a poll session share the entry, and each has a body.
        let body = SessionGuard::outside(shared, session.clone(), shared.runtime.wheel.now(), None);
        let flow = EventStream::Reply(Box::new(ReplyStream::new(payload.into_parts(), guard)));
        Body::live(LiveBody::new(body, flow, self.hop.clone()))
    }
}

/// Returns the reply to a poll with the cursor of a source without cursors that has ended.
#[cold]
pub(crate) fn of_ended_source(shared: &Shared, params: &SubscribeParams) -> Response<Body> {
    let (tag, payload) = shared.reply_cache.of(Reply::of_ended_source());
    shared.counters.sent(payload.len() as u64);
    let mut response = Response::new(Body::reply(payload));
    *response.headers_mut() = headers::of_reply(tag, params.applied(shared.config.max_wait()));
    response.headers_mut().insert(TIDINGS_RETRY_MS, number(AFTER_END.as_millis()));
    response
}

/// Returns a 400 for a poll of a source without cursors. The text names the transports that can carry such a source.
#[cold]
fn no_cursors(offered: Transports) -> Refusal {
    let streams = [
        (Transport::Sse, "SSE (Accept: text/event-stream)"),
        (Transport::Chunked, "NDJSON (Accept: application/x-ndjson)"),
        (Transport::WebSocket, "a WebSocket"),
    ];
    let names: Vec<_> =
        streams.into_iter().filter(|(transport, _)| offered.has(*transport)).map(|(_, name)| name).collect();
    let fix = match names.is_empty() {
        true => ", and no other transport is offered here".to_owned(),
        false => format!(": use {}", names.join(", ")),
    };
    Refusal::bad(format!(
        "the events have no cursors and their source has not ended, so a poll would lose the rest{fix}"
    ))
}
