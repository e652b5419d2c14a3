use std::task::{Context, Waker};

use super::reply::{Draft, Reply};
use crate::contract::Subscriber;

/// Answers a short poll: with what is there, at once.
///
/// ```
/// use std::task::{Context, Poll};
/// use tidings::{Batch, Delivery, End, Event, PollQueue, Subscriber, Topic};
///
/// /// A source of one event.
/// struct Once(Option<Event>);
///
/// impl Subscriber for Once {
///     fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
///         let news = Topic::new("news").expect("a good name");
///         Poll::Ready(match self.0.take() {
///             Some(event) => Delivery::Events(Batch::new(news, 7, [(3, event)])),
///             None => Delivery::End(End::Finished),
///         })
///     }
/// }
///
/// let reply = PollQueue::new(Once(Some("first".into()))).reply();
/// assert_eq!(reply.end, Some(End::Finished));
/// let body = reply.into_parts().concat();
/// assert_eq!(body, br#"{"cursor":null,"events":[{"id":"7.3","topic":"news","data":"first"}]}"#);
/// ```
#[derive(Debug)]
#[must_use = "a poll queue does nothing until it replies"]
pub struct PollQueue<S> {
    subscriber: S,
    draft: Draft,
}

impl<S: Subscriber> PollQueue<S> {
    /// A poll of this subscriber, which begins where the client's cursor says.
    pub fn new(subscriber: S) -> Self {
        Self { subscriber, draft: Draft::default() }
    }

    /// At most so many bytes of events (64 KiB unless set), but always at least one event if there is one.
    pub fn max_bytes(mut self, max: usize) -> Self {
        self.draft.set_max(max);
        self
    }

    /// Takes what is ready and answers with it.
    #[must_use]
    pub fn reply(mut self) -> Reply {
        self.draft.collect(&mut self.subscriber, &mut Context::from_waker(Waker::noop()));
        self.draft.finish()
    }
}
