use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::format::MessageAnswer;
use crate::contract::{Message, Rejection};

/// Result of a message: the answer to its sender, if there is one.
pub(super) type Outcome = Result<Option<MessageAnswer>, Rejection>;

type Handling = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type Handler = Box<dyn FnMut(Message) -> Handling + Send>;

/// Queue of a client's messages: one that the handler has, and one that waits.
#[derive(Default)]
pub(super) struct MessageQueue {
    handler: Option<Handler>,
    running: Option<Handling>,
    /// Boxed, because most connections never need it.
    waiting: Option<Box<Message>>,
    ignored: u64,
}

impl MessageQueue {
    /// Sets the handler.
    pub(super) fn set<F, R>(&mut self, mut handler: F)
    where
        F: FnMut(Message) -> R + Send + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        self.handler = Some(Box::new(move |message| Box::pin(handler(message))));
    }

    /// Returns whether a message waits, so that no further one can be added.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.waiting.is_some()
    }

    /// Returns whether neither the handler has a message nor one waits.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_none()
    }

    /// Returns whether the handler has a message that it has not finished.
    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Adds a message. The queue must not be full.
    pub(super) fn put(&mut self, message: Message) {
        self.waiting = Some(Box::new(message));
    }

    /// Polls the handler with the message that it has, or with the one that waits. Ready with the outcome of the message, or
    /// with `None` if there is no message.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if self.running.is_none() {
            match (self.waiting.take(), &mut self.handler) {
                (None, _) => return Poll::Ready(None),
                (Some(_), None) => return Poll::Ready(Some(Err(Rejection::Unsupported))),
                (Some(message), Some(handler)) => self.running = Some(handler(*message)),
            }
        }
        let Some(running) = &mut self.running else { return Poll::Ready(None) };
        let outcome = ready!(running.as_mut().poll(cx));
        self.running = None;
        Poll::Ready(Some(outcome))
    }

    /// Counts an ignored message.
    pub(super) fn ignore(&mut self) {
        self.ignored += 1;
    }

    /// Returns the number of ignored messages.
    pub(super) fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Drops the message that waits, if there is one.
    pub(super) fn discard_waiting(&mut self) {
        self.waiting = None;
    }

    /// Drops the handler, also while it has a message.
    pub(super) fn abort(&mut self) {
        *self = Self { ignored: self.ignored, ..Self::default() };
    }
}

impl fmt::Debug for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageQueue")
            .field("running", &self.is_running())
            .field("full", &self.is_full())
            .finish_non_exhaustive()
    }
}
