//! Row 4: no published text and no text of a client turns one event into two (WHATWG HTML §9.2).

use proptest::prelude::*;
use tidings::{Event, EventError, EventKind, LocalHub, Topic, TopicError};

use crate::support::any_event;
use crate::support::http::{App, To, get, piece, runtime, text};
use crate::support::{SseEvent, SseReader};

proptest! {
    /// For any published events, an EventSource gets each as one event, with its name, text and cursor.
    #[test]
    fn row_04_event_is_read_as_one_event(
        events in prop::collection::vec(any_event(), 1..8),
        cuts in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let (app, news) = (App::new(), Topic::new("news").unwrap());
        let expected: Vec<_> = events.iter().map(|event| {
            let cursor = app.hub.publish_now(&news, event.clone()).unwrap().cursor().unwrap();
            let name = event.name().unwrap_or("message").to_owned();
            SseEvent { name, data: data(event), id: cursor.to_string() }
        }).collect();
        let before = expected[0].id.replace(".a1", ".0");
        let wire = runtime().block_on(async {
            let mut body = get(&format!("/?transport=sse&cursor={before}")).to(&app.endpoint()).await.into_body();
            app.hub.close();
            let mut wire = String::new();
            while let Some(piece) = piece(&mut body).await {
                wire += &piece.unwrap();
            }
            wire
        });
        prop_assert!(wire.starts_with(":\n"), "so that no text can begin with a byte order mark");
        let mut reader = SseReader::default();
        let (mut left, mut cuts) = (wire.as_bytes(), cuts.iter().cycle());
        while !left.is_empty() {
            let (cut, rest) = left.split_at(left.len().min(*cuts.next().unwrap()));
            reader.read(cut);
            left = rest;
        }
        let (hello, read) = reader.events.split_first().unwrap();
        prop_assert_eq!((&*hello.name, &*hello.id), ("tidings.hello", &*before));
        prop_assert_eq!(read, expected);
        prop_assert_eq!(reader.retries.len(), 1, "no event sets a retry time");
    }

    /// A name or a key is one line, or it is refused.
    #[test]
    fn row_04_label_has_no_control_characters(label in any_label()) {
        let refused = match &*label {
            "" => Some(EventError::EmptyLabel),
            long if long.len() > 128 => Some(EventError::LongLabel { len: long.len() }),
            bad if bad.chars().any(char::is_control) => Some(EventError::Control),
            _ => None,
        };
        prop_assert_eq!(Event::text("").with_key(&label).err(), refused.clone());
        let reserved = label.starts_with("tidings.").then_some(EventError::ReservedName);
        prop_assert_eq!(Event::text("").with_name(&label).err(), refused.or(reserved));
    }

    /// A topic name is part of event objects, and is one line too.
    #[test]
    fn row_04_topic_has_no_control_characters(name in any_label()) {
        let refused = matches!(Topic::new(&name), Err(TopicError::Control));
        let control = name.chars().any(char::is_control) && name.len() <= 255;
        prop_assert_eq!(refused, control);
    }

    /// A client's cursor is sent back as a cursor, or not at all.
    #[test]
    fn row_04_cursor_of_a_client_is_sent_back_only_if_valid(cursor in any_label()) {
        let target: String = form_urlencoded::Serializer::new("/busy?transport=sse&".to_owned())
            .append_pair("cursor", &cursor).finish();
        let block = runtime().block_on(async {
            piece(&mut get(&target).to(&App::new().endpoint()).await.into_body()).await.unwrap().unwrap()
        });
        let mut reader = SseReader::default();
        reader.read(block.as_bytes());
        let [event] = &reader.events[..] else { panic!("not one event: {block:?}") };
        prop_assert_eq!((&*event.name, &*event.data), ("tidings.retry", r#"{"retry_ms":2500}"#));
        let kept = cursor.parse::<tidings::Cursor>().map_or(String::new(), |cursor| cursor.to_string());
        prop_assert_eq!(&event.id, &kept);
    }
}

/// Injections of published advisories: each as a name, a text and an id.
#[tokio::test]
async fn row_04_known_injections_are_read_as_text() {
    for injected in [
        "a\nevent: admin",
        "a\rdata: x",
        "a\r\n\r\ndata: x",
        "a\n\nid: 9\ndata: x",
        "\nretry: 1",
        "\0",
        "\u{feff}data: x",
        "a\u{2028}data: x",
        "a\u{85}data: x",
        "a\u{b}data: x",
    ] {
        let (hub, news) = (LocalHub::builder().build(), Topic::new("news").unwrap());
        let control = injected.chars().any(char::is_control);
        assert_eq!(Event::text("x").with_name(injected).is_err(), control, "{injected:?}");
        hub.publish_now(&news, injected).unwrap();
        let subscriber = hub.subscribe(tidings::Subscribe::topics(["news"]).start(tidings::Start::Oldest)).unwrap();
        hub.close();
        let request = get("/?transport=sse").body(String::new()).unwrap();
        let wire = text(App::new().endpoint().respond(request, subscriber).await).await;
        let mut reader = SseReader::default();
        reader.read(wire.as_bytes());
        let lines = injected.replace("\r\n", "\n").replace('\r', "\n");
        let read: Vec<_> = reader.events.iter().skip(1).map(|event| (&*event.name, &*event.data)).collect();
        assert_eq!(read, [("message", &*lines)], "{injected:?}");
    }
}

fn any_label() -> impl Strategy<Value = String> {
    let line =
        prop::sample::select(vec!["\r", "\n", "\r\n", "\0", "\u{85}", "a", ":", "1.a2", "é", "tidings.", "\u{feff}"]);
    prop_oneof![
        any::<String>(),
        "[0-9a-z]{1,3}\\.[0-9]{1,4}",
        prop::collection::vec(line, 0..6).prop_map(|it| it.concat()),
        "a{120,260}"
    ]
}

fn data(event: &Event) -> String {
    use base64::Engine as _;
    match event.kind() {
        EventKind::Binary => base64::engine::general_purpose::STANDARD.encode(event.payload()),
        _ => event.as_str().unwrap().replace("\r\n", "\n").replace('\r', "\n"),
    }
}
