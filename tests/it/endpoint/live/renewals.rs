//! Renewals of an authorization: by the publisher, which is asked before the end, and by the application.

use std::time::Duration;

use tidings::{SessionEnd, SessionId, Transport};

use super::app::LiveApp;
use crate::support::http::{TestClient, pass, settle};

/// Transports whose sessions can be renewed.
const RENEWED: [Transport; 3] = [Transport::Chunked, Transport::Sse, Transport::WebSocket];

const ID: fn(u64) -> SessionId = SessionId::from;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn renewed_session_goes_on_and_is_renewed_again() {
    for transport in RENEWED {
        let app = LiveApp::new();
        let endpoint = app.builder().build();
        let client = TestClient::open(&endpoint, transport, "/?topic=a&lifetime=100000&renew=100000").await;
        // The lead is 10 to 15 s.
        pass(seconds(84)).await;
        assert_eq!(app.renewals(), 0, "{transport:?}");
        pass(seconds(7)).await;
        assert_eq!(app.renewals(), 1, "{transport:?}");
        pass(seconds(1_000)).await;
        app.publish("a", "still here");
        settle().await;
        assert!(client.text().contains("still here"), "{transport:?}");
        assert!((10..=13).contains(&app.renewals()), "{transport:?}: {}", app.renewals());
        assert_eq!(client.end(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn session_that_is_not_renewed_is_revoked_at_its_expiry() {
    for transport in RENEWED {
        for (answer, refusals) in [("no", 0), ("never", 1), ("panic", 1), ("wait", 1)] {
            let app = LiveApp::new();
            let endpoint = app.builder().build();
            let target = format!("/?topic=a&lifetime=100000&renew={answer}");
            let mut client = TestClient::open(&endpoint, transport, &target).await;
            pass(Duration::from_millis(99_990)).await;
            app.publish("a", "in time");
            settle().await;
            assert!(client.text().contains("in time"), "{transport:?} {answer}");
            pass(Duration::from_millis(10)).await;
            app.publish("a", "too late");
            client.finish().await;
            assert!(!client.text().contains("too late"), "{transport:?} {answer}: {}", client.text());
            assert_eq!((app.left(), app.renewals()), (vec![SessionEnd::Revoked], 1), "{transport:?} {answer}");
            let stats = endpoint.stats();
            assert_eq!(stats.refused_busy + stats.refused_publisher, refusals, "{answer}");
            assert_eq!((app.running(), app.hub().stats().subscriptions), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn renewal_waits_for_a_place_among_the_calls() {
    let app = LiveApp::new();
    let endpoint = app.builder().max_concurrent_calls(8).max_concurrent_calls_per_key(1).build();
    let client = TestClient::open(&endpoint, Transport::Sse, "/?topic=a&key=k&lifetime=100000&renew=1000000").await;
    pass(seconds(83)).await;
    let waiting = TestClient::open(&endpoint, Transport::Sse, "/?topic=wait&key=k").await;
    pass(seconds(9)).await;
    assert_eq!((app.running(), app.renewals()), (1, 0));
    app.release(1).await;
    assert_eq!(app.renewals(), 1);
    pass(seconds(100)).await;
    assert_eq!((client.end(), waiting.end()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn session_that_ends_drops_its_renewal_at_once() {
    for transport in RENEWED {
        for end in ["revoke", "disconnect", "leave", "drain"] {
            let app = LiveApp::new();
            let endpoint = app.builder().build();
            let client = TestClient::open(&endpoint, transport, "/?topic=a&lifetime=100000&renew=wait").await;
            pass(seconds(91)).await;
            assert_eq!(app.running(), 1, "{transport:?} {end}");
            match end {
                "revoke" => assert!(endpoint.revoke(ID(1))),
                "disconnect" => assert!(endpoint.disconnect(ID(1))),
                "leave" => client.disconnect().await,
                _ => drop(tokio::spawn(endpoint.drain())),
            }
            pass(Duration::from_millis(if end == "drain" { 8_900 } else { 0 })).await;
            assert_eq!(app.running(), 0, "{transport:?} {end}");
            app.release(1).await;
            assert!(!endpoint.extend(ID(1), seconds(1_000)), "{transport:?} {end}");
            pass(seconds(20)).await;
            assert_eq!((endpoint.session_count(), app.left().len()), (0, 1), "{transport:?} {end}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn extended_session_expires_later() {
    for transport in RENEWED {
        let app = LiveApp::new();
        let endpoint = app.builder().build();
        let mut client = TestClient::open(&endpoint, transport, "/?topic=a&lifetime=100000&renew=no").await;
        pass(seconds(80)).await;
        assert!(endpoint.extend(ID(1), seconds(100)));
        pass(seconds(84)).await;
        assert_eq!((app.renewals(), client.end()), (0, None), "{transport:?}");
        pass(seconds(7)).await;
        assert_eq!(app.renewals(), 1, "it is asked before the new end");
        pass(seconds(10)).await;
        client.finish().await;
        assert_eq!(app.left(), [SessionEnd::Revoked]);
        assert!(!endpoint.extend(ID(1), seconds(100)), "nothing revives it");
    }
}

#[tokio::test(start_paused = true)]
async fn extend_also_shortens_and_begins_a_lifetime() {
    for target in ["/?topic=a&lifetime=100000&renew=100000", "/?topic=a&renew=no"] {
        for transport in RENEWED {
            let app = LiveApp::new();
            let endpoint = app.builder().build();
            let mut client = TestClient::open(&endpoint, transport, target).await;
            assert!(endpoint.extend(ID(1), Duration::ZERO));
            app.publish("a", "too late");
            client.finish().await;
            assert!(!client.text().contains("too late"), "{transport:?}");
            assert_eq!(app.left(), [SessionEnd::Revoked], "{transport:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answer_to_an_earlier_call_has_no_effect_after_extend() {
    for transport in RENEWED {
        let app = LiveApp::new();
        let endpoint = app.builder().build();
        let mut client = TestClient::open(&endpoint, transport, "/?topic=a&lifetime=100000&renew=wait").await;
        pass(seconds(91)).await;
        assert_eq!(app.running(), 1);
        // The application has ended it already.
        assert!(endpoint.extend(ID(1), seconds(2)));
        assert_eq!(app.running(), 0, "the call is dropped");
        pass(seconds(3)).await;
        assert_eq!(app.renewals(), 2, "the publisher is asked before the new end, too");
        client.finish().await;
        assert_eq!(app.left(), [SessionEnd::Revoked], "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn max_session_age_ends_a_session_that_is_renewed_or_extended() {
    for transport in RENEWED {
        let app = LiveApp::new();
        let endpoint = app.builder().max_session_age(seconds(150)).build();
        let mut client = TestClient::open(&endpoint, transport, "/?topic=a&lifetime=100000&renew=100000").await;
        pass(seconds(120)).await;
        assert_eq!(app.renewals(), 1);
        assert!(endpoint.extend(ID(1), seconds(1_000)));
        pass(seconds(31)).await;
        client.finish().await;
        assert_eq!((app.left(), app.renewals()), (vec![SessionEnd::Disconnected], 1), "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn polls_are_not_renewed_or_extended() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let polls = ["/?topic=a&lifetime=20000&renew=20000", "/?topic=a&lifetime=20000&renew=20000&key=k&session=tab"];
    for target in polls {
        let mut client = TestClient::open(&endpoint, Transport::LongPoll, target).await;
        let id = endpoint.sessions()[0].session.id();
        assert!(!endpoint.extend(id, seconds(100)));
        pass(seconds(21)).await;
        assert_eq!((client.finish().await, app.renewals()), ("401 with a challenge".to_owned(), 0));
    }
    assert!(!endpoint.extend(ID(9), seconds(100)), "no such session");
}
