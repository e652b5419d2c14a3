use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use tidings::stats::{SessionInfo, SessionState};
use tidings::{Endpoint, SessionEnd, SessionId, Topic, Transport};

use crate::support::http::{App, SessionEvent, TestClient, pass, runtime, settle};

const PER_KEY: usize = 4;
const TOTAL: usize = 9;

#[derive(Debug, Clone)]
enum Step {
    Open { transport: usize, topic: u8, key: Option<u8>, name: Option<u8>, panics: bool, lifetime: Option<u16> },
    Leave(usize),
    Publish { panic: bool },
    Disconnect(usize),
    Revoke(usize),
    RevokeKey(u8),
    Refused(u8),
    Pass(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    let come = (0..5_usize, 0..3_u8, prop::option::of(0..2_u8), prop::option::of(0..3_u8), prop::bool::weighted(0.1));
    let come = (come, prop::option::weighted(0.15, 50..4_000_u16)).prop_map(
        |((transport, topic, key, name, panics), lifetime)| Step::Open {
            transport,
            topic,
            key,
            name,
            panics,
            lifetime,
        },
    );
    prop_oneof![
        6 => come,
        2 => any::<usize>().prop_map(Step::Leave),
        2 => prop::bool::weighted(0.2).prop_map(|panic| Step::Publish { panic }),
        1 => any::<usize>().prop_map(Step::Disconnect),
        1 => any::<usize>().prop_map(Step::Revoke),
        1 => (0..2_u8).prop_map(Step::RevokeKey),
        1 => (0..3_u8).prop_map(Step::Refused),
        3 => (0..3_000_u16).prop_map(Step::Pass),
    ]
}

/// Ends that the test requested, by session.
#[derive(Default)]
struct RequestedEnds(HashMap<SessionId, SessionEnd>);

fn check(app: &App, endpoint: &Endpoint) {
    let (mut here, mut reasons, mut joined) = (BTreeMap::new(), BTreeMap::new(), 0);
    for line in app.session_events() {
        match line {
            SessionEvent::Joined(id) => {
                joined += 1;
                assert!(here.insert(id, true).is_none(), "{id} joined twice");
            }
            SessionEvent::Left(id, why) => {
                assert_eq!(here.insert(id, false), Some(true), "{id} left twice, or was never here");
                *reasons.entry(why as usize).or_insert(0) += 1;
            }
        }
    }
    let live = here.values().filter(|&&live| live).count();
    let (stats, infos) = (endpoint.stats(), endpoint.sessions());
    assert_eq!((endpoint.session_count(), infos.len(), stats.joined), (live, live, joined));
    assert_eq!(stats.left() + live as u64, joined);
    for &why in SessionEnd::ALL {
        assert_eq!(stats.left_for(why), reasons.get(&(why as usize)).copied().unwrap_or(0), "{why:?}");
    }
    for &transport in Transport::ALL {
        let count = infos.iter().filter(|info| info.session.transport() == transport).count();
        assert_eq!(stats.sessions_of(transport), count, "{transport:?}");
    }
    for &state in SessionState::ALL {
        assert_eq!(stats.sessions_in(state), infos.iter().filter(|info| info.state == state).count(), "{state:?}");
    }
    assert!(live <= TOTAL);
    for topic in ["news", "news/a", "news/b"].map(|topic| Topic::new(topic).unwrap()) {
        let follows = |info: &&SessionInfo| info.session.topics().iter().any(|pattern| pattern.matches(&topic));
        let on_topic: Vec<_> = endpoint.sessions_on(&topic).iter().map(|info| info.session.id()).collect();
        let expected: Vec<_> = infos.iter().filter(follows).map(|info| info.session.id()).collect();
        assert_eq!(on_topic, expected, "{topic}");
    }
    for key in ["0", "1"] {
        let of_key: Vec<_> = infos.iter().filter(|info| info.session.key() == Some(key)).collect();
        assert!(of_key.len() <= PER_KEY);
        for name in ["0", "1", "2"] {
            let runs = of_key.iter().filter(|info| {
                let polls = matches!(info.session.transport(), Transport::ShortPoll | Transport::LongPoll);
                polls && info.session.name() == Some(name) && info.state != SessionState::Leaving
            });
            assert!(runs.count() <= 1, "two runs of one name");
        }
    }
}

async fn run(steps: Vec<Step>) {
    let app = App::with_limit_key();
    let builder = app.builder().max_sessions(TOTAL).max_sessions_per_key(PER_KEY);
    let endpoint = builder.poll_session_timeout(Duration::from_secs(4)).build();
    let (mut clients, mut ends) = (Vec::new(), RequestedEnds::default());
    let any = |which: usize| {
        let mut ids: Vec<_> = endpoint.sessions().iter().map(|info| info.session.id()).collect();
        ids.sort_unstable();
        (!ids.is_empty()).then(|| ids[which % ids.len()])
    };
    for step in steps {
        match step {
            Step::Open { transport, topic, key, name, panics, lifetime } => {
                let mut target = format!("/?{}", ["topic=news", "topic=news/a", "pattern=news/*"][usize::from(topic)]);
                key.iter().for_each(|key| target += &format!("&key={key}"));
                name.iter().for_each(|name| target += &format!("&session={name}"));
                lifetime.iter().for_each(|lifetime| target += &format!("&lifetime={lifetime}"));
                target += if panics { "&panic=1" } else { "" };
                clients.push(TestClient::open(&endpoint, Transport::ALL[transport], &target).await);
            }
            Step::Leave(which) if !clients.is_empty() => {
                let which = which % clients.len();
                clients.swap_remove(which).disconnect().await;
            }
            Step::Publish { panic } => drop(app.publish(if panic { "panic" } else { "one" })),
            Step::Disconnect(which) => {
                if let Some(id) = any(which).filter(|&id| endpoint.disconnect(id)) {
                    ends.0.insert(id, SessionEnd::Disconnected);
                }
            }
            Step::Revoke(which) => {
                if let Some(id) = any(which).filter(|&id| endpoint.revoke(id)) {
                    ends.0.insert(id, SessionEnd::Revoked);
                }
            }
            Step::RevokeKey(key) => {
                let key = key.to_string();
                endpoint.revoke_where(|session| session.key() == Some(&key));
            }
            Step::Refused(name) => {
                let before = app.session_events();
                TestClient::open(&endpoint, Transport::ShortPoll, &format!("/forbidden?session={name}")).await;
                assert_eq!(app.session_events(), before);
            }
            Step::Pass(time) => pass(Duration::from_millis(time.into())).await,
            Step::Leave(_) => {}
        }
        settle().await;
        check(&app, &endpoint);
    }
    endpoint.drain().await;
    settle().await;
    check(&app, &endpoint);
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
    let left: HashMap<_, _> = app.left().into_iter().collect();
    for (id, why) in ends.0 {
        let left = left[&id.get()];
        assert!(left == why || left == SessionEnd::Revoked, "{id} was {why:?} and is {left:?}");
    }
}

proptest! {
    #![proptest_config(crate::support::cases(64))]

    #[test]
    fn p18_each_joined_session_leaves_once_and_counts_match(steps in prop::collection::vec(any_step(), 1..40)) {
        let runtime = runtime();
        runtime.block_on(run(steps));
    }
}
