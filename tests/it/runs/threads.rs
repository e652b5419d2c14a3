//! Runs that several threads start, stop and read at a time, while their topics are freed and used again.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tidings::runs::{RunError, RunSubscription, Runs};
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{LocalHub, Start};
use tokio::runtime::Builder;

use crate::support::texts;

const TOPICS: usize = 3;
const WORKERS: usize = 4;
const ROUNDS: usize = 400;
const TOKENS: usize = 50;

/// Stream of the tokens `{run}.0`, `{run}.1` and so on. It is pending before each seventh.
struct Tokens {
    run: usize,
    next: usize,
    was_pending: bool,
}

impl Stream for Tokens {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<String>> {
        if self.next == TOKENS {
            return Poll::Ready(None);
        }
        if self.next % 7 == self.run % 7 && !self.was_pending {
            self.was_pending = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.was_pending = false;
        self.next += 1;
        Poll::Ready(Some(format!("{}.{}", self.run, self.next - 1)))
    }
}

/// Reads a run up to its end. All tokens are of one run, and none is missing without a gap.
async fn read(mut reader: RunSubscription) {
    let (mut run, mut next) = (None, Some(0));
    loop {
        let delivery = tokio::time::timeout(Duration::from_secs(60), reader.next()).await;
        match delivery.expect("a reader waits for ever") {
            Delivery::Events(batch) => {
                for token in texts(&batch) {
                    let (of, number) = token.split_once('.').unwrap();
                    assert_eq!(*run.get_or_insert(of.to_owned()), of, "tokens of two runs");
                    let number: usize = number.parse().unwrap();
                    assert_eq!(next.unwrap_or(number), number);
                    next = Some(number + 1);
                }
            }
            Delivery::Gap(_) => next = None,
            Delivery::TopicEnd(_) => return,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn runs_of_reused_topics_keep_apart_on_several_threads() {
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_time().build().unwrap();
    let hub = LocalHub::new();
    let failures = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&failures);
    let runs = Runs::builder(&hub)
        .linger(Duration::ZERO)
        .max_ended(1)
        .on_failure(move |failure| kept.lock().unwrap().push(failure.to_string()))
        .build();
    let (started, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (runs, started, failed) = (runs.clone(), Arc::clone(&started), Arc::clone(&failed));
                tokio::spawn(async move {
                    let mut readers = Vec::new();
                    for round in 0..ROUNDS {
                        let topic = format!("runs/{}", (worker + round) % TOPICS);
                        let tokens = || {
                            let run = started.fetch_add(1, Ordering::Relaxed);
                            Tokens { run, next: 0, was_pending: false }
                        };
                        match runs.start(&topic, tokens) {
                            Ok(run) => match run.subscribe_from(Start::Oldest) {
                                Ok(reader) => readers.push(tokio::spawn(read(reader))),
                                Err(error) => assert!(matches!(error, RunError::Gone(_)), "{error}"),
                            },
                            Err(error) => {
                                assert!(matches!(error, RunError::Ended(_)), "{error}");
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        if round % 5 == worker {
                            runs.stop(&topic);
                        }
                        tokio::task::yield_now().await;
                    }
                    for reader in readers {
                        reader.await.unwrap();
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        while !runs.list().is_empty() {
            tokio::task::yield_now().await;
        }
    });
    // No task is polled any more.
    drop(runtime);
    assert_eq!(*failures.lock().unwrap(), [""; 0]);
    let started = started.load(Ordering::Relaxed);
    assert!(started > TOPICS, "{started} runs, {} refused", failed.load(Ordering::Relaxed));
    // The next call of the runs forgets what has ended.
    assert!((0..TOPICS).all(|topic| runs.subscribe_from(format!("runs/{topic}"), Start::Oldest).is_err()));
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.finished_topics), (0, 0));
}
