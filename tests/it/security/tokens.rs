//! Row 22: no text of the crate contains a token of a query string.

use std::sync::{Arc, Mutex};

use tidings::subscriber::{BoxSubscriber, SubscriberExt};
use tidings::{Accepted, Endpoint, Event, LocalHub, Message, Publisher, Rejection, Session, SubscribeRequest};

use super::site::Site;
use crate::support::http::App;

const SECRET: &str = "qZx7secret";

/// Texts that a program might log.
#[derive(Clone, Default)]
struct Texts(Arc<Mutex<Vec<String>>>);

impl Texts {
    fn add(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    /// Adds texts, none of which may contain the secret.
    fn check(&self, of: &str) -> usize {
        let texts = std::mem::take(&mut *self.0.lock().unwrap());
        texts.iter().for_each(|text| assert!(!text.contains(SECRET), "{of}: {text}"));
        texts.len()
    }
}

/// A publisher that logs all its arguments.
struct Logs {
    hub: LocalHub,
    texts: Texts,
}

impl Publisher for Logs {
    type Subscriber = BoxSubscriber;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        // Read here as an application would.
        assert!(request.query("token").is_none_or(|token| token.starts_with(SECRET)));
        self.texts.add(format!("{request:?}"));
        None
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        match request.path() {
            "/forbidden" => Err(Rejection::Forbidden),
            "/invalid" => Err(Rejection::invalid("no such room")),
            "/internal" => Err(Rejection::internal("database is down")),
            "/panic" => panic!("on request"),
            _ => Ok(self.hub.subscribe(request.subscribe_to(["news"]))?.boxed().into()),
        }
    }

    async fn receive(&self, request: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        self.texts.add(format!("{request:?} {message:?}"));
        Err(Rejection::Forbidden)
    }

    fn joined(&self, session: &Session) {
        self.texts.add(format!("{session:?}"));
    }

    fn left(&self, session: &Session, why: tidings::SessionEnd) {
        self.texts.add(format!("{session:?} {why:?}"));
    }
}

#[tokio::test]
async fn row_22_token_in_a_query_is_in_no_text_that_the_crate_makes() {
    let texts = Texts::default();
    let book = texts.clone();
    let publisher = Logs { hub: LocalHub::new(), texts: texts.clone() };
    let endpoint = Endpoint::builder(publisher)
        .on_refusal(move |refused| {
            book.add(format!("{refused} {refused:?} {} {:?}", refused.text(), refused.path()));
        })
        .build();
    let site = Site::new(App::new(), endpoint.clone()).await;
    let (program, page) = ([("host", "example.com")], [("host", "example.com"), ("origin", "https://example.com")]);
    let foreign = [("host", "example.com"), ("origin", "https://evil.example")];
    let mut seen = 0;
    for path in ["/events", "/forbidden", "/invalid", "/internal", "/panic"] {
        for query in [
            format!("token={SECRET}"),
            format!("token={SECRET}&topic=%00"),
            format!("token={SECRET}&wait=x"),
            format!("token={SECRET}&x=%FF"),
            format!("token={SECRET}%FF"),
            // The target that a parameter is read from contains it.
            format!("topic={SECRET}%00"),
            format!("topic={SECRET}*"),
            format!("transport={SECRET}"),
            format!("wait={SECRET}"),
            format!("cursor={SECRET}"),
            format!("session={SECRET}%20"),
            format!("{SECRET}=%FF"),
        ] {
            for headers in [&program[..], &page, &foreign] {
                let mut answers = Vec::new();
                for (method, way) in [
                    ("GET", "transport=short-poll"),
                    ("GET", "transport=long-poll&wait=0"),
                    ("GET", "transport=chunked"),
                    ("GET", "transport=sse"),
                    ("HEAD", ""),
                    ("POST", ""),
                    ("PUT", ""),
                    ("OPTIONS", ""),
                ] {
                    answers.push(site.send(method, &format!("{path}?{query}&{way}"), headers).await);
                }
                answers.push(site.send_http2("GET", &format!("{path}?{query}"), &headers[1..]).await);
                answers.push(site.send_upgrade(&format!("{path}?{query}"), headers).await);
                answers.extend(site.send_connect(&format!("{path}?{query}"), headers).await);
                answers.iter().for_each(|answer| texts.add(format!("{answer:?}")));
                texts.add(format!("{endpoint:?} {:?} {:?}", endpoint.stats(), endpoint.sessions()));
                seen += texts.check(&format!("{path}?{query}"));
            }
        }
    }
    assert!(seen > 4_000, "{seen} texts");
}

#[test]
fn row_22_request_that_a_handler_reads_shows_no_query() {
    let parts = http::Request::builder().uri(format!("/events?token={SECRET}&user={SECRET}")).body(()).unwrap();
    let request = SubscribeRequest::read(&parts.into_parts().0).unwrap();
    assert_eq!(request.query("token").as_deref(), Some(SECRET));
    assert!(!format!("{request:?} {request:#?}").contains(SECRET));
}
