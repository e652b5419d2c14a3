//! Events of refusals.

use tidings::{Endpoint, LocalHub, Rejection};
use tracing::Level;

use crate::capture::Capture;
use crate::client::{ask, get};

#[test]
fn refusal_is_one_event_with_its_cause_and_a_level_by_its_fault() {
    let capture = Capture::default();
    capture.run(async {
        let hub = LocalHub::new();
        let builder = Endpoint::builder(move |request: tidings::SubscribeRequest| {
            let subscribed = match request.path() {
                "/forbidden" => Err(Rejection::Forbidden),
                "/internal" => Err(Rejection::Internal("the database\nis gone".into())),
                _ => hub.subscribe(request.subscribe_to(["news"])).map_err(Rejection::from),
            };
            async { subscribed }
        });
        let events = builder.max_sessions(1).build();
        let mut statuses = Vec::new();
        for path in ["/?transport=fax&token=secret", "/forbidden?transport=sse", "/internal?transport=sse"] {
            statuses.push(ask(&events, get(path)).await.0);
        }
        let peer: std::net::SocketAddr = "192.0.2.7:51000".parse().unwrap();
        let page = get("/").extension(tidings::server::PeerAddr(peer)).header("origin", "https://evil.example");
        statuses.push(ask(&events, page).await.0);
        let client = events.handle(get("/?transport=sse").body(String::new()).unwrap()).await;
        statuses.push(ask(&events, get("/?transport=chunked")).await.0);
        drop(client);
        assert_eq!(statuses, [400, 403, 500, 403, 503]);
    });
    let refused: Vec<_> = capture.events().into_iter().filter(|event| event.target == "tidings::refusal").collect();
    let of = |name: &str| -> Vec<_> {
        refused.iter().map(|event| event.fields.get(name).map_or("-", |value| value.as_str())).collect()
    };
    assert_eq!(of("cause"), ["request", "publisher", "publisher", "origin", "busy"]);
    assert_eq!(of("status"), ["400", "403", "500", "403", "503"]);
    assert_eq!(of("path"), ["/", "/forbidden", "/internal", "/", "/"]);
    assert_eq!(of("peer"), ["-", "-", "-", "192.0.2.7:51000", "-"]);
    assert_eq!(of("transport")[1..3], ["sse", "sse"]);
    assert_eq!(of("text")[2], "the database\\nis gone");
    let levels: Vec<_> = refused.iter().map(|event| event.level).collect();
    assert_eq!(levels, [Level::INFO, Level::INFO, Level::ERROR, Level::INFO, Level::WARN]);
    let shown = format!("{refused:?}");
    assert!(!shown.contains("secret"), "the query string is in an event: {shown}");
}
