//! Answers to clients that have everything of a source without cursors, such as a finite
//! [`from_stream`](crate::subscriber::from_stream). The publisher is not asked, because it would start the source again.

use std::sync::Arc;
use std::task::{Context, Poll};
#[cfg(any(feature = "chunked", feature = "long-poll"))]
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Response};

use super::body::Body;
use super::config::Config;
#[cfg(any(feature = "chunked", feature = "long-poll"))]
use super::reject::brief_connections::BriefPermit;
use super::reject::refusal::Refusal;
use super::request::negotiate::SubscribeParams;
use super::shared::Shared;
use crate::contract::{Delivery, EndState, Start, Subscriber, SubscriberInfo, SubscriptionEnd, Transport};
use crate::model::{Cursor, TopicEnd};
#[cfg(any(feature = "chunked", feature = "long-poll"))]
use crate::time::Clock;

/// Returns whether the client has the reserved cursor of an ended source.
pub(crate) fn is_cursor_of(start: Start) -> bool {
    start == Start::After(TopicEnd::RESERVED_CURSOR)
}

/// Returns whether a client of server-sent events that has everything gets 204, and not the block of the end.
///
/// A client that sends its cursor in `Last-Event-ID` has seen that block and waited for the day that it names. A client that
/// has a stored cursor in its query has not, and many clients retry after a 204. A stream without control blocks has no such
/// block.
pub(crate) fn is_no_content(config: &Config, params: &SubscribeParams, has_event_id: bool) -> bool {
    !params.controls || !config.sse_controls || has_event_id
}

/// Returns whether the client sent `Last-Event-ID`. An empty value counts as absent.
pub(crate) fn has_event_id(headers: &HeaderMap) -> bool {
    headers.get_all("last-event-id").iter().any(|id| !id.is_empty())
}

/// Returns the answer to a request with the reserved cursor.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    parts: &mut Parts,
    params: &SubscribeParams,
) -> Result<Response<Body>, Refusal> {
    match params.transport {
        #[cfg(feature = "sse")]
        Transport::Sse => {
            let has_event_id = has_event_id(&parts.headers);
            Ok(super::stream::response::ended_sse(shared, params, has_event_id, parts.version, Ended::of_source()))
        }
        #[cfg(feature = "chunked")]
        Transport::Chunked => {
            hold(shared, crate::transport::limit::REPEATED_END).await;
            Ok(super::stream::response::ended_chunked(shared, params, parts.version))
        }
        #[cfg(feature = "short-poll")]
        Transport::ShortPoll => Ok(super::poll::reply::of_ended_source(shared, params)),
        #[cfg(feature = "long-poll")]
        Transport::LongPoll => Ok(super::poll::long::of_ended_source(shared, params).await),
        #[cfg(feature = "websocket")]
        Transport::WebSocket => super::stream::end_upgrade::end_upgrade(shared, parts),
        #[allow(unreachable_patterns, reason = "the transports that are left depend on the features")]
        _ => Err(Refusal::bad("transport is not built in: enable its cargo feature")),
    }
}

/// Holds the answer to a client that may return at once, unless the endpoint drains or has no place for it.
#[cfg(any(feature = "chunked", feature = "long-poll"))]
#[cold]
pub(crate) async fn hold(shared: &Arc<Shared>, time: Duration) {
    let permit = match shared.sessions.is_closed() {
        true => None,
        // The request is no session, so another limit counts it.
        false => BriefPermit::acquire(&shared.ended_clients, shared.runtime.wheel.now()),
    };
    if let Some(_permit) = permit {
        let wheel = &shared.runtime.wheel;
        wheel.sleep(wheel.now() + time).await;
    }
}

/// Subscriber whose topics have all ended, and that has delivered everything.
#[derive(Debug)]
pub(crate) struct Ended(Cursor);

impl Ended {
    /// Returns the subscriber of a client with the reserved cursor.
    pub(crate) fn of_source() -> Self {
        Self(TopicEnd::RESERVED_CURSOR)
    }

    /// Returns a subscriber with the cursor of another one, whose topics have all ended.
    pub(crate) fn at(subscriber: &impl Subscriber) -> Self {
        Self(subscriber.cursor().unwrap_or(TopicEnd::RESERVED_CURSOR))
    }
}

impl Subscriber for Ended {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        Poll::Ready(Delivery::End(SubscriptionEnd::Finished))
    }

    fn cursor(&self) -> Option<Cursor> {
        Some(self.0)
    }

    fn info(&self) -> SubscriberInfo<'_> {
        SubscriberInfo::new().with_end_state(EndState::Finished)
    }
}
