use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use bytes::Bytes;
use tidings::{Endpoint, Event, LocalHub, Session, Subscribe, Subscriber};

use super::hub;
use crate::support::http::{App, get};
use crate::support::{Task, VirtualTimer};

/// Application code that takes the locks of the sessions and of the presence whenever it runs.
#[derive(Clone, Default)]
struct Nosy(Arc<OnceLock<Endpoint>>);

impl Nosy {
    fn look(&self) {
        if let Some(endpoint) = self.0.get() {
            assert!(endpoint.stats().present_keys <= 2);
            assert!(endpoint.sessions().len() <= 4);
        }
    }
}

/// Payload that looks when it is dropped.
struct NosyPayload(Nosy);

impl AsRef<[u8]> for NosyPayload {
    fn as_ref(&self) -> &[u8] {
        b"here"
    }
}

impl Drop for NosyPayload {
    fn drop(&mut self) {
        self.0.look();
    }
}

/// Subscriber of the presence that looks when it is woken.
struct NosyTask(Nosy);

impl Wake for NosyTask {
    fn wake(self: Arc<Self>) {
        self.0.look();
    }
}

fn run(hub: &LocalHub) {
    let (app, timer, nosy) = (App::with_hub(hub.clone()), VirtualTimer::new(), Nosy::default());
    let (closure, hook) = (nosy.clone(), nosy.clone());
    let builder = app.builder().presence(hub, move |session: &Session| {
        closure.look();
        let user = session.data::<String>()?.clone();
        Some(("people", user, Event::binary(Bytes::from_owner(NosyPayload(closure.clone())))))
    });
    let endpoint = builder.timer(timer.clone()).on_refusal(move |_| hook.look()).build();
    assert!(nosy.0.set(endpoint.clone()).is_ok());
    let (mut driver, task) = (Box::pin(endpoint.driver()), Task::new());
    let mut subscription = hub.subscribe(Subscribe::topics(["people"])).unwrap();
    let waker = Arc::new(NosyTask(nosy)).into();
    let mut listen = || while subscription.poll_next(&mut Context::from_waker(&waker)).is_ready() {};
    let open = |user: &str| {
        let target = format!("/?transport=sse&user={user}");
        let mut answer = Box::pin(endpoint.handle(get(&target).body(String::new()).unwrap()));
        let Poll::Ready(answer) = Task::new().poll(&mut answer) else { panic!("the answer waits") };
        answer.into_body()
    };
    for round in 0..6 {
        listen();
        let bodies = [open("ann"), open("ann"), open("bob")];
        listen();
        drop(bodies);
        // Some sessions begin within the grace, others after the removal.
        for _ in 0..round {
            timer.advance(Duration::from_secs(2));
            let _ = task.poll(&mut driver);
            listen();
        }
    }
    // Texts that the hook gets: of a key that is too long, and of removals that the hub refuses.
    drop([open(&"x".repeat(200)), open("ann"), open("bob")]);
    hub.close();
    timer.advance(Duration::from_secs(20));
    let _ = task.poll(&mut driver);
    assert!(endpoint.stats().refused_presence >= 3);
}

#[test]
fn application_code_never_runs_under_a_lock_of_the_presence() {
    let (done, answer) = mpsc::channel();
    // In its own thread: a lock that is taken twice would block for ever.
    std::thread::spawn(move || {
        run(&hub());
        done.send(()).unwrap();
    });
    assert_eq!(answer.recv_timeout(Duration::from_secs(60)), Ok(()));
}
