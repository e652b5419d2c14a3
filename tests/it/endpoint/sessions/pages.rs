use crate::support::http::{App, TestClient, To, get};
use tidings::{Endpoint, SessionId, Transport};

/// Returns the ids of all sessions, page by page.
fn walk(endpoint: &Endpoint, limit: usize) -> Vec<u64> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = endpoint.sessions_after(after, limit);
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return ids };
        after = Some(last.session.id());
        ids.extend(page.iter().map(|info| info.session.id().get()));
    }
}

/// More sessions than the table looks up under one lock.
const MANY: u64 = 2_500;

#[tokio::test(start_paused = true)]
async fn sessions_by_pages_are_each_listed_once_in_the_order_of_their_ids() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    assert_eq!((walk(&endpoint, 7), endpoint.sessions_after(Some(SessionId::from(3)), 1).len()), (vec![], 0));
    let mut bodies = Vec::new();
    for _ in 0..MANY {
        bodies.push(get("/?transport=sse").to(&endpoint).await);
    }
    let all: Vec<_> = (1..=MANY).collect();
    for limit in [1, 7, 1_000, 1_024, 1_025, 2_499, 2_500, 2_501, usize::MAX] {
        assert_eq!(walk(&endpoint, limit), all, "by {limit}");
    }
    assert_eq!(endpoint.sessions().iter().map(|info| info.session.id().get()).collect::<Vec<_>>(), all);
    assert!(endpoint.sessions_after(None, 0).is_empty());
    // After sessions in between have left, pages are still full.
    let mut number = 0;
    bodies.retain(|_| {
        number += 1;
        number % 3 == 0
    });
    let left: Vec<_> = all.into_iter().filter(|id| id % 3 == 0).collect();
    assert_eq!(walk(&endpoint, 10), left);
    let page = endpoint.sessions_after(Some(SessionId::from(5)), 3);
    assert_eq!(page.iter().map(|info| info.session.id().get()).collect::<Vec<_>>(), [6, 9, 12]);
}

#[tokio::test(start_paused = true)]
async fn session_is_found_by_an_id_that_was_read_from_text() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    for &transport in Transport::ALL {
        let client = TestClient::open(&endpoint, transport, "/?session=tab").await;
        let id = endpoint.sessions().last().unwrap().session.id();
        let read: SessionId = id.to_string().parse().unwrap();
        let info = endpoint.session(read).unwrap();
        assert_eq!((info.session.id(), info.session.name(), read), (id, Some("tab"), SessionId::from(id.get())));
        assert!(endpoint.session(SessionId::from(id.get() + 1)).is_none());
        assert!(endpoint.disconnect(read) || transport == Transport::ShortPoll);
        client.disconnect().await;
    }
    for wrong in ["", "x", "-1", "1.0", "18446744073709551616"] {
        assert!(wrong.parse::<SessionId>().is_err(), "{wrong}");
    }
}
