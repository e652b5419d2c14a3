use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use http_body::Body as _;
use tidings::stats::SessionState;
use tidings::{Body, Endpoint, SessionEnd};

use crate::support::http::{App, SessionEvent, To, get};
use crate::support::{Task, VirtualTimer};

const ROUNDS: usize = 150;
const TARGETS: [&str; 4] =
    ["/?transport=sse", "/?transport=chunked", "/?transport=sse&lifetime=60000", "/?transport=sse"];

fn open(endpoint: &Endpoint, target: &str) -> Body {
    match Task::new().poll(&mut pin!(get(target).to(endpoint))) {
        Poll::Ready(answer) => answer.into_body(),
        Poll::Pending => panic!("a stream is answered at once"),
    }
}

/// Polls a body until it waits or ends. Returns its text.
fn read(body: &mut Body) -> String {
    let mut text = String::new();
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    text
}

/// The machine of a session is given its inputs by its own task, the driver and the application, each on a thread.
#[test]
fn sessions_ended_by_several_threads_leave_once_and_get_nothing_after_revocation() {
    let (app, timer) = (App::with_limit_key(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).write_timeout(Duration::from_secs(4)).build();
    let mut driver = Box::pin(endpoint.driver());
    let revoked = AtomicUsize::new(0);
    for round in 0..ROUNDS {
        let mut kept: Vec<_> = TARGETS.iter().map(|target| open(&endpoint, target)).collect();
        let mut dropped: Vec<_> = TARGETS.iter().map(|target| open(&endpoint, target)).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                dropped.iter_mut().for_each(|body| drop(read(body)));
                app.publish("early");
                dropped.clear();
            });
            scope.spawn(|| kept.iter_mut().for_each(|body| drop(read(body))));
            scope.spawn(|| {
                for id in endpoint.sessions().iter().map(|info| info.session.id()).filter(|id| id.get() % 3 == 0) {
                    revoked.fetch_add(usize::from(endpoint.revoke(id)), Ordering::Relaxed);
                }
            });
            scope.spawn(|| endpoint.disconnect_where(|session| session.id().get() % 2 == 0));
            // The checks of unread streams become due, and find some of them stalled.
            timer.advance(Duration::from_millis(700));
            let _ = Task::new().poll(&mut driver);
        });
        app.publish("late");
        let ended: BTreeMap<_, _> = app.left().into_iter().collect();
        for (at, body) in kept.iter_mut().enumerate() {
            let id = (round * 2 * TARGETS.len() + at + 1) as u64;
            let text = read(body);
            let is_revoked = ended.get(&id) == Some(&SessionEnd::Revoked) || id % 3 == 0;
            assert!(!is_revoked || !text.contains("late"), "session {id} in round {round}: {text}");
        }
        drop(kept);
        assert_eq!(endpoint.session_count(), 0, "round {round}");
    }
    let mut lefts: BTreeMap<u64, usize> = BTreeMap::new();
    for event in app.session_events() {
        match event {
            SessionEvent::Joined(id) => assert_eq!(lefts.insert(id, 0), None, "session {id} joined twice"),
            SessionEvent::Left(id, _) => *lefts.get_mut(&id).expect("left comes after joined") += 1,
        }
    }
    assert_eq!(lefts.len(), ROUNDS * 2 * TARGETS.len());
    assert!(lefts.values().all(|&left| left == 1), "{lefts:?}");
    let stats = endpoint.stats();
    let in_states = SessionState::ALL.iter().map(|&state| stats.sessions_in(state)).sum::<usize>();
    assert_eq!((stats.live(), in_states), (0, 0), "{stats:?}");
    assert_eq!(stats.left(), stats.joined);
    assert_eq!(stats.left_for(SessionEnd::Revoked), revoked.into_inner() as u64);
    assert_eq!(app.hub.stats().subscriptions, 0);
}
