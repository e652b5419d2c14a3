use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Interval, interval};

/// Time between two tokens.
const PACE: Duration = Duration::from_millis(40);

/// Script of every answer, after a first sentence with the question.
const SCRIPT: &str = "A hub keeps the events of each topic in order, and gives every client the ones that it has not seen. \
    An answer like this one is a topic of its own. Its tokens are events, and a task of the server publishes them, whether or \
    not somebody reads. So nothing is lost when the page is closed, when the train enters a tunnel, or when the tab is \
    reloaded in the middle of a word: the page comes back with the number of the last token that it has, and receives the \
    next one. A second tab receives all of them, from the first. The model is asked once, however often the page asks. When \
    the answer is complete, the topic ends, and each reader learns that there is nothing more to wait for. The history stays \
    for five minutes, for readers that come late. Then it is dropped, and a page that asks for it learns that it is gone.";

/// Model without intelligence: it says the same to every question, and counts them.
#[derive(Clone, Default)]
pub(crate) struct Model(Arc<AtomicUsize>);

impl Model {
    /// Begins an answer.
    pub(crate) fn answer(&self, question: &str) -> Tokens {
        self.0.fetch_add(1, Ordering::Relaxed);
        let text = format!("You asked: {question} {SCRIPT}");
        let mut tokens: Vec<_> = text.split_inclusive(' ').map(str::to_owned).collect();
        tokens.reverse();
        Tokens { left: tokens, pace: interval(PACE) }
    }

    /// Returns the number of questions.
    pub(crate) fn asked(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Stream of an answer, with the item type that clients of models have.
pub(crate) struct Tokens {
    /// Tokens that are left, the next one last.
    left: Vec<String>,
    pace: Interval,
}

impl Stream for Tokens {
    type Item = Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.pace.poll_tick(cx));
        Poll::Ready(self.left.pop().map(Ok))
    }
}
