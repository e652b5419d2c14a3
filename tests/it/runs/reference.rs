//! Random programs against a small model of runs.

use std::task::Poll;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tidings::EndReason::{self, Done, Failed, Stopped};
use tidings::runs::{RunError, RunSubscription, RunsBuilder};
use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{LocalHub, Start, Subscriber};

use super::script::{Script, Step};
use super::world::{World, WorldHub};
use crate::support::{cases, poll, texts};

const TOPICS: usize = 3;
const LINGER: u64 = 10;
const LIFETIME: u64 = 50;
const UNWATCHED: u64 = 20;
const MAX_LIVE: usize = 2;
const MAX_EVENTS: usize = 6;

#[derive(Debug, Clone)]
pub(super) enum Action {
    Start(usize),
    /// The closure of a start panics.
    StartBroken(usize),
    Say(usize, usize),
    End(usize),
    Error(usize),
    Panic(usize),
    PanicOnDrop(usize),
    Stop(usize),
    Subscribe(usize),
    /// Reads everything that a reader has ready.
    Read(usize),
    Leave(usize),
    /// Polls the woken tasks.
    Poll,
    /// Advances the time by this many seconds.
    Advance(u64),
    /// Ends the process and starts another one. Of a hub in memory only the tasks end.
    Restart,
}

pub(super) fn any_action() -> impl Strategy<Value = Action> {
    let topic = || 0..TOPICS;
    prop_oneof![
        4 => topic().prop_map(Action::Start),
        1 => topic().prop_map(Action::StartBroken),
        5 => (topic(), 1..4_usize).prop_map(|(topic, count)| Action::Say(topic, count)),
        2 => topic().prop_map(Action::End),
        1 => topic().prop_map(Action::Error),
        1 => topic().prop_map(Action::Panic),
        1 => topic().prop_map(Action::PanicOnDrop),
        1 => topic().prop_map(Action::Stop),
        4 => topic().prop_map(Action::Subscribe),
        4 => any::<usize>().prop_map(Action::Read),
        2 => any::<usize>().prop_map(Action::Leave),
        8 => Just(Action::Poll),
        4 => (1..15_u64).prop_map(Action::Advance),
        1 => Just(Action::Restart),
    ]
}

/// Model of one run.
struct ModelRun {
    topic: usize,
    script: Script,
    /// Steps that the stream has ready, one character each: `t`ext, `e`nd, `x` for an error, `p`anic.
    ready: Vec<char>,
    panics_on_drop: bool,
    texts: Vec<String>,
    began: u64,
    readers: usize,
    unwatched_since: u64,
    end: Option<(EndReason, u64)>,
    is_forgotten: bool,
}

struct ModelReader {
    run: usize,
    subscription: RunSubscription,
    read: usize,
    is_over: bool,
}

pub(super) struct Model<H> {
    world: World<H>,
    watches: bool,
    now: u64,
    runs: Vec<ModelRun>,
    /// Ended runs with history, in the order of their ends.
    ended: Vec<usize>,
    readers: Vec<ModelReader>,
    said: usize,
}

/// Sets the limits of the model.
pub(super) fn limits(runs: RunsBuilder, max_ended: usize, watches: bool) -> RunsBuilder {
    let runs = runs
        .linger(Duration::from_secs(LINGER))
        .lifetime(Duration::from_secs(LIFETIME))
        .max_live(MAX_LIVE)
        .max_ended(max_ended)
        .max_events(MAX_EVENTS);
    if watches { runs.stop_when_unwatched(Duration::from_secs(UNWATCHED)) } else { runs }
}

impl<H: WorldHub> Model<H> {
    pub(super) fn new(world: World<H>, watches: bool) -> Self {
        Self { world, watches, now: 0, runs: Vec::new(), ended: Vec::new(), readers: Vec::new(), said: 0 }
    }

    /// Returns the run of a topic, live or with history.
    fn run_of(&self, topic: usize) -> Option<usize> {
        self.runs.iter().rposition(|run| run.topic == topic && !run.is_forgotten)
    }

    fn live_of(&mut self, topic: usize) -> Option<&mut ModelRun> {
        self.runs.iter_mut().find(|run| run.topic == topic && run.end.is_none())
    }

    fn end(&mut self, run: usize, reason: EndReason) {
        self.runs[run].end = Some((reason, self.now));
        self.ended.push(run);
        if self.ended.len() > H::MAX_ENDED {
            let first = self.ended.remove(0);
            self.runs[first].is_forgotten = true;
        }
    }

    fn expire(&mut self) {
        let (now, runs) = (self.now, &mut self.runs);
        self.ended.retain(|&run| {
            let is_over = runs[run].end.is_some_and(|(_, at)| at + LINGER <= now);
            runs[run].is_forgotten |= is_over;
            !is_over
        });
    }

    /// Lets the tasks of all live runs do what is ready.
    fn poll(&mut self) {
        self.world.run();
        for at in 0..self.runs.len() {
            let run = &mut self.runs[at];
            if run.end.is_some() {
                continue;
            }
            let unwatched = (self.watches && run.readers == 0).then_some((run.unwatched_since + UNWATCHED, Stopped));
            // A task that is polled late acts on the time that came first.
            let (due, reason) =
                unwatched.filter(|(due, _)| *due < run.began + LIFETIME).unwrap_or((run.began + LIFETIME, Failed));
            if self.now >= due {
                self.end(at, reason);
                continue;
            }
            for step in std::mem::take(&mut run.ready) {
                let run = &mut self.runs[at];
                let reason = match step {
                    't' if run.texts.len() < MAX_EVENTS => {
                        run.texts.push(format!("{at}.{}", run.texts.len()));
                        continue;
                    }
                    'e' if !run.panics_on_drop => Done,
                    _ => Failed,
                };
                self.end(at, reason);
                break;
            }
        }
    }

    fn start(&mut self, topic: usize, is_broken: bool) {
        let script = Script::default();
        let name = topic.to_string();
        let started = self.world.runs.start(name, || {
            assert!(!is_broken, "a broken closure");
            script.stream()
        });
        let live = self.runs.iter().filter(|run| run.end.is_none()).count();
        if self.run_of(topic).is_some() {
            assert!(!started.unwrap().is_new());
            assert_eq!(script.opened(), 0);
        } else if live == MAX_LIVE {
            assert_eq!(started.unwrap_err(), RunError::Busy { limit: MAX_LIVE });
        } else {
            let is_read = |reader: &ModelReader| self.runs[reader.run].topic != topic || reader.is_over;
            match started {
                // A reader of the last run has not received the end. Where it reads from disk, the topic is free nevertheless.
                Err(error) if !self.readers.iter().all(is_read) => {
                    assert_eq!(error, RunError::Ended(crate::support::topic(topic)));
                    return;
                }
                started => assert!(started.unwrap().is_new()),
            }
            assert!(H::READS_DISK || self.readers.iter().all(is_read));
            self.runs.push(ModelRun {
                topic,
                script,
                ready: Vec::new(),
                panics_on_drop: false,
                texts: Vec::new(),
                began: self.now,
                readers: 0,
                unwatched_since: self.now,
                end: None,
                is_forgotten: false,
            });
            if is_broken {
                self.end(self.runs.len() - 1, Failed);
            }
        }
    }

    fn push(&mut self, topic: usize, step: char) {
        let at = self.runs.iter().position(|run| run.topic == topic && run.end.is_none());
        let Some(at) = at else { return };
        let run = &mut self.runs[at];
        let number = run.texts.len() + run.ready.iter().filter(|step| **step == 't').count();
        run.ready.push(step);
        run.script.push(match step {
            't' => Step::Item(format!("{at}.{number}")),
            'e' => Step::End,
            'x' => Step::Error("an error"),
            _ => Step::Panic("a panic"),
        });
        self.said += 1;
    }

    fn subscribe(&mut self, topic: usize) {
        let subscribed = self.world.runs.subscribe_from(topic.to_string(), Start::Oldest);
        match self.run_of(topic) {
            Some(run) => {
                self.runs[run].readers += 1;
                let subscription = subscribed.unwrap();
                self.readers.push(ModelReader { run, subscription, read: 0, is_over: false });
            }
            None => assert!(matches!(subscribed, Err(RunError::Gone(_)))),
        }
    }

    /// Reads what is ready, and compares it with the run.
    fn read(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        let run = &self.runs[reader.run];
        loop {
            match poll(&mut reader.subscription) {
                Poll::Ready(Delivery::Events(batch)) => {
                    let read = texts(&batch);
                    assert_eq!(read, run.texts[reader.read..reader.read + read.len()]);
                    reader.read += read.len();
                }
                Poll::Ready(Delivery::Gap(gap)) => {
                    assert!(run.is_forgotten, "{gap:?} although the history is kept");
                    // A gap of a hub on disk has no number: it is for all events that were not read.
                    reader.read = gap.missed.map_or(run.texts.len(), |missed| reader.read + missed as usize);
                }
                Poll::Ready(Delivery::TopicEnd(end)) => {
                    assert_eq!(reader.read, run.texts.len(), "the end comes after the last event");
                    assert_eq!(Some(end.reason), run.end.map(|(reason, _)| reason));
                    assert!(!reader.is_over, "one end");
                    reader.is_over = true;
                }
                Poll::Ready(Delivery::End(end)) => {
                    assert_eq!((end, reader.is_over), (SubscriptionEnd::Finished, true));
                    return;
                }
                Poll::Ready(other) => panic!("{other:?}"),
                Poll::Pending if reader.subscription.info().is_loading() => thread::yield_now(),
                Poll::Pending => {
                    assert_eq!(reader.read, run.texts.len());
                    assert!(run.end.is_none(), "a reader of an ended run waits");
                    return;
                }
            }
        }
    }

    fn leave(&mut self, at: usize) {
        let reader = self.readers.swap_remove(at);
        let run = &mut self.runs[reader.run];
        run.readers -= 1;
        if run.readers == 0 {
            run.unwatched_since = self.now;
        }
    }

    pub(super) fn act(&mut self, action: &Action) {
        match *action {
            Action::Start(topic) => self.start(topic, false),
            Action::StartBroken(topic) => self.start(topic, true),
            Action::Say(topic, count) => (0..count).for_each(|_| self.push(topic, 't')),
            Action::End(topic) => self.push(topic, 'e'),
            Action::Error(topic) => self.push(topic, 'x'),
            Action::Panic(topic) => self.push(topic, 'p'),
            Action::PanicOnDrop(topic) => {
                if let Some(run) = self.live_of(topic) {
                    run.panics_on_drop = true;
                    run.script.panic_on_drop();
                }
            }
            Action::Stop(topic) => {
                let live = self.runs.iter().position(|run| run.topic == topic && run.end.is_none());
                assert_eq!(self.world.runs.stop(topic.to_string()), live.is_some());
                if let Some(live) = live {
                    self.end(live, Stopped);
                }
            }
            Action::Subscribe(topic) => self.subscribe(topic),
            Action::Read(at) if !self.readers.is_empty() => self.read(at % self.readers.len()),
            Action::Leave(at) if !self.readers.is_empty() => self.leave(at % self.readers.len()),
            Action::Read(_) | Action::Leave(_) => {}
            Action::Poll => self.poll(),
            Action::Advance(seconds) => {
                self.world.timer.advance(Duration::from_secs(seconds));
                self.now += seconds;
                self.expire();
            }
            Action::Restart => {}
        }
        self.world.hub.settle();
    }

    /// Ends the process and starts another one. Live runs fail, and the linger times begin again.
    #[cfg(feature = "disk")]
    pub(super) fn restart(mut self, restart: impl FnOnce(World<H>) -> World<H>) -> Self {
        while !self.readers.is_empty() {
            self.leave(0);
        }
        for run in 0..self.runs.len() {
            if self.runs[run].end.is_none() {
                self.end(run, Failed);
            }
        }
        self.world = restart(self.world);
        for run in &self.ended {
            self.runs[*run].end = self.runs[*run].end.map(|(reason, _)| (reason, self.now));
        }
        self
    }

    /// Compares the list with the live runs.
    pub(super) fn check(&self) {
        let list: Vec<_> =
            self.world.runs.list().iter().map(|run| (run.topic.to_string(), run.events, run.readers)).collect();
        let live = self.runs.iter().filter(|run| run.end.is_none());
        let live: Vec<_> = live.map(|run| (run.topic.to_string(), run.texts.len(), run.readers)).collect();
        let sorted = |mut rows: Vec<_>| {
            rows.sort();
            rows
        };
        assert_eq!(sorted(list), sorted(live));
    }

    /// Lets everything end, and checks that nothing is left.
    pub(super) fn finish(mut self) {
        self.poll();
        (0..self.readers.len()).for_each(|at| self.read(at));
        for topic in 0..TOPICS {
            self.act(&Action::Stop(topic));
        }
        (0..self.readers.len()).for_each(|at| self.read(at));
        self.readers.clear();
        self.world.advance(Duration::from_secs(LINGER));
        assert!((0..TOPICS).all(|topic| self.world.is_gone(&topic.to_string())));
        assert_eq!((self.world.tasks.count(), self.world.timer.sleeping()), (0, 0));
        let opened: usize = self.runs.iter().map(|run| run.script.opened()).sum();
        let dropped: usize = self.runs.iter().map(|run| run.script.dropped()).sum();
        assert_eq!(opened, dropped, "every stream is dropped");
        self.world.hub.check_empty();
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn runs_do_what_the_model_does(watches in any::<bool>(), actions in prop::collection::vec(any_action(), 0..80)) {
        let mut model = Model::new(World::with(|runs| limits(runs, LocalHub::MAX_ENDED, watches)), watches);
        for action in &actions {
            model.act(action);
            model.check();
        }
        model.finish();
    }
}
