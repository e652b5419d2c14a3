//! Answers to clients that have everything of a source without cursors, such as a finite
//! [`from_stream`](crate::subscriber::from_stream). The publisher is not asked, because it would start the source again.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http::request::Parts;

use super::body::Body;
use super::reject::refusal::Refusal;
use super::request::negotiate::SubscribeParams;
use super::response::answer;
use super::shared::Shared;
use crate::contract::{Delivery, EndState, Start, Subscriber, SubscriberInfo, SubscriptionEnd, Transport};
use crate::model::{Cursor, TopicEnd};

/// Returns whether the client has the reserved cursor of an ended source.
pub(crate) fn is_cursor_of(start: Start) -> bool {
    start == Start::After(TopicEnd::RESERVED_CURSOR)
}

/// Returns the answer to a request with the reserved cursor.
#[cold]
pub(crate) fn answer(
    shared: &Arc<Shared>,
    parts: &mut Parts,
    params: &SubscribeParams,
) -> Result<Response<Body>, Refusal> {
    match params.transport {
        Transport::Sse => Ok(answer::no_content()),
        #[cfg(feature = "chunked")]
        Transport::Chunked => Ok(super::stream::response::ended_chunked(shared, params, parts.version)),
        #[cfg(any(feature = "short-poll", feature = "long-poll"))]
        Transport::ShortPoll | Transport::LongPoll => Ok(super::poll::reply::of_ended_source(shared, params)),
        #[cfg(feature = "websocket")]
        Transport::WebSocket => super::stream::end_upgrade::end_upgrade(shared, parts),
        #[allow(unreachable_patterns, reason = "the transports that are left depend on the features")]
        _ => Err(Refusal::bad("transport is not built in: enable its cargo feature")),
    }
}

/// Subscriber whose topics have all ended, and that has delivered everything.
#[derive(Debug)]
pub(crate) struct Ended;

impl Subscriber for Ended {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        Poll::Ready(Delivery::End(SubscriptionEnd::Finished))
    }

    fn cursor(&self) -> Option<Cursor> {
        Some(TopicEnd::RESERVED_CURSOR)
    }

    fn info(&self) -> SubscriberInfo<'_> {
        SubscriberInfo::new().with_end_state(EndState::Finished)
    }
}
