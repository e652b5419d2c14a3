//! Ten thousand polls that are answered at once cost one encoding of each event, and leave nothing behind.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tidings::Cursor;
use tokio::task::JoinSet;

use crate::support::http::{App, get, header, pass};

const CLIENTS: usize = 10_000;

/// The answers to a polls.
#[derive(Default)]
struct Answers {
    /// Every entity tag and body that there is.
    each: HashSet<(String, String)>,
    /// Addresses of each event in the answers. All answers are kept, so one address is one encoding or copy.
    places: HashMap<String, HashSet<usize>>,
    kept: Vec<Bytes>,
}

impl Answers {
    async fn of(mut polls: JoinSet<(String, Vec<Bytes>)>) -> Self {
        let mut answers = Self::default();
        while let Some(answer) = polls.join_next().await {
            let (tag, parts) = answer.unwrap();
            for part in &parts {
                let text = std::str::from_utf8(part).unwrap();
                for (at, _) in text.match_indices(r#"{"id":""#) {
                    let id = text[at + 7..].split('"').next().unwrap();
                    answers.places.entry(id.to_owned()).or_default().insert(part[at..].as_ptr().addr());
                }
            }
            answers.each.insert((tag, String::from_utf8(parts.concat()).unwrap()));
            answers.kept.extend(parts);
        }
        answers
    }

    /// In how many places events lie.
    fn places(&self) -> usize {
        self.places.values().map(HashSet::len).sum()
    }
}

/// A long poll from each of the cursors.
fn poll(endpoint: &tidings::Endpoint, cursors: impl Iterator<Item = Cursor>) -> JoinSet<(String, Vec<Bytes>)> {
    let mut polls = JoinSet::new();
    for cursor in cursors {
        let response = endpoint.handle(get(&format!("/?wait=25&cursor={cursor}")).body(String::new()).unwrap());
        polls.spawn(async move {
            let response = response.await;
            let (tag, mut parts) = (header(&response, "etag").to_owned(), Vec::new());
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                parts.push(frame.unwrap().into_data().unwrap());
            }
            (tag, parts)
        });
    }
    polls
}

#[tokio::test(start_paused = true)]
async fn held_polls_of_one_cursor_share_one_encoding() {
    let app = App::new();
    let endpoint = app.endpoint();
    app.publish("before");
    let polls = poll(&endpoint, std::iter::repeat_n(app.hub.cursor(), CLIENTS));
    pass(Duration::from_secs(1)).await;
    assert_eq!(endpoint.session_count(), CLIENTS);
    (0..3).for_each(|_| drop(app.publish("now")));
    let answers = Answers::of(polls).await;
    assert_eq!((answers.each.len(), answers.places.len(), answers.places()), (1, 3, 3));
    let (tag, body) = answers.each.iter().next().unwrap();
    assert_eq!((tag, body.matches("now").count()), (&format!("\"{}\"", app.hub.cursor()), 3));
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn returning_polls_of_one_cursor_share_one_encoding() {
    let app = App::new();
    let (endpoint, cursor) = (app.endpoint(), app.hub.cursor());
    (0..100).for_each(|_| drop(app.publish("missed")));
    let answers = Answers::of(poll(&endpoint, std::iter::repeat_n(cursor, CLIENTS))).await;
    assert_eq!((answers.each.len(), answers.places.len(), answers.places()), (1, 100, 100));
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn polls_of_ten_cursors_encode_each_event_at_most_ten_times() {
    const APART: usize = 10;
    // The small answer to each position is put together once.
    let once = APART * (APART + 1) / 2;
    // Those furthest behind come first, all mixed, those furthest behind come last.
    for (step, most) in [(1, once), (7, once), (APART - 1, APART * APART)] {
        let app = App::new();
        let endpoint = app.endpoint();
        (0..50).for_each(|_| drop(app.publish("before")));
        let mut cursors = Vec::new();
        for _ in 0..APART {
            cursors.push(app.hub.cursor());
            app.publish("missed");
        }
        let begin = if step == APART - 1 { step } else { 0 };
        let polls = (0..CLIENTS).map(|client| cursors[(begin + client * step) % APART]);
        let answers = Answers::of(poll(&endpoint, polls)).await;
        assert_eq!((answers.each.len(), answers.places.len()), (APART, APART));
        assert!(answers.places() <= most, "{}", answers.places());
        assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
    }
}
