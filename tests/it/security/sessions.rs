//! Rows 31 and 32: a session name gives no access to another client's data, and idle sessions of polls take no place
//! that another client needs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tidings::stats::SessionState;
use tidings::{
    Accepted, Endpoint, Event, Gap, LocalHub, Message, Publisher, Rejection, Session, SessionEnd, Snapshot,
    SubscribeRequest, Subscription, Topic, Transport,
};

use crate::support::http::{App, HELD, SessionEvent, TestClient, To, get, pass, request, runtime, settle, text};

/// A publisher with the user in `?user=`, and a snapshot of its own for each user.
#[derive(Clone)]
struct UserApp {
    hub: LocalHub,
    keys: Keys,
    received: Arc<Mutex<Vec<Received>>>,
}

/// Limit keys that a publisher returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    None,
    /// One key for all clients, as for users behind one address.
    Shared,
    PerUser,
}

/// A message: the user that sent it, and the key and data of the session that the publisher was given.
#[derive(Debug, Clone)]
struct Received {
    user: String,
    key: Option<String>,
    data: Option<String>,
}

impl UserApp {
    fn new(keys: Keys) -> Self {
        Self { hub: LocalHub::new(), keys, received: Arc::default() }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.clone())
    }
}

fn user(request: &SubscribeRequest) -> String {
    request.query("user").unwrap().into_owned()
}

impl Publisher for UserApp {
    type Subscriber = Subscription;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        match self.keys {
            Keys::None => None,
            Keys::Shared => Some("everybody".to_owned()),
            Keys::PerUser => Some(user(request)),
        }
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        Ok(Accepted::new(self.hub.subscribe(request.subscribe_to(["news"]))?).with_data(user(&request)))
    }

    async fn snapshot(&self, session: &Session, _: &Gap) -> Option<Snapshot> {
        let state = format!("state of {}.", session.data::<String>()?);
        Some(Snapshot::new([(Topic::new("news").ok()?, Event::text(state))]))
    }

    async fn receive(&self, request: &SubscribeRequest, _: Message) -> Result<Option<Event>, Rejection> {
        let session = request.session();
        self.received.lock().unwrap().push(Received {
            user: user(request),
            key: session.and_then(Session::key).map(str::to_owned),
            data: session.and_then(|session| session.data::<String>()).cloned(),
        });
        Ok(None)
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A client connects with a cursor that brings it the snapshot.
    Open(Transport, u8, Option<u8>),
    /// A client sends a message by POST.
    Post(u8, Option<u8>),
    /// One of the WebSockets sends a message.
    Send(usize),
    Pass(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    let (user, name) = (0..3_u8, prop::option::weighted(0.8, 0..2_u8));
    prop_oneof![
        4 => (prop::sample::select(Transport::ALL.to_vec()), user.clone(), name.clone())
            .prop_map(|(transport, user, name)| Step::Open(transport, user, name)),
        2 => (user, name).prop_map(|(user, name)| Step::Post(user, name)),
        1 => any::<usize>().prop_map(Step::Send),
        1 => (0..30_000_u16).prop_map(Step::Pass),
    ]
}

fn target(user: u8, name: Option<u8>) -> String {
    format!("/?user=u{user}{}", name.map_or(String::new(), |name| format!("&session=n{name}")))
}

async fn run(keys: Keys, steps: Vec<Step>) {
    let app = UserApp::new(keys);
    let endpoint = app.endpoint();
    let (mut clients, mut sent) = (Vec::new(), 0);
    for step in steps {
        match step {
            Step::Open(transport, user, name) => {
                let client = TestClient::open(&endpoint, transport, &(target(user, name) + "&cursor=bogus")).await;
                assert!(client.text().contains(&format!("state of u{user}.")), "{}", client.text());
                clients.push((transport, user, client));
            }
            Step::Post(user, name) => {
                let answer = request("POST", &target(user, name)).with("a message", &endpoint).await;
                assert_eq!(answer.status(), 204);
                sent += 1;
            }
            Step::Send(which) => {
                let mut sockets = clients
                    .iter_mut()
                    .filter(|(transport, _, client)| *transport == Transport::WebSocket && client.end().is_none());
                if let Some((_, _, client)) = sockets.nth(which % 3) {
                    client.send(1, b"a message").await;
                    sent += 1;
                }
            }
            Step::Pass(time) => pass(Duration::from_millis(time.into())).await,
        }
        settle().await;
        for (_, user, client) in &clients {
            let others = (0..3).filter(|other| other != user).map(|other| format!("state of u{other}."));
            others.for_each(|state| assert!(!client.text().contains(&state), "u{user} has {}", client.text()));
        }
    }
    let received = app.received.lock().unwrap().clone();
    assert_eq!(received.len(), sent);
    for Received { user, key, data } in received {
        assert!(data.as_ref().is_none_or(|data| *data == user), "a message of {user} as {data:?}");
        match keys {
            Keys::None => assert_eq!(key, None),
            Keys::Shared => assert!(key.is_none_or(|key| key == "everybody")),
            Keys::PerUser => assert!(key.is_none_or(|key| key == user)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Row 5 too: the publisher's hooks get the data of the request for which they are called.
    #[test]
    fn row_31_hooks_get_the_data_of_the_request_that_they_serve(
        keys in prop::sample::select(vec![Keys::None, Keys::Shared, Keys::PerUser]),
        steps in prop::collection::vec(any_step(), 1..30),
    ) {
        let runtime = runtime();
        runtime.block_on(run(keys, steps));
    }
}

#[tokio::test(start_paused = true)]
async fn row_31_session_name_without_a_limit_key_joins_no_session() {
    let app = UserApp::new(Keys::None);
    let endpoint = app.endpoint();
    let first = get("/?user=a&session=tab1&cursor=bogus").to(&endpoint).await;
    assert!(text(first).await.contains("state of a."));
    assert_eq!(endpoint.session_count(), 0, "a short poll is no session");
    let second = get("/?user=b&session=tab1&cursor=bogus").to(&endpoint).await;
    assert!(text(second).await.contains("state of b."));
    let held = TestClient::open(&endpoint, Transport::LongPoll, "/?user=a&session=tab1").await;
    let other = TestClient::open(&endpoint, Transport::LongPoll, "/?user=b&session=tab1").await;
    assert_eq!(endpoint.session_count(), 2, "each long poll is a session of its own");
    request("POST", "/?user=b&session=tab1").with("hello", &endpoint).await;
    assert_eq!(app.received.lock().unwrap()[0].key, None);
    held.disconnect().await;
    other.disconnect().await;
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn row_31_polls_of_a_shared_name_exclude_no_client() {
    for wait in ["", "&wait=50"] {
        let app = UserApp::new(Keys::Shared);
        let endpoint = app.endpoint();
        let mut others = Vec::new();
        for _ in 0..40 {
            others.push(TestClient::open(&endpoint, Transport::LongPoll, "/?user=b&session=tab1").await);
        }
        assert!(others.iter().all(|other| other.end().is_none()), "all are held");
        let owner = get(&format!("/?user=a&session=tab1&cursor=bogus{wait}")).to(&endpoint).await;
        assert_eq!(owner.status(), 200);
        assert!(text(owner).await.contains("state of a."));
    }
}

const FLOOD: usize = 5_000;

/// The flood of row 32 has a limit key, since a name without a key makes no session.
#[test]
fn row_32_idle_poll_sessions_are_bounded_and_evicted_oldest_first() {
    runtime().block_on(async {
        let app = App::with_limit_key();
        let endpoint = app.builder().max_sessions(100).max_idle_poll_sessions(32).build();
        // Two sessions of an honest client, between two polls.
        for name in ["a", "b"] {
            get(&format!("/?key=honest&session={name}")).to(&endpoint).await;
        }
        let honest = endpoint.sessions();
        for n in 0..FLOOD {
            assert_eq!(get(&format!("/?key=flood&session=n{n}")).to(&endpoint).await.status(), 200);
        }
        assert_eq!(endpoint.stats().sessions_in(SessionState::Idle), 32);
        let here = |id| endpoint.sessions().iter().any(|info| info.session.id() == id);
        assert!(honest.iter().all(|info| here(info.session.id())), "the flood's own runs gave way");
        let newest = endpoint.sessions().iter().filter_map(|info| info.session.name().map(str::to_owned)).max();
        assert!(newest.is_some());
        assert!(endpoint.sessions().iter().any(|info| info.session.name() == Some(&format!("n{}", FLOOD - 1))));
        // Each evicted session left once.
        assert_eq!(app.left().len(), 2 + FLOOD - 32);
        assert!(app.left().iter().all(|&(_, why)| why == SessionEnd::Silent));
    });
}

#[tokio::test(start_paused = true)]
async fn row_32_idle_poll_sessions_are_evicted_for_every_transport() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.builder().max_sessions(4).build();
        for n in 0..4 {
            get(&format!("/?key=flood&session=n{n}")).to(&endpoint).await;
        }
        let mut clients = Vec::new();
        for n in 0..4 {
            clients.push(TestClient::open(&endpoint, transport, &format!("/?key=client{n}")).await);
        }
        assert!(clients.iter().all(|client| client.end().is_none()), "{transport:?}: all are accepted");
        assert_eq!((endpoint.session_count(), endpoint.stats().sessions_in(SessionState::Idle)), (4, 0));
        let mut late = TestClient::open(&endpoint, transport, "/?key=late").await;
        let expected = if transport == Transport::Sse { "Ended" } else { "503" };
        assert_eq!(late.finish().await, expected, "{transport:?}: only idle runs give way");
    }
}

#[tokio::test(start_paused = true)]
async fn row_32_idle_poll_sessions_of_a_key_are_evicted_for_that_key_only() {
    let app = App::with_limit_key();
    let endpoint = app.builder().max_sessions_per_key(2).build();
    for name in ["a", "b", "c"] {
        for key in ["one", "two"] {
            assert_eq!(get(&format!("/?key={key}&session={name}")).to(&endpoint).await.status(), 200);
        }
    }
    let mut names: Vec<_> = endpoint
        .sessions()
        .iter()
        .map(|info| format!("{}/{}", info.session.key().unwrap(), info.session.name().unwrap()))
        .collect();
    names.sort();
    assert_eq!(names, ["one/b", "one/c", "two/b", "two/c"]);
    let stream = TestClient::open(&endpoint, Transport::Sse, "/?key=one").await;
    assert_eq!(stream.end(), None);
    assert_eq!(endpoint.session_count(), 4);
    // A session with a poll under way is not evicted.
    let held = TestClient::open(&endpoint, Transport::LongPoll, "/?key=one&session=c").await;
    assert_eq!(get("/?key=one&session=d").to(&endpoint).await.status(), 503);
    drop((stream, held));
    assert_eq!(app.session_events().iter().filter(|line| matches!(line, SessionEvent::Joined(_))).count(), 7);
}
