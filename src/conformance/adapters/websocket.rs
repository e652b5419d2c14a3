use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::subscriber::BoxSubscriber;
use crate::transport::websocket::{Closed, Subprotocol, WebSocketConfig, WebSocketSink};

use super::pipe::Pipe;
use crate::conformance::clients::{BoxFuture, Client, Inbox, Seen, WebSocketWire, Wire};
use crate::conformance::run::VirtualTimer;

/// A client with a WebSocket in memory, which also polls the sink at the other end.
pub(super) struct WebSocketClient {
    sink: WebSocketSink<BoxSubscriber, Pipe>,
    closed: Option<Closed>,
    pipe: Pipe,
    frames: WebSocketWire,
    inbox: Inbox,
}

impl WebSocketClient {
    pub(super) fn open(
        subscriber: BoxSubscriber,
        timer: &VirtualTimer,
        subprotocol: Subprotocol,
        frames: WebSocketWire,
        cursor: Option<&str>,
    ) -> Result<Self, String> {
        let pipe = Pipe::default();
        let sink = WebSocketSink::new(pipe.clone(), subscriber, Arc::new(timer.clone()), WebSocketConfig::default());
        let sink = sink.subprotocol(subprotocol);
        let mut this = Self { sink, closed: None, pipe, frames, inbox: Inbox::after(cursor) };
        this.step(&mut Context::from_waker(Waker::noop()))?;
        match this.frames.has_hello() == this.inbox.has_begun() {
            true => Ok(this),
            false => Err("no hello".into()),
        }
    }

    /// Polls both ends until neither has bytes for the other.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        loop {
            if self.closed.is_none() {
                if let Poll::Ready(closed) = Pin::new(&mut self.sink).poll(cx) {
                    self.closed = Some(closed);
                }
            }
            self.frames.read(&self.pipe.take(), &mut self.inbox)?;
            let answers = self.frames.take_answers();
            if answers.is_empty() {
                return Ok(());
            }
            self.pipe.send(&answers);
        }
    }

    fn poll_see(&mut self, cx: &mut Context<'_>) -> Poll<Result<Seen, String>> {
        if self.inbox.is_empty() {
            self.step(cx)?;
        }
        match (self.inbox.take(), self.closed) {
            (Some(seen), _) => Poll::Ready(Ok(seen)),
            (None, Some(closed)) => Poll::Ready(Err(format!("over: {closed:?}"))),
            (None, None) => Poll::Pending,
        }
    }
}

impl Client for WebSocketClient {
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
        Box::pin(poll_fn(|cx| self.poll_see(cx)))
    }

    fn cursor(&self) -> Option<&str> {
        self.inbox.cursor()
    }
}
