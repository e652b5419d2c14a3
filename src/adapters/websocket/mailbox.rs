use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::contract::{Message, Rejection};

type Handling = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;
type Handler = Box<dyn FnMut(Message) -> Handling + Send>;

/// Hands a client's messages to the application, one after another.
#[derive(Default)]
pub(super) struct Mailbox {
    handler: Option<Handler>,
    running: Option<Handling>,
    /// Boxed, because most connections never need it.
    waiting: Option<Box<Message>>,
}

impl Mailbox {
    pub(super) fn set<F, R>(&mut self, mut handler: F)
    where
        F: FnMut(Message) -> R + Send + 'static,
        R: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        self.handler = Some(Box::new(move |message| Box::pin(handler(message))));
    }

    /// Whether no message can be taken before the handler has finished one.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether the handler has a message that it has not finished.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Takes a message. Only where the mailbox is not full.
    pub(super) fn put(&mut self, message: Message) {
        self.waiting = Some(Box::new(message));
    }

    /// Goes on with what there is. Ready when it is all handled, or when a message was refused.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        loop {
            if let Some(running) = &mut self.running {
                let result = ready!(running.as_mut().poll(cx));
                self.running = None;
                result?;
            }
            match (self.waiting.take(), &mut self.handler) {
                (None, _) => return Poll::Ready(Ok(())),
                (Some(_), None) => return Poll::Ready(Err(Rejection::Forbidden)),
                (Some(message), Some(handler)) => self.running = Some(handler(*message)),
            }
        }
    }

    /// Forgets the message that waits, if there is one.
    pub(super) fn discard_waiting(&mut self) {
        self.waiting = None;
    }

    /// Forgets the handler, in the middle of a message too.
    pub(super) fn abort(&mut self) {
        *self = Self::default();
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("running", &self.is_running())
            .field("full", &self.is_full())
            .finish_non_exhaustive()
    }
}
