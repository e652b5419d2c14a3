//! Runs behind an endpoint, over every transport.

use std::time::Duration;

use http_body_util::BodyExt;
use tidings::runs::{RunError, Runs};
use tidings::{Endpoint, LocalHub, Rejection, SubscribeRequest, Transport};

use super::script::{Script, Step};
use crate::support::http::{TestClient, To, get, header, request, runtime, settle, text};
use crate::support::topic;

const STREAMS: [Transport; 3] = [Transport::Chunked, Transport::Sse, Transport::WebSocket];
const POLLS: [Transport; 2] = [Transport::ShortPoll, Transport::LongPoll];

/// Returns runs, and an endpoint at which each client reads the run that it names.
fn world() -> (Runs, Endpoint) {
    let runs = Runs::new(&LocalHub::new());
    let read = runs.clone();
    let events = Endpoint::new(move |request: SubscribeRequest| {
        let reader = read.subscribe(&request.topics()[0], &request);
        async { Ok(reader?) }
    });
    (runs, events)
}

/// Returns how often each of these texts is in `received`, after a check of their order.
fn counts(received: &str, texts: &[&str]) -> Vec<usize> {
    let places: Vec<_> = texts.iter().filter_map(|text| received.find(text)).collect();
    assert!(places.is_sorted(), "{received}");
    texts.iter().map(|text| received.matches(text).count()).collect()
}

#[test]
fn stream_gets_the_run_from_its_first_token_and_its_end_on_each_transport() {
    for transport in STREAMS {
        runtime().block_on(async {
            let ((runs, events), script) = (world(), Script::default());
            ["alpha", "beta"].into_iter().for_each(|token| script.say(token));
            runs.start("runs/7", || script.stream()).unwrap();
            settle().await;
            let mut client = TestClient::open(&events, transport, "/?topic=runs/7").await;
            script.say("gamma");
            script.push(Step::End);
            settle().await;
            let end = client.finish().await;
            assert_eq!(counts(&client.text(), &["alpha", "beta", "gamma"]), [1, 1, 1], "{transport:?}");
            match transport {
                Transport::WebSocket => assert_eq!(end, "1000 finished"),
                _ => {
                    let last = r#""end":{"topic":"runs/7","reason":"done"}"#;
                    assert_eq!((end.as_str(), client.text().matches(last).count()), ("200", 1), "{}", client.text());
                }
            }
            assert_eq!(events.session_count(), 0);
        });
    }
}

#[test]
fn client_with_an_unreadable_cursor_gets_a_gap_and_the_whole_run_on_each_transport_with_gaps() {
    for transport in [Transport::Chunked, Transport::Sse, Transport::ShortPoll, Transport::LongPoll] {
        runtime().block_on(async {
            let ((runs, events), script) = (world(), Script::of(["alpha", "beta"]));
            runs.start("runs/7", || script.stream()).unwrap();
            settle().await;
            let target = format!("/?topic=runs/7&cursor=lost&transport={}", transport.as_str());
            let received = text(get(&target).to(&events).await).await;
            let expected = [r#""gap":{"reason":"epoch","missed":null"#, "alpha", "beta", r#""reason":"done""#];
            assert_eq!(counts(&received, &expected), [1; 4], "{transport:?}: {received}");
        });
    }
}

#[test]
fn poll_gets_the_run_from_its_first_token_then_after_its_cursor_then_the_end() {
    for transport in POLLS {
        runtime().block_on(async {
            let ((runs, events), script) = (world(), Script::default());
            script.say("alpha");
            runs.start("runs/7", || script.stream()).unwrap();
            settle().await;
            let target = format!("/?topic=runs/7&transport={}", transport.as_str());
            let first = get(&target).to(&events).await;
            let cursor = header(&first, "etag").to_owned();
            assert_eq!(counts(&text(first).await, &["alpha"]), [1]);
            script.say("beta");
            script.push(Step::End);
            settle().await;
            let second = get(&target).header("if-none-match", &cursor).to(&events).await;
            let cursor = header(&second, "etag").to_owned();
            let reply = text(second).await;
            assert_eq!(counts(&reply, &["alpha", "beta", r#""reason":"done""#, r#""end":true"#]), [0, 1, 1, 1]);
            // A poll that comes back gets the end: a long poll after a second, in case its client ignores the end.
            let begin = tokio::time::Instant::now();
            let third = get(&format!("{target}&wait=50")).header("if-none-match", &cursor).to(&events).await;
            assert!(text(third).await.contains(r#""end":true"#));
            let seconds = if transport == Transport::LongPoll { 1 } else { 0 };
            assert_eq!(begin.elapsed().as_secs(), seconds);
        });
    }
}

#[test]
fn unknown_run_is_gone_on_each_transport() {
    runtime().block_on(async {
        let (_runs, events) = world();
        for transport in Transport::ALL {
            let mut client = TestClient::open(&events, *transport, "/?topic=runs/7&start=oldest").await;
            assert_eq!(client.finish().await, "410", "{transport:?}");
        }
    });
}

#[test]
fn event_source_that_comes_back_after_the_end_gets_204() {
    runtime().block_on(async {
        let ((runs, events), script) = (world(), Script::of(["alpha"]));
        runs.start("runs/7", || script.stream()).unwrap();
        settle().await;
        let sse = || get("/?topic=runs/7").header("accept", "text/event-stream");
        let read = text(sse().to(&events).await).await;
        let ids: Vec<_> = read.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
        assert_eq!(sse().header("last-event-id", ids[ids.len() - 1]).to(&events).await.status(), 204);
        // One that was cut before the end gets it.
        let again = text(sse().header("last-event-id", ids[ids.len() - 2]).to(&events).await).await;
        assert_eq!(counts(&again, &["alpha", "event: tidings.end"]), [0, 1], "{again}");
        // One that was cut after the hello gets everything.
        let again = text(sse().header("last-event-id", ids[0]).to(&events).await).await;
        assert_eq!(counts(&again, &["alpha", "event: tidings.end"]), [1, 1], "{again}");
    });
}

#[test]
fn explicit_start_of_a_client_beats_the_first_token() {
    runtime().block_on(async {
        let ((runs, events), script) = (world(), Script::of(["alpha", "beta", "gamma"]));
        runs.start("runs/7", || script.stream()).unwrap();
        settle().await;
        let target = "/?topic=runs/7&transport=chunked";
        let last = text(get(&format!("{target}&last=2")).to(&events).await).await;
        assert_eq!(counts(&last, &["alpha", "beta", "gamma"]), [0, 1, 1]);
        let oldest = text(get(&format!("{target}&start=oldest")).to(&events).await).await;
        assert_eq!(counts(&oldest, &["alpha", "beta", "gamma"]), [1, 1, 1]);
    });
}

#[test]
fn text_of_an_error_or_a_panic_reaches_no_client() {
    runtime().block_on(async {
        let (runs, events) = world();
        for step in [Step::Error("the password is hunter2"), Step::Panic("the password is hunter2")] {
            let script = Script::default();
            script.say("alpha");
            script.push(step);
            let run = runs.start(format!("runs/{}", runs.list().len()), || script.stream()).unwrap();
            settle().await;
            for transport in STREAMS.into_iter().chain(POLLS) {
                let mut client =
                    TestClient::open(&events, transport, &format!("/?topic={}&start=oldest", run.topic())).await;
                client.finish().await;
                let received = client.text();
                assert!(received.contains("alpha") && !received.contains("hunter2"), "{transport:?}: {received}");
                assert_eq!(received.contains("failed"), transport != Transport::WebSocket, "{transport:?}: {received}");
            }
        }
    });
}

#[test]
fn post_starts_a_run_and_a_repeated_post_with_its_cursor_reads_on() {
    runtime().block_on(async {
        let (runs, script) = (Runs::new(&LocalHub::new()), Script::default());
        let events = Endpoint::new(());
        let post = |cursor: Option<&str>| {
            let mut builder = request("POST", "/").header("accept", "text/event-stream");
            if let Some(cursor) = cursor {
                builder = builder.header("last-event-id", cursor);
            }
            let (parts, ()) = builder.body(()).unwrap().into_parts();
            events.check(&parts).unwrap();
            let run = runs.start("runs/7", || script.stream()).unwrap();
            let reader = run.subscribe(&SubscribeRequest::read(&parts).unwrap()).unwrap();
            (run.is_new(), events.respond(parts, reader))
        };
        let (is_new, response) = post(None);
        assert!(is_new);
        let mut body = response.await.into_body();
        script.say("alpha");
        let mut read = String::new();
        while !read.contains("alpha") {
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            read.push_str(std::str::from_utf8(&frame).unwrap());
        }
        drop(body);
        script.say("beta");
        script.push(Step::End);
        settle().await;
        let cursor = read.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap();
        let (is_new, response) = post(Some(cursor));
        assert!(!is_new);
        assert_eq!(counts(&text(response.await).await, &["alpha", "beta", "tidings.end"]), [0, 1, 1]);
        assert_eq!(script.opened(), 1);
    });
}

#[test]
fn drain_of_an_endpoint_waits_for_the_runs_and_its_clients_get_their_ends() {
    for finishes in [true, false] {
        runtime().block_on(async {
            let ((runs, events), script) = (world(), Script::default());
            runs.start("runs/7", || script.stream()).unwrap();
            let mut client = TestClient::open(&events, Transport::Sse, "/?topic=runs/7").await;
            let drained = tokio::spawn(events.drain_on(runs.drain_on(std::future::ready(()))));
            tokio::time::advance(Duration::from_secs(9)).await;
            script.say("alpha");
            settle().await;
            assert_eq!(events.session_count(), 1, "the session goes on while the run does");
            assert_eq!(runs.start("runs/8", || script.stream()).unwrap_err(), RunError::Draining);
            // A reader whose connection breaks gets the rest.
            let mut second = TestClient::open(&events, Transport::Chunked, "/?topic=runs/7").await;
            if finishes {
                script.push(Step::End);
                settle().await;
            }
            drained.await.unwrap();
            let reason = if finishes { r#""reason":"done""# } else { r#""reason":"failed""# };
            for client in [&mut client, &mut second] {
                client.finish().await;
                assert_eq!(counts(&client.text(), &["alpha", reason]), [1, 1], "{}", client.text());
            }
            assert_eq!(events.session_count(), 0);
        });
    }
}

#[test]
fn errors_of_runs_become_rejections() {
    let rejections = [
        (RunError::Busy { limit: 1 }, "busy"),
        (RunError::Draining, "busy"),
        (RunError::Ended(topic("runs/7")), "busy"),
        (RunError::Gone(topic("runs/7")), "gone"),
        (RunError::NoSpawner, "internal"),
        (RunError::Topic(tidings::TopicError::Empty), "invalid"),
        (RunError::Subscribe(tidings::SubscribeError::Closed), "busy"),
    ];
    for (error, code) in rejections {
        assert_eq!(Rejection::from(error.clone()).code(), code, "{error}");
    }
}
