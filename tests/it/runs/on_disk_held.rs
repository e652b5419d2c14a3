//! Runs of a hub on disk whose writer is held, so that commands wait in its queue.

use std::pin::{Pin, pin};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_core::Stream;
use tidings::disk::DiskHub;
use tidings::runs::{FailureCause, RunError, Runs};
use tidings::{EndReason, LocalHub, Retention};

use super::on_disk::{Directory, texts};
use super::script::{Script, Step};
use super::world::{World, WorldHub};
use crate::support::VirtualTimer;

const PATIENCE: Duration = Duration::from_secs(30);

/// Holds the writer of a hub until it is dropped.
struct Hold {
    released: Sender<()>,
}

/// Waker that blocks the thread that calls it.
struct Blocking {
    called: Sender<()>,
    released: Mutex<Receiver<()>>,
}

impl Wake for Blocking {
    fn wake(self: Arc<Self>) {
        self.called.send(()).unwrap();
        // Returns when the hold is dropped.
        let _ = self.released.lock().unwrap().recv_timeout(PATIENCE);
    }
}

impl Hold {
    fn of(hub: &DiskHub) -> Self {
        loop {
            let ((called, calls), (release, released)) = (channel(), channel());
            let waker = Waker::from(Arc::new(Blocking { called, released: Mutex::new(released) }));
            let publish = pin!(hub.publish("settled/hub", ""));
            // A publish that is stored before the poll returns calls no waker.
            if publish.poll(&mut Context::from_waker(&waker)).is_pending() {
                calls.recv_timeout(PATIENCE).unwrap();
                return Self { released: release };
            }
        }
    }

    /// Ends the hold, and waits until the writer has taken all commands.
    fn release(self, hub: &DiskHub) {
        drop(self.released);
        while hub.disk_stats().unwrap().queued_publishes > 0 {
            thread::yield_now();
        }
    }

    /// Fills the queue of the writer, so that it refuses further commands. The event is refused later, since it is too large.
    fn fill(hub: &DiskHub) {
        let publish = pin!(hub.publish("settled/hub", "x".repeat((64 << 20) + 1)));
        assert!(publish.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}

/// Stream that stops its own run, and then yields an event.
struct Stopping(Option<Runs>);

impl Stream for Stopping {
    type Item = &'static str;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<&'static str>> {
        match self.0.take() {
            Some(runs) => {
                assert!(runs.stop("runs/1"));
                Poll::Ready(Some("late"))
            }
            None => Poll::Pending,
        }
    }
}

#[test]
fn event_behind_the_end_of_its_run_is_not_published_after_the_history_is_dropped() {
    let directory = Directory::new();
    let world = World::on(directory.builder().open().unwrap(), VirtualTimer::new(), |runs| runs.max_ended(0));
    let hold = Hold::of(&world.hub);
    world.runs.start("runs/1", || Stopping(Some(world.runs.clone()))).unwrap();
    world.tasks.run();
    drop(hold);
    world.run();
    assert!(world.is_gone("runs/1"));
    world.hub.check_empty();
}

#[test]
fn end_that_is_stored_again_for_a_reader_does_not_end_the_topic_after_the_history_is_dropped() {
    let (directory, timer) = (Directory::new(), VirtualTimer::new());
    // The hub in memory forgets the end of a run after 10 s.
    let memory = LocalHub::builder().retain(Retention::count(1).age(Duration::from_secs(10))).clock(timer.clone());
    let hub = directory.builder().memory(memory).open().unwrap();
    let world = World::on(hub, timer, |runs| runs.linger(Duration::from_secs(60)));
    world.started("runs/1", &Script::of(["old"]));
    world.timer.advance(Duration::from_secs(20));
    let hold = Hold::of(&world.hub);
    drop(world.reader("runs/1"));
    world.advance_held(Duration::from_secs(60));
    drop(hold);
    world.run();
    world.started("runs/1", &Script::of(["new"]));
    assert_eq!(world.read("runs/1"), (texts(&["new"]), Some(EndReason::Done)));
}

#[test]
fn hub_is_closed_by_the_hook_of_a_failure_while_another_thread_closes_it() {
    let directory = Directory::new();
    let hub = directory.builder().open().unwrap();
    let closing = hub.clone();
    let world = World::on(hub, VirtualTimer::new(), |runs| runs.on_failure(move |_| closing.close()));
    let run = world.started("runs/1", &Script::default());
    let (hold, (done, is_done), hub) = (Hold::of(&world.hub), channel(), world.hub.clone());
    thread::spawn(move || {
        hub.close();
        done.send(()).unwrap();
    });
    while world.hub.disk_stats().unwrap().queued_publishes == 0 {
        thread::yield_now();
    }
    // The writer ends before it takes this command. The reply is on its thread.
    assert!(run.stop());
    drop(hold);
    is_done.recv_timeout(PATIENCE).expect("the hub is closed");
}

#[test]
fn end_that_the_disk_refuses_is_reported_once_and_stored_later() {
    let (directory, script) = (Directory::new(), Script::default());
    let world = World::on(directory.builder().open().unwrap(), VirtualTimer::new(), |runs| runs);
    script.say("one");
    world.started("runs/1", &script);
    let hold = Hold::of(&world.hub);
    Hold::fill(&world.hub);
    script.push(Step::End);
    world.tasks.run();
    for _ in 0..3 {
        world.advance_held(Duration::from_secs(1));
    }
    assert_eq!(world.causes(), [FailureCause::Hub]);
    hold.release(&world.hub);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.read("runs/1"), (texts(&["one"]), Some(EndReason::Done)));
    assert_eq!(world.causes(), []);
}

#[test]
fn end_that_the_disk_refuses_to_a_run_whose_task_was_dropped_is_stored_by_a_later_start() {
    let directory = Directory::new();
    let world = World::on(directory.builder().open().unwrap(), VirtualTimer::new(), |runs| runs.max_live(1));
    let script = Script::default();
    script.say("one");
    world.started("runs/1", &script);
    let hold = Hold::of(&world.hub);
    Hold::fill(&world.hub);
    world.tasks.abort();
    hold.release(&world.hub);
    world.timer.advance(Duration::from_secs(1));
    let busy = world.start("runs/2", &Script::default()).unwrap_err();
    assert_eq!(busy, RunError::Busy { limit: 1 });
    world.run();
    assert!(world.start("runs/2", &Script::default()).unwrap().is_new());
    assert_eq!(world.read("runs/1"), (texts(&["one"]), Some(EndReason::Failed)));
    assert_eq!(world.causes(), [FailureCause::Dropped]);
}

#[test]
fn run_waits_while_the_queue_of_the_disk_is_full() {
    let (directory, script) = (Directory::new(), Script::default());
    let world = World::on(directory.builder().open().unwrap(), VirtualTimer::new(), |runs| runs);
    world.started("runs/1", &script);
    let hold = Hold::of(&world.hub);
    Hold::fill(&world.hub);
    script.say("one");
    world.tasks.run();
    script.push(Step::End);
    world.tasks.run();
    assert_eq!(world.live(), ["runs/1"]);
    hold.release(&world.hub);
    world.run();
    assert_eq!(world.read("runs/1"), (texts(&["one"]), Some(EndReason::Done)));
    assert_eq!(world.causes(), []);
}

impl World<DiskHub> {
    /// Advances the time and polls the tasks that it wakes, without waiting for the hub.
    fn advance_held(&self, time: Duration) {
        self.timer.advance(time);
        self.tasks.run();
    }
}
