use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

/// Stream that a test feeds. Clones refer to the same stream; [`stream`](Self::stream) returns its reading end.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    steps: VecDeque<Step>,
    waker: Option<Waker>,
    opened: usize,
    dropped: usize,
    panics_on_drop: bool,
}

/// Answer of the stream to a poll.
pub(super) enum Step {
    Item(String),
    Error(&'static str),
    End,
    Panic(&'static str),
}

impl Script {
    /// Returns a stream that yields these texts and ends.
    pub(super) fn of<const N: usize>(texts: [&str; N]) -> Self {
        let script = Self::default();
        texts.into_iter().for_each(|text| script.say(text));
        script.push(Step::End);
        script
    }

    pub(super) fn push(&self, step: Step) {
        let mut state = self.0.lock().unwrap();
        state.steps.push_back(step);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Adds a text.
    pub(super) fn say(&self, text: impl Into<String>) {
        self.push(Step::Item(text.into()));
    }

    /// Lets the drop of the stream panic.
    pub(super) fn panic_on_drop(&self) {
        self.0.lock().unwrap().panics_on_drop = true;
    }

    /// Returns the reading end, and counts it.
    pub(super) fn stream(&self) -> ScriptStream {
        self.0.lock().unwrap().opened += 1;
        ScriptStream(self.clone())
    }

    /// Returns the number of calls of [`stream`](Self::stream).
    pub(super) fn opened(&self) -> usize {
        self.0.lock().unwrap().opened
    }

    /// Returns the number of reading ends that were dropped.
    pub(super) fn dropped(&self) -> usize {
        self.0.lock().unwrap().dropped
    }

    /// Returns the number of steps that were not read.
    pub(super) fn left(&self) -> usize {
        self.0.lock().unwrap().steps.len()
    }
}

/// Reading end of a [`Script`].
pub(super) struct ScriptStream(Script);

impl Stream for ScriptStream {
    type Item = Result<String, &'static str>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.0.lock().unwrap();
        let Some(step) = state.steps.pop_front() else {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        drop(state);
        match step {
            Step::Item(text) => Poll::Ready(Some(Ok(text))),
            Step::Error(text) => Poll::Ready(Some(Err(text))),
            Step::End => Poll::Ready(None),
            Step::Panic(text) => panic!("{text}"),
        }
    }
}

impl Drop for ScriptStream {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap();
        state.dropped += 1;
        let panics = std::mem::take(&mut state.panics_on_drop);
        drop(state);
        if panics {
            panic!("in drop");
        }
    }
}
