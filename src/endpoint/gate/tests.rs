use std::pin::pin;
use std::sync::mpsc;
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Duration;

use super::*;

/// Task that counts its wakes.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<'a>(task: &Arc<Task>, enter: Pin<&mut Enter<'a>>) -> Option<Permit<'a>> {
    match enter.poll(&mut Context::from_waker(&task.clone().into())) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

#[test]
fn place_given_back_goes_to_the_call_that_waits_longest() {
    let (gate, task, key) = (Gate::new(2, 1), Arc::<Task>::default(), Arc::<str>::from("a"));
    let b = Arc::<str>::from("b");
    let one = gate.try_enter(Some(&key)).ok();
    assert!(one.is_some());
    assert_eq!(gate.try_enter(Some(&key)).err(), Some(Full::Key));
    let two = gate.try_enter(None).ok();
    assert_eq!(gate.try_enter(None).err(), Some(Full::All));
    let (mut same, mut other) = (pin!(gate.enter(Some(&key))), pin!(gate.enter(Some(&b))));
    assert!(poll(&task, same.as_mut()).is_none() && poll(&task, other.as_mut()).is_none());
    // The key of the first waiting call is at its limit, so the second call is next.
    drop(two);
    let two = poll(&task, other.as_mut());
    assert!(two.is_some() && poll(&task, same.as_mut()).is_none());
    assert_eq!(gate.try_enter(None).err(), Some(Full::All), "no call overtakes one that waits");
    drop(one);
    assert_eq!(task.0.load(Ordering::Relaxed), 2);
    assert!(poll(&task, same.as_mut()).is_some_and(|_| true));
    drop(two);
    assert_eq!((gate.taken.load(Ordering::Relaxed), gate.state.lock().keys.len()), (0, 0));
}

/// Runs a random program of calls that arrive, wait, end and are dropped. Checks that no place is lost or given twice,
/// and that none is free while a call waits that may take it.
#[test]
fn places_are_neither_lost_nor_given_twice_by_random_calls() {
    let mut random = 7_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let keys: [Option<Arc<str>>; 4] = [None, Some("a".into()), Some("b".into()), Some("c".into())];
    for (max, share) in [(1, 1), (3, 1), (3, 2), (4, 9), (8, 3)] {
        let (gate, task) = (Gate::new(max, share), Arc::<Task>::default());
        let mut waiting: Vec<(usize, Pin<Box<Enter<'_>>>)> = Vec::new();
        let mut inside: Vec<(usize, Permit<'_>)> = Vec::new();
        for _ in 0..5_000 {
            match next(5) {
                0 => {
                    let key = next(4);
                    waiting.push((key, Box::pin(gate.enter(keys[key].as_ref()))));
                }
                1 if !waiting.is_empty() => drop(waiting.swap_remove(next(waiting.len()))),
                2 if !inside.is_empty() => drop(inside.swap_remove(next(inside.len()))),
                3 => {
                    let key = next(4);
                    let of_key = inside.iter().filter(|(other, _)| *other == key).count();
                    let entered = gate.try_enter(keys[key].as_ref());
                    assert!(entered.is_err() || (inside.len() < max && (key == 0 || of_key < share)));
                    inside.extend(entered.ok().map(|permit| (key, permit)));
                }
                _ => waiting.retain_mut(|(key, enter)| match poll(&task, enter.as_mut()) {
                    Some(permit) => {
                        inside.push((*key, permit));
                        false
                    }
                    None => true,
                }),
            }
            assert!(inside.len() <= max);
            for (key, _) in keys.iter().enumerate().skip(1) {
                assert!(inside.iter().filter(|(other, _)| *other == key).count() <= share);
            }
        }
        // Each waiting call gets its place when those before it have ended.
        while !waiting.is_empty() {
            inside.clear();
            let before = waiting.len();
            waiting.retain_mut(|(key, enter)| {
                poll(&task, enter.as_mut()).map(|permit| inside.push((*key, permit))).is_none()
            });
            assert!(waiting.len() < before, "{before} wait for ever");
        }
        inside.clear();
        let taken = gate.taken.load(Ordering::Relaxed);
        let state = gate.state.lock();
        assert_eq!((taken, state.keys.len(), state.waiting.len()), (0, 0, 0));
    }
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a place on this thread.
fn wait<'a>(gate: &'a Gate, key: Option<&'a Arc<str>>) -> Permit<'a> {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut enter = pin!(gate.enter(key));
    loop {
        match enter.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(permit) => return permit,
            Poll::Pending => thread::park(),
        }
    }
}

/// Checks that a refused call of a key at its limit takes no place, not even for a moment.
#[test]
fn call_of_a_full_key_takes_no_place_from_another_key() {
    const CALLS: usize = 200_000;
    let (gate, key) = (Gate::new(2, 1), Arc::<str>::from("a"));
    let held = gate.try_enter(Some(&key)).ok();
    thread::scope(|scope| {
        scope.spawn(|| (0..CALLS).for_each(|_| assert_eq!(gate.try_enter(Some(&key)).err(), Some(Full::Key))));
        (0..CALLS).for_each(|_| assert_eq!(gate.try_enter(None).err(), None));
    });
    drop(held);
}

#[test]
fn calls_on_several_threads_all_get_their_place() {
    const CALLS: usize = 2_000;
    let keys: [Option<Arc<str>>; 4] = [None, None, Some("a".into()), Some("a".into())];
    let (gate, inside) = (Arc::new(Gate::new(2, 1)), Arc::<AtomicUsize>::default());
    let (done, all) = mpsc::channel();
    for key in keys {
        let (gate, inside, done) = (gate.clone(), inside.clone(), done.clone());
        thread::spawn(move || {
            for call in 0..CALLS {
                let permit = match call % 3 {
                    0 => gate.try_enter(key.as_ref()).ok(),
                    _ => Some(wait(&gate, key.as_ref())),
                };
                if permit.is_some() {
                    assert!(inside.fetch_add(1, Ordering::AcqRel) < 2);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::AcqRel);
                }
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..4 {
        all.recv_timeout(Duration::from_secs(60)).expect("a call that waits is woken");
    }
    let state = gate.state.lock();
    assert_eq!((gate.taken.load(Ordering::Relaxed), state.keys.len(), state.waiting.len()), (0, 0, 0));
}
