//! The wake flag: the poll that takes a wake sees the writes that were made before it.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

#[path = "../../src/transport/wake_flag.rs"]
#[allow(dead_code, reason = "the model does not use the waker that is stored with the flag")]
mod flag;

use flag::WakeFlag;

/// Number of wakes of the task.
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
        // The task was woken after its last poll, so it is polled again.
        poll();
        assert_eq!(seen, [1, 1], "the wake was taken without the write before it");
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
            assert!(flag.take(), "the task was woken before the flag was set");
        }
        source.join().unwrap();
    });
}
