use std::time::Duration;

use tidings::EndReason::{Done, Failed, Stopped};
use tidings::runs::Runs;
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{EndReason, LocalHub, Start};
use tokio::runtime::{Builder, Runtime};

use super::script::{Script, Step};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Reads a run up to its end.
async fn read(runs: &Runs, topic: &str) -> (Vec<String>, EndReason) {
    let mut reader = runs.subscribe_from(topic, Start::Oldest).unwrap();
    let mut all = Vec::new();
    loop {
        match reader.next().await {
            Delivery::Events(batch) => all.extend(crate::support::texts(&batch)),
            Delivery::TopicEnd(end) => return (all, end.reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn run_is_spawned_on_the_current_runtime_and_uses_its_time() {
    let runs = Runs::builder(&LocalHub::new()).linger(Duration::from_secs(60)).build();
    runtime().block_on(async {
        let script = Script::of(["one", "two"]);
        runs.start("runs/7", || script.stream()).unwrap();
        assert_eq!(read(&runs, "runs/7").await, (vec!["one".into(), "two".into()], Done));
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::task::yield_now().await;
        assert!(runs.subscribe_from("runs/7", Start::Oldest).is_err());
    });
}

#[test]
fn stop_and_lifetime_end_a_run_in_a_runtime() {
    let runs = Runs::new(&LocalHub::new());
    runtime().block_on(async {
        let script = Script::default();
        script.say("one");
        let run = runs.start("runs/7", || script.stream()).unwrap();
        runs.start("runs/8", || script.stream()).unwrap();
        tokio::task::yield_now().await;
        assert!(run.stop());
        assert_eq!(read(&runs, "runs/7").await.1, Stopped);
        let begin = tokio::time::Instant::now();
        assert_eq!(read(&runs, "runs/8").await.1, Failed);
        assert_eq!(begin.elapsed().as_secs(), 3_600);
    });
}

#[test]
fn runtime_that_ends_fails_its_runs() {
    let (hub, script) = (LocalHub::new(), Script::default());
    let runs = Runs::new(&hub);
    let first = runtime();
    first.block_on(async {
        runs.start("runs/7", || script.stream()).unwrap();
        script.say("one");
        tokio::task::yield_now().await;
    });
    drop(first);
    assert_eq!(script.dropped(), 1);
    runtime().block_on(async { assert_eq!(read(&runs, "runs/7").await, (vec!["one".into()], Failed)) });
}

#[test]
fn runs_on_several_threads_start_each_topic_once() {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let runs = Runs::new(&LocalHub::new());
    let script = Script::default();
    runtime.block_on(async {
        let (runs, shared) = (runs.clone(), script.clone());
        let starts: Vec<_> = (0..64)
            .map(|_| {
                let (runs, script) = (runs.clone(), shared.clone());
                tokio::spawn(async move { runs.start("runs/7", || script.stream()).unwrap().is_new() })
            })
            .collect();
        let mut started = 0;
        for start in starts {
            started += usize::from(start.await.unwrap());
        }
        assert_eq!((started, shared.opened()), (1, 1));
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let runs = runs.clone();
                tokio::spawn(async move { read(&runs, "runs/7").await })
            })
            .collect();
        let texts: Vec<_> = (0..1_000).map(|n| n.to_string()).collect();
        for text in &texts {
            shared.say(text);
            if text.ends_with('0') {
                tokio::task::yield_now().await;
            }
        }
        shared.push(Step::End);
        for reader in readers {
            assert_eq!(reader.await.unwrap(), (texts.clone(), Done));
        }
    });
}
