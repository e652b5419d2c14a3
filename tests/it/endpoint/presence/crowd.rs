use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use http_body::Body as _;
use tidings::{Body, LocalHub, Retention, StateLimits};

use super::{People, app};
use crate::support::http::get;
use crate::support::{Task, VirtualTimer};

const CLIENTS: usize = 10_000;

/// Clients come and go, each three times, a thousand at a time. Every count is bounded by those that are connected or left
/// within the grace, and the last state is exact.
#[test]
fn ten_thousand_clients_that_come_and_go_leave_nothing() {
    let limits = StateLimits::default().keys(CLIENTS);
    let hub = LocalHub::builder()
        .retain_for("people", Retention::latest_per_key().state_limits(limits))
        .live_buffer(64 << 20)
        .build();
    let timer = VirtualTimer::new();
    let endpoint = app(&hub).1.timer(timer.clone()).build();
    let (mut driver, task, mut people) = (Box::pin(endpoint.driver()), Task::new(), People::of(&hub));
    let open = |user: usize| {
        let mut answer =
            Box::pin(endpoint.handle(get(&format!("/?transport=sse&user={user}")).body(String::new()).unwrap()));
        let Poll::Ready(answer) = task.poll(&mut answer) else { panic!("the answer waits") };
        let mut body = answer.into_body();
        assert!(task.with(|cx| Pin::new(&mut body).poll_frame(cx)).is_ready());
        body
    };
    let mut connected: Vec<Vec<Body>> = Vec::new();
    for round in 0..30 {
        let first = round * 1_000 % CLIENTS;
        connected.push((first..first + 1_000).map(open).collect());
        if connected.len() > 2 {
            drop(connected.remove(0));
        }
        for _ in 0..200 {
            timer.advance(Duration::from_millis(10));
            let _ = task.poll(&mut driver);
        }
        people.changes();
        let stats = endpoint.stats();
        // 2,000 are connected. 3,000 at most have left within 5 s and a second.
        assert!(stats.present_keys <= 5_000, "{stats:?}");
        assert!(people.state.len() <= 5_000);
        assert_eq!(stats.live(), connected.len() * 1_000);
    }
    let live: Vec<_> = (8_000..10_000).map(|user: usize| user.to_string()).collect();
    for _ in 0..700 {
        timer.advance(Duration::from_millis(10));
        let _ = task.poll(&mut driver);
    }
    people.changes();
    assert_eq!(people.state.keys().cloned().collect::<Vec<_>>(), live);
    assert_eq!(endpoint.stats().present_keys, 2_000);
    drop(connected);
    for _ in 0..700 {
        timer.advance(Duration::from_millis(10));
        let _ = task.poll(&mut driver);
    }
    people.changes();
    let stats = endpoint.stats();
    assert_eq!((people.state.len(), stats.present_keys, stats.refused_presence), (0, 0, 0));
    assert_eq!(stats.presence_changes, 2 * 30_000);
}
