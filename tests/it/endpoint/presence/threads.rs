use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::{People, app, hub};
use crate::support::http::get;
use crate::support::{Task, VirtualTimer};

/// Threads begin and end sessions of the same few keys while the driver publishes due changes. The changes of a key alternate
/// in the hub, and the last state is exact.
#[test]
fn changes_of_a_key_reach_the_hub_in_their_order_from_several_threads() {
    let hub = hub();
    let timer = VirtualTimer::new();
    let builder = app(&hub).1.timer(timer.clone()).reconnect_grace(Duration::from_millis(300));
    let endpoint = builder.build();
    let mut people = People::of(&hub);
    let is_over = AtomicBool::new(false);
    let mut driver = Box::pin(endpoint.driver());
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| {
            let task = Task::new();
            while !is_over.load(Ordering::Relaxed) {
                timer.advance(Duration::from_millis(50));
                let _ = task.poll(&mut driver);
                std::thread::yield_now();
            }
            for _ in 0..200 {
                timer.advance(Duration::from_millis(50));
                let _ = task.poll(&mut driver);
            }
        });
        let clients: Vec<_> = (0..3)
            .map(|thread| {
                let endpoint = &endpoint;
                scope.spawn(move || {
                    for round in 0..3_000_usize {
                        let (user, mood) = (["ann", "bob"][(round + thread) % 2], ["here", "away"][round % 3 % 2]);
                        let target = format!("/?transport=sse&user={user}:{mood}");
                        let mut answer = Box::pin(endpoint.handle(get(&target).body(String::new()).unwrap()));
                        let Poll::Ready(answer) = Task::new().poll(&mut answer) else { panic!("the answer waits") };
                        drop(answer);
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        driver.join().unwrap();
    });
    // Panics at a removal of an absent key, and at an event that is repeated.
    people.changes();
    assert!(people.state.is_empty(), "{:?}", people.state);
    let stats = endpoint.stats();
    assert_eq!((stats.present_keys, stats.live(), stats.refused_presence), (0, 0, 0));
}
