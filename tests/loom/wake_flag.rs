//! The flag that tells a task which of its sources woke it: what is done before a wake is seen by the poll that takes it.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

#[path = "../../src/transport/wake_flag.rs"]
#[allow(dead_code, reason = "the model uses the flag, and not the waker that is kept beside it")]
mod flag;

use flag::WakeFlag;

/// Number of wakes of the task that no poll followed yet.
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[test]
fn wake_flag_take_sees_writes_made_before_each_wake() {
    loom::model(|| {
        let task = Arc::new(Task(AtomicUsize::new(0)));
        let flag = WakeFlag::new(Waker::from(task.clone()), false);
        let done: Arc<[AtomicUsize; 2]> = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let wakers: Vec<_> = (0..2)
            .map(|source| {
                let (done, waker) = (done.clone(), flag.waker());
                thread::spawn(move || {
                    done[source].store(1, Ordering::Relaxed);
                    waker.wake();
                })
            })
            .collect();
        let mut seen = [0, 0];
        let mut poll = || {
            if flag.take() {
                seen = [done[0].load(Ordering::Relaxed), done[1].load(Ordering::Relaxed)];
            }
        };
        poll();
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        // A task that was woken after its last poll is polled again.
        poll();
        assert_eq!(seen, [1, 1], "a wake was taken, and what was done before it not seen");
        assert_eq!(task.0.load(Ordering::Acquire), 2);
    });
}

#[test]
fn woken_task_finds_the_wake_flag_set() {
    loom::model(|| {
        let task = Arc::new(Task(AtomicUsize::new(0)));
        let flag = WakeFlag::new(Waker::from(task.clone()), false);
        let waker = flag.waker();
        let source = thread::spawn(move || waker.wake());
        if task.0.load(Ordering::Acquire) == 1 {
            assert!(flag.take(), "the task was woken before its flag was raised");
        }
        source.join().unwrap();
    });
}
