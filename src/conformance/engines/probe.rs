use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::conformance::engines::seam::within;
use crate::conformance::engines::{EngineUnderTest, task};
use crate::conformance::run::Problem;
use crate::engine::record::{TailBody, TailRecord};
use crate::engine::tail::TailSink;
use crate::engine::{Engine, EngineFuture, LogState, Tail};

/// Engine whose records the kit receives in place of a hub. It runs until the probe is dropped.
pub(super) struct TailProbe<E> {
    pub(super) engine: Arc<E>,
    received: Arc<Received>,
}

#[derive(Default)]
struct Received(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    calls: Vec<TailCall>,
    is_over: bool,
    /// Task that runs the engine.
    task: Option<Waker>,
}

/// TailCall of a tail.
#[derive(Debug, Clone)]
pub(super) enum TailCall {
    Record {
        sequence: u64,
        record: Content,
        previous: Option<u64>,
    },
    Complete(u64),
    /// Records may not be pushed, or the log is in another epoch.
    Lost,
}

/// Topic, and text or end, of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) topic: String,
    pub(super) body: String,
}

impl<E: Engine> TailProbe<E> {
    pub(super) fn new<K: EngineUnderTest<Engine = E>>(kit: &Arc<K>, engine: E) -> Self {
        let (engine, received) = (Arc::new(engine), Arc::new(Received::default()));
        let run = engine.run(Tail::new(Arc::clone(&received) as _));
        task::run(kit, until_over(Arc::clone(&received), run));
        Self { engine, received }
    }

    /// Returns the calls until now.
    pub(super) fn calls(&self) -> Vec<TailCall> {
        self.received.lock().calls.clone()
    }

    /// Waits until the log completes a sequence. Returns the calls until then.
    pub(super) async fn completed(&self, sequence: u64) -> Result<Vec<TailCall>, Problem> {
        let has_completed = poll_fn(|_| {
            let received = self.received.lock();
            match received.calls.iter().any(|call| matches!(call, TailCall::Complete(up_to) if *up_to >= sequence)) {
                true => Poll::Ready(received.calls.clone()),
                false => Poll::Pending,
            }
        });
        within(&format!("`Tail::complete` with the sequence {sequence} or a greater one"), has_completed).await
    }
}

impl<E> Drop for TailProbe<E> {
    fn drop(&mut self) {
        let mut received = self.received.lock();
        received.is_over = true;
        let task = received.task.take();
        drop(received);
        task.into_iter().for_each(Waker::wake);
    }
}

/// Runs an engine until its probe is dropped.
fn until_over(received: Arc<Received>, mut run: EngineFuture<()>) -> EngineFuture<()> {
    Box::pin(poll_fn(move |cx| {
        let mut state = received.lock();
        state.task = Some(cx.waker().clone());
        let is_over = state.is_over;
        drop(state);
        if is_over { Poll::Ready(()) } else { run.as_mut().poll(cx) }
    }))
}

impl Received {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, call: TailCall) {
        self.lock().calls.push(call);
    }
}

impl TailSink for Received {
    fn record(&self, sequence: u64, record: TailRecord) {
        let body = match &record.body {
            TailBody::Event(event) => event.as_str().unwrap_or_default().to_owned(),
            TailBody::End(reason) => format!("end: {}", reason.as_str()),
        };
        let content = Content { topic: record.topic.to_string(), body };
        self.note(TailCall::Record { sequence, record: content, previous: record.previous });
    }

    fn complete(&self, up_to: u64) {
        self.note(TailCall::Complete(up_to));
    }

    fn lost(&self) {
        self.note(TailCall::Lost);
    }

    fn state(&self, _: &LogState) {
        self.note(TailCall::Lost);
    }
}
