use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::contract::Transport;
use crate::endpoint::builder::EndpointBuilder;
use crate::hub::LocalHub;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn shared() -> Arc<Shared> {
    EndpointBuilder::public(&LocalHub::new(), ["news"]).build().shared().clone()
}

fn session(shared: &Shared, transport: Transport) -> Session {
    let [name, key] = ["tab", "user"].map(|text| Some(Arc::from(text)));
    Session::new(shared.sessions.next_id(), transport, name, key, None, Vec::new())
}

#[test]
fn late_wake_for_a_driver_does_not_take_the_wake_of_a_revocation() {
    let (shared, wakes) = (shared(), Arc::<Wakes>::default());
    let (begin, task) = (shared.runtime.wheel.begin(), Waker::from(wakes.clone()));
    let cx = Context::from_waker(&task);
    let guard =
        SessionGuard::joining(&shared, session(&shared, Transport::WebSocket), begin, None).join(&Arrival::default());
    let mut guard = guard.ok().unwrap();
    assert!(!guard.poll_ending(&cx));
    // The driver is lost. The task is polled between the signal and the wake, which another thread performs.
    let entry = guard.entry().clone();
    entry.write_signals(&entry.locked.lock().lifecycle, true);
    assert!(!guard.poll_ending(&cx));
    entry.wake_tasks();
    assert_eq!(wakes.count(), 1);
    assert!(!guard.poll_ending(&cx));
    entry.revoke();
    assert_eq!(wakes.count(), 2);
    assert!(guard.poll_ending(&cx));
}

#[test]
fn late_wake_after_joined_does_not_take_the_wake_of_a_revocation() {
    let (shared, wakes) = (shared(), Arc::<Wakes>::default());
    let (begin, task) = (shared.runtime.wheel.begin(), Waker::from(wakes.clone()));
    let cx = Context::from_waker(&task);
    let session = session(&shared, Transport::LongPoll);
    let first = SessionGuard::first_poll(&shared, session.clone(), begin, None).join(&Arrival::default()).ok().unwrap();
    let entry = first.entry().clone();
    let mut second = SessionGuard::next_poll(entry.clone(), session.of_request(None, Vec::new()), None).ok().unwrap();
    // `joined` has returned. The second poll continues before it is woken for that.
    assert!(!second.poll_ending(&cx));
    entry.wake_tasks();
    assert_eq!(wakes.count(), 1);
    assert!(!second.poll_ending(&cx));
    entry.revoke();
    assert_eq!(wakes.count(), 2);
    assert!(second.poll_ending(&cx));
}
