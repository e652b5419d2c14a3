use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tidings::{SessionEnd, Transport};

use super::guest::{Guest, HELD};
use super::house::{House, Line};
use crate::endpoint::world::{To, get, text};
use crate::support::Task;

#[tokio::test(start_paused = true)]
async fn who_is_ended_while_it_joins_leaves_after_that() {
    for transport in HELD {
        for (revoked, why) in [(true, SessionEnd::Revoked), (false, SessionEnd::Disconnected)] {
            let house = House::new();
            let endpoint = house.endpoint();
            let (seen, by) = (house.clone(), endpoint.clone());
            house.during_joined(move |session| {
                assert!(if revoked { by.revoke(session.id()) } else { by.disconnect(session.id()) });
                assert!(!by.disconnect(session.id()));
                assert_eq!((seen.left(), by.session_count()), (vec![], 1));
            });
            house.publish("one");
            let mut guest = Guest::come(&endpoint, transport, "/?oldest").await;
            guest.see_out().await;
            assert_eq!((house.why(), guest.text().contains("one")), (why, !revoked), "{transport:?}");
            assert_eq!((endpoint.session_count(), house.hub.stats().subscriptions), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_while_it_joins_leaves_after_that() {
    for transport in HELD {
        let house = House::new();
        let endpoint = house.builder().drain_timeout(Duration::ZERO).build();
        let (seen, by) = (house.clone(), endpoint.clone());
        house.during_joined(move |_| {
            let mut drain = Box::pin(by.drain());
            assert!(Task::new().poll(&mut drain).is_ready());
            assert_eq!((seen.left(), by.session_count()), (vec![], 1));
        });
        house.publish("one");
        let mut guest = Guest::come(&endpoint, transport, "/?oldest").await;
        guest.see_out().await;
        assert_eq!(house.why(), SessionEnd::Drained, "{transport:?}");
        assert_eq!((endpoint.session_count(), house.hub.stats().subscriptions), (0, 0));
        assert!(!guest.text().contains("one"), "{transport:?}: {}", guest.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_ended_while_it_joins_is_over() {
    let house = House::new();
    let endpoint = house.endpoint();
    let by = endpoint.clone();
    house.during_joined(move |session| assert!(by.revoke(session.id())));
    let guest = Guest::come(&endpoint, Transport::ShortPoll, "/?session=a").await;
    assert_eq!((guest.end().as_deref(), house.why()), (Some("401 with a challenge"), SessionEnd::Revoked));
}

/// A gate at which threads wait.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        let shut = self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap();
        drop(shut);
    }
}

#[test]
fn no_poll_of_a_run_is_answered_before_it_has_joined() {
    let (house, inside, door) = (House::new(), Arc::<Door>::default(), Arc::<Door>::default());
    house.publish("one");
    let endpoint = house.endpoint();
    house.during_joined({
        let (inside, door) = (inside.clone(), door.clone());
        move |_| {
            inside.open();
            door.pass();
        }
    });
    let tab = || {
        let endpoint = endpoint.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async { text(get("/?session=a&oldest").to(&endpoint).await).await })
        })
    };
    let first = tab();
    inside.pass();
    let second = tab();
    // The second poll may arrive early or late, but it must not be answered.
    for _ in 0..1_000 {
        thread::yield_now();
        assert!(!second.is_finished() && house.deliveries().1 == 0);
    }
    thread::park_timeout(Duration::from_millis(20));
    assert!(!second.is_finished() && house.deliveries().1 == 0);
    door.open();
    for tab in [first, second] {
        assert!(tab.join().unwrap().contains("one"));
    }
    assert_eq!(house.lines(), [Line::Joined(1)]);
}
