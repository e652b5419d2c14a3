use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tidings::subscriber::{BoxSubscriber, SubscriberExt};
use tidings::{
    Accepted, Endpoint, Gap, LocalHub, Publisher, Rejection, Session, Snapshot, Start, Subscribe, SubscribeRequest,
    Transport,
};
use tokio::sync::Notify;

use crate::support::http::{App, TestClient, To, get, pass, settle, text};

/// A publisher that waits for the test: in `subscribe`, if `subscribes` is set, or in `snapshot`.
#[derive(Clone, Default)]
struct WaitingApp {
    hub: LocalHub,
    go: Arc<Notify>,
    subscribes: bool,
    users: Arc<Mutex<Vec<Weak<()>>>>,
}

impl Publisher for WaitingApp {
    type Subscriber = BoxSubscriber;

    fn limit_key(&self, _: &SubscribeRequest) -> Option<String> {
        Some("anybody".to_owned())
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        if self.subscribes {
            self.go.notified().await;
        }
        let start = if request.start() == Start::Now { Start::Oldest } else { request.start() };
        let user = Arc::new(());
        self.users.lock().unwrap().push(Arc::downgrade(&user));
        Ok(Accepted::new(self.hub.subscribe(Subscribe::topics(["news"]).start(start))?.boxed()).with_data(user))
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        self.go.notified().await;
        None
    }
}

/// A short poll that is waiting for its snapshot when its session ends is answered without it, at the cursor of its
/// request,
/// since the client has not got the gap.
#[tokio::test(start_paused = true)]
async fn short_poll_ended_during_its_snapshot_gets_no_event() {
    for (is_revoked, status) in [(false, 200), (true, 401)] {
        let app = WaitingApp::default();
        let endpoint = Endpoint::builder(app.clone()).drain_timeout(Duration::from_secs(1)).build();
        app.hub.publish_now("news", "missed").unwrap();
        let poll = tokio::spawn({
            let endpoint = endpoint.clone();
            async move {
                let answer = get("/?session=a&cursor=77.a5").to(&endpoint).await;
                (answer.status().as_u16(), text(answer).await)
            }
        });
        settle().await;
        match is_revoked {
            true => assert_eq!(endpoint.revoke_where(|_| true), 1),
            false => endpoint.drain().await,
        }
        settle().await;
        app.go.notify_waiters();
        let (reported, body) = poll.await.unwrap();
        assert_eq!(reported, status, "{body}");
        // A drained poll is answered with the cursor of its request.
        assert!(status != 200 || body.contains(r#""cursor":"77.a5""#), "{body}");
        assert_eq!(endpoint.session_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn expiry_of_one_poll_does_not_end_other_polls_of_its_session() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let mut old = TestClient::open(&endpoint, Transport::LongPoll, "/?session=a&lifetime=5000").await;
    let fresh = TestClient::open(&endpoint, Transport::LongPoll, "/?session=a&lifetime=50000").await;
    let unlimited = TestClient::open(&endpoint, Transport::LongPoll, "/?session=a").await;
    pass(Duration::from_secs(6)).await;
    assert_eq!(old.finish().await, "401 with a challenge");
    assert_eq!((fresh.end(), unlimited.end()), (None, None));
    assert!(app.left().is_empty());
    app.publish("one");
    settle().await;
    assert_eq!((fresh.end().as_deref(), unlimited.end().as_deref()), (Some("200"), Some("200")));
}

#[tokio::test(start_paused = true)]
async fn poll_session_above_max_sessions_is_not_kept() {
    // The first session is a stream, which holds the one place, or a session of polls, which is evicted for the next
    // one.
    for (transport, expected) in [("sse", 99), ("short-poll", 0)] {
        let app = WaitingApp { subscribes: true, ..WaitingApp::default() };
        let endpoint = Endpoint::builder(app.clone()).max_sessions(1).build();
        let requests: Vec<_> = (0..100)
            .map(|n| {
                let endpoint = endpoint.clone();
                let transport = if n == 0 { transport } else { "short-poll" };
                let target = format!("/?session=n{n}&transport={transport}");
                tokio::spawn(async move { get(&target).to(&endpoint).await })
            })
            .collect();
        settle().await;
        app.go.notify_waiters();
        let mut answers = Vec::new();
        for request in requests {
            answers.push(request.await.unwrap());
        }
        let refused = answers.iter().filter(|answer| answer.status() == 503).count();
        let kept = app.users.lock().unwrap().iter().filter(|user| user.upgrade().is_some()).count();
        assert_eq!((refused, endpoint.session_count(), kept), (expected, 1, 1), "{transport}");
    }
}
