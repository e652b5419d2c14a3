use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Response, Version};

use super::answer;
use super::headers;
use crate::contract::{Start, Transport};
use crate::endpoint::body::Body;
use crate::endpoint::catch_panic::catch_panic;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::reject::refused::{Caller, Refused};
use crate::endpoint::shared::Shared;

/// The future of [`Endpoint`](crate::Endpoint)'s `Service`.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(State);

enum State {
    /// The head alone told the answer; taken by the poll that gives it.
    Ready(Option<Response<Body>>),
    Pending(Work, Finish),
}

/// Part of an answer that takes the application, or time.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

/// Result of that work.
#[allow(clippy::large_enum_variant, reason = "it is passed on at once")]
pub(crate) enum Answer {
    Now(Response<Body>),
    /// The client is admitted, and waits for this. It is a future of its own, so that a held poll does not keep the
    /// memory of its admission.
    Held(Work),
}

/// Facts about a request that are needed when its answer is there.
pub(crate) struct Finish {
    pub(crate) shared: Arc<Shared>,
    pub(crate) origin: Option<HeaderValue>,
    pub(crate) version: Version,
    /// How the client gets its events, and where it stands; `None` for a POST.
    pub(crate) stream: Option<(Transport, Start)>,
    /// Part of the request that a refusal shows, if there is a hook.
    pub(crate) caller: Option<Box<Caller>>,
}

impl ResponseFuture {
    pub(crate) fn ready(response: Response<Body>) -> Self {
        Self(State::Ready(Some(response)))
    }

    pub(crate) fn working(work: Work, finish: Finish) -> Self {
        Self(State::Pending(work, finish))
    }

    pub(crate) fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let (work, finish) = match &mut self.0 {
            State::Ready(response) => return response.take().map_or(Poll::Pending, Poll::Ready),
            State::Pending(work, finish) => (work, finish),
        };
        // The application's code runs in here. Its panic ends this request alone.
        let mut response = loop {
            match catch_panic(|| work.as_mut().poll(cx)) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Ok(Answer::Held(held)))) => *work = held,
                Ok(Poll::Ready(Ok(Answer::Now(response)))) => break response,
                Ok(Poll::Ready(Err(refusal))) => break finish.refuse(refusal),
                Err(_) => {
                    // Its session has left when the refusal is told.
                    let _ = catch_panic(|| *work = Box::pin(pending()));
                    break finish.refuse(Refusal::failed("publisher panicked"));
                }
            }
        };
        headers::add_common_headers(&mut response, finish.origin.as_ref());
        Poll::Ready(response)
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_response(cx).map(Ok)
    }
}

impl Finish {
    #[cold]
    fn refuse(&self, refusal: Refusal) -> Response<Body> {
        let soft = self.soft_reject(&refusal);
        let refused = Refused::new(refusal.cause, refusal.text());
        let refused = self.caller.iter().fold(refused, |refused, caller| refused.of_caller(caller));
        self.shared.tell(&refused.status_is(soft.as_ref().map_or(refusal.status, Response::status)));
        soft.unwrap_or_else(|| answer::refusal_at(self.stream.and_then(|(_, start)| start.cursor()), refusal))
    }

    #[cfg(feature = "sse")]
    fn soft_reject(&self, refusal: &Refusal) -> Option<Response<Body>> {
        match (refusal.later, self.stream) {
            (Some(retry), Some((Transport::Sse, start))) => {
                crate::endpoint::reject::soft_reject::later(&self.shared, retry, start, self.version)
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
