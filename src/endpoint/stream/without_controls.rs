use std::future::poll_fn;
use std::task::Poll;

use bytes::BytesMut;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};

use super::response::{encoder, open};
use crate::contract::{Subscriber, SubscriptionEnd};
use crate::endpoint::body::Body;
use crate::endpoint::connection::Hop;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::response::answer::{self, Answer};
use crate::endpoint::response::headers::JSON;
use crate::endpoint::session::event_stream::EventStream;
use crate::endpoint::session::{MeteredSubscriber, SessionEnd};
use crate::endpoint::subscribe::PendingSubscribe;
use crate::model::Gap;
use crate::transport::object::write_gap;
use crate::transport::sse::FirstDelivery;

/// Answers with a stream of server-sent events without control blocks.
///
/// The subscriber is polled before the head is sent, because such a stream cannot express a gap. The head does not wait for an
/// event. It waits for the publisher's snapshot, which may replace a gap, and for events from a store.
pub(super) async fn sse(mut pending: PendingSubscribe, hop: Hop) -> Result<Answer, Refusal> {
    let (authorization, accepted) = pending.authorize().await.map_err(Refusal::hard)?;
    if authorization.has_everything(&accepted) {
        return Ok(Answer::Now(answer::no_content()));
    }
    let PendingSubscribe { shared, params, .. } = pending;
    let mut guard = shared.admit(&params, authorization).map_err(Refusal::hard)?;
    let mut flow = encoder(&shared, &params, guard.subscriber(accepted, params.start)).controls(false);
    let first = poll_fn(|cx| {
        let order = guard.poll_order(cx);
        match flow.poll_first(cx) {
            Poll::Ready(first) => Poll::Ready(Some(first)),
            Poll::Pending if is_loading(flow.subscriber_mut()) && order.is_pending() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    });
    let flow = match first.await {
        Some(FirstDelivery::Gap(gap)) => {
            guard.ends(SessionEnd::TooSlow);
            return Ok(Answer::Now(gone(&gap)));
        }
        // The client had everything except ends of topics, which the stream leaves out.
        Some(FirstDelivery::End(SubscriptionEnd::Finished)) => return Ok(Answer::Now(answer::no_content())),
        Some(FirstDelivery::Item(item)) => EventStream::after(item, EventStream::Sse(Box::new(flow))),
        // The stream yields another end again.
        Some(FirstDelivery::End(_)) | None => EventStream::Sse(Box::new(flow)),
    };
    Ok(open(guard, params.lines, hop, flow))
}

fn is_loading(subscriber: &MeteredSubscriber) -> bool {
    subscriber.is_recovering() || subscriber.info().is_loading()
}

/// Returns a 410 with the gap object.
fn gone(gap: &Gap) -> Response<Body> {
    let mut object = BytesMut::with_capacity(128);
    write_gap(gap, &mut object);
    let mut response = Response::new(Body::whole(object.freeze()));
    *response.status_mut() = StatusCode::GONE;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
