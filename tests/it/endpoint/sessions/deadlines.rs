use std::time::Duration;

use tidings::{SessionEnd, Transport};
use tokio::time::Instant;

use crate::support::http::{App, HELD, TestClient, get, pass, settle};
use crate::support::{Task, VirtualTimer};

fn saw(transport: Transport) -> &'static str {
    match transport {
        Transport::WebSocket => "1008 revoked",
        Transport::LongPoll => "401 with a challenge",
        _ => "Revoked",
    }
}

#[tokio::test(start_paused = true)]
async fn authorization_ends_at_its_lifetime() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, transport, "/?lifetime=5000").await;
        pass(Duration::from_millis(4_900)).await;
        assert_eq!((app.left(), client.end()), (vec![], None), "{transport:?}");
        let begin = Instant::now();
        while client.end().is_none() {
            pass(Duration::from_millis(10)).await;
        }
        assert!(begin.elapsed() <= Duration::from_millis(230), "{transport:?}: {:?}", begin.elapsed());
        assert_eq!(client.finish().await, saw(transport), "{transport:?}");
        assert_eq!(app.end_reason(), SessionEnd::Revoked);
    }
}

/// Holds whether or not the driver has run: the client does not get an event of the instant of its expiry.
#[tokio::test]
async fn event_at_the_instant_of_expiry_is_not_delivered() {
    for transport in HELD {
        for early in [1, 0] {
            let (app, timer) = (App::with_limit_key(), VirtualTimer::new());
            let endpoint = app.builder().timer(timer.clone()).build();
            // The driver exists and is not polled.
            let mut driver = Box::pin(endpoint.driver());
            let client = TestClient::open(&endpoint, transport, "/?lifetime=5000").await;
            timer.advance(Duration::from_millis(5_000 - early));
            app.publish("the event");
            settle().await;
            assert_eq!(client.text().contains("the event"), early == 1, "{transport:?} {early}");
            timer.advance(Duration::from_millis(500));
            let task = Task::new();
            let _ = task.poll(&mut driver);
            settle().await;
            app.publish("another");
            settle().await;
            assert!(!client.text().contains("another"), "{transport:?}");
            let why =
                if early == 1 && transport == Transport::LongPoll { SessionEnd::Silent } else { SessionEnd::Revoked };
            drop(driver);
            drop(client);
            settle().await;
            assert!(app.left().iter().all(|&(_, left)| left == why), "{transport:?}: {:?}", app.left());
        }
    }
}

/// Holds also for an event whose delivery lasts until that instant.
#[tokio::test]
async fn event_ready_at_the_instant_of_expiry_is_not_delivered() {
    for transport in HELD {
        let (app, timer) = (App::with_limit_key(), VirtualTimer::new());
        let endpoint = app.builder().timer(timer.clone()).build();
        let _driver = endpoint.driver();
        let client = TestClient::open(&endpoint, transport, "/?lifetime=5000").await;
        timer.advance(Duration::from_millis(4_999));
        app.on_delivery(move || timer.advance(Duration::from_millis(1)));
        app.publish("the event");
        settle().await;
        assert!(!client.text().contains("the event"), "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_poll_of_a_session_has_its_own_lifetime() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let poll = TestClient::open(&endpoint, Transport::LongPoll, "/?session=a&lifetime=5000").await;
    app.publish("one");
    settle().await;
    assert_eq!(poll.end().as_deref(), Some("200"));
    // Between two polls no authorization is checked.
    pass(Duration::from_secs(20)).await;
    let mut poll = TestClient::open(&endpoint, Transport::LongPoll, "/?session=a&lifetime=5000").await;
    assert_eq!(app.session_events().len(), 1);
    pass(Duration::from_secs(6)).await;
    assert_eq!(poll.finish().await, "401 with a challenge");
    assert!(app.left().is_empty(), "the right of one poll is not that of the run");
    assert_eq!(
        TestClient::open(&endpoint, Transport::ShortPoll, "/?session=a&lifetime=0").await.end().as_deref(),
        Some("401 with a challenge")
    );
}

#[tokio::test(start_paused = true)]
async fn max_session_age_ends_sessions_at_spread_times() {
    let app = App::with_limit_key();
    let never = Duration::from_secs(10_000);
    let endpoint = app.builder().max_session_age(Duration::from_secs(100)).ping(never, never).build();
    let begin = Instant::now();
    let mut bodies = Vec::new();
    for _ in 0..100 {
        bodies.push(TestClient::open(&endpoint, Transport::Sse, "/").await);
    }
    let mut ends = Vec::new();
    while endpoint.session_count() > 0 {
        pass(Duration::from_millis(100)).await;
        let fresh = app.left().len() - ends.len();
        ends.extend(std::iter::repeat_n(begin.elapsed().as_millis() / 1_000, fresh));
    }
    assert!(ends.iter().all(|at| (90..=100).contains(at)), "{ends:?}");
    ends.dedup();
    assert!(ends.len() > 5, "{ends:?}");
    let mut socket = TestClient::open(&endpoint, Transport::WebSocket, "/").await;
    pass(Duration::from_secs(100)).await;
    assert_eq!(socket.finish().await, "1012 disconnected");
    assert!(app.left().iter().all(|&(_, why)| why == SessionEnd::Disconnected));
    assert!(bodies.iter().all(|body| body.end().as_deref() == Some("Ended")));
}

#[tokio::test(start_paused = true)]
async fn disconnected_client_that_reads_nothing_is_cut_after_10_s() {
    for transport in ["sse", "chunked"] {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let body = endpoint.handle(get(&format!("/?transport={transport}")).body(String::new()).unwrap()).await;
        endpoint.disconnect_where(|_| true);
        pass(Duration::from_millis(9_900)).await;
        assert_eq!(app.left(), []);
        pass(Duration::from_millis(200)).await;
        assert_eq!((app.end_reason(), app.hub.stats().subscriptions), (SessionEnd::Disconnected, 0));
        drop(body);
    }
}

#[tokio::test(start_paused = true)]
async fn extend_where_selects_sessions_by_data() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let mut clients = Vec::new();
    for user in ["ann", "bob", "ann"] {
        let query = format!("/?user={user}&lifetime=5000");
        clients.push(TestClient::open(&endpoint, Transport::Sse, &query).await);
    }
    let is_ann = |session: &tidings::Session| session.data::<String>().is_some_and(|user| user == "ann");
    assert_eq!(endpoint.extend_where(Duration::from_secs(60), is_ann), 2);
    pass(Duration::from_secs(6)).await;
    assert_eq!(app.left(), [(2, SessionEnd::Revoked)]);
    assert_eq!(endpoint.extend_where(Duration::from_secs(60), |_| true), 2, "the other one has ended");
    drop(clients);
}
