use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Response, Version};

use super::body::Body;
use super::catch_panic::catch_panic;
use super::refused::{Caller, Refused};
use super::reject::refusal::Refusal;
use super::response::answer::{self, Answer, Work};
use super::response::headers;
use super::shared::Shared;
use crate::contract::{Start, Transport};

/// Future of the response of an [`Endpoint`](crate::Endpoint), as its tower `Service` returns it. It never fails.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(State);

enum State {
    /// The answer follows from the head alone. The poll that returns it takes it.
    Ready(Option<Response<Body>>),
    Pending(Work, ResponseContext),
}

/// Facts about a request that its answer needs.
pub(crate) struct ResponseContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) origin: Option<HeaderValue>,
    pub(crate) version: Version,
    /// Transport and start of a subscription. `None` for a message.
    pub(crate) stream: Option<(Transport, Start)>,
    /// Set for a GET, the only method of an `EventSource`. Others get no soft reject.
    pub(crate) is_get: bool,
    /// Part of the request that a refusal shows. `None` if no hook is set.
    pub(crate) caller: Option<Box<Caller>>,
}

impl ResponseFuture {
    pub(crate) fn ready(response: Response<Body>) -> Self {
        Self(State::Ready(Some(response)))
    }

    pub(crate) fn working(work: Work, context: ResponseContext) -> Self {
        Self(State::Pending(work, context))
    }

    pub(crate) fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let (work, context) = match &mut self.0 {
            State::Ready(response) => return response.take().map_or(Poll::Pending, Poll::Ready),
            State::Pending(work, context) => (work, context),
        };
        // The work runs application code. A panic ends this request alone.
        let mut response = loop {
            match catch_panic(|| work.as_mut().poll(cx)) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Ok(Answer::Held(held)))) => *work = held,
                Ok(Poll::Ready(Ok(Answer::Now(response)))) => break response,
                Ok(Poll::Ready(Err(refusal))) => break context.refuse(refusal),
                Err(_) => {
                    // Dropped first, so that its session has left when the hook is called.
                    let _ = catch_panic(|| *work = Box::pin(pending()));
                    break context.refuse(Refusal::failed("publisher panicked"));
                }
            }
        };
        headers::add_common_headers(&mut response, context.origin.as_ref());
        Poll::Ready(response)
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_response(cx).map(Ok)
    }
}

impl ResponseContext {
    #[cold]
    fn refuse(&self, refusal: Refusal) -> Response<Body> {
        let soft = self.soft_reject(&refusal);
        let refused = Refused::new(refusal.cause, refusal.log_text());
        let refused = self.caller.iter().fold(refused, |refused, caller| refused.of_caller(caller));
        self.shared.report_refusal(&refused.status_is(soft.as_ref().map_or(refusal.status, Response::status)));
        soft.unwrap_or_else(|| answer::refusal_at(self.stream.and_then(|(_, start)| start.cursor()), refusal))
    }

    #[cfg(feature = "sse")]
    fn soft_reject(&self, refusal: &Refusal) -> Option<Response<Body>> {
        match (refusal.retry_after, self.stream) {
            (Some(retry), Some((Transport::Sse, start))) if self.is_get && !refusal.is_hard => {
                super::stream::soft_reject::retry_later(&self.shared, retry, start, self.version)
            }
            _ => None,
        }
    }

    #[cfg(not(feature = "sse"))]
    fn soft_reject(&self, _: &Refusal) -> Option<Response<Body>> {
        None
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
