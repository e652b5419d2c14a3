//! Throttled sessions under random publications, on every transport and in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tidings::{
    Accepted, EndReason, Endpoint, Event, LocalHub, Overflow, Publisher, Rejection, Retention, SubscribeRequest, Topic,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::http::{App, To, get, pass, runtime, serve_pipe, text, upgrade_request};

/// One tick of the timer wheel and one of tokio's timer.
const SLACK: Duration = Duration::from_millis(6);

/// Publication after a pause.
#[derive(Debug, Clone)]
struct Publication {
    pause: u64,
    topic: usize,
    key: u8,
    len: usize,
}

/// Event that a client got: its number, and the time since the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Got {
    number: usize,
    at: Duration,
}

/// The clients follow all topics but the last.
const TOPICS: [&str; 3] = ["news", "sport", "other"];
const FOLLOWED: usize = 2;

fn publications() -> impl Strategy<Value = Vec<Publication>> {
    let pause = prop_oneof![3 => Just(0_u64), 3 => 0..50_u64, 2 => 0..3_000_u64];
    let publication = (pause, 0..TOPICS.len(), 0..3_u8, prop_oneof![4 => Just(0_usize), 1 => Just(40_000_usize)]);
    let publication = publication.prop_map(|(pause, topic, key, len)| Publication { pause, topic, key, len });
    prop::collection::vec(publication, 1..40)
}

/// Returns the numbers in a text, each written as `<number>`.
fn numbers(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.split('<').skip(1).filter_map(|rest| rest.split_once('>')?.0.parse().ok())
}

/// Publishes each event at its time. Returns the times.
async fn publish(hub: LocalHub, publications: Vec<Publication>, begin: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    for (number, Publication { pause, topic, key, len }) in publications.into_iter().enumerate() {
        pass(Duration::from_millis(pause)).await;
        let event = Event::text(format!("<{number}>{}", "x".repeat(len))).with_key(&format!("k{key}")).unwrap();
        hub.publish_now(TOPICS[topic], event).unwrap();
        times.push(begin.elapsed());
    }
    times
}

/// Reads a stream of any transport to its end, which is the end of all topics.
fn read_stream(endpoint: &Endpoint, target: &str, head: &str, begin: Instant) -> JoinHandle<(Vec<Got>, Duration)> {
    let (mut client, head) = (serve_pipe(endpoint, 1 << 20), head.replace("TARGET", target));
    tokio::spawn(async move {
        client.write_all(head.as_bytes()).await.unwrap();
        let (mut got, mut read, mut done) = (Vec::new(), Vec::new(), 0);
        while client.read_buf(&mut read).await.unwrap_or(0) > 0 {
            let text = String::from_utf8_lossy(&read).into_owned();
            let all: Vec<_> = numbers(&text).collect();
            got.extend(all[done..].iter().map(|&number| Got { number, at: begin.elapsed() }));
            done = all.len();
            // The end of chunked transfer coding, or a Close frame that the client answers.
            if text.ends_with("0\r\n\r\n") {
                break;
            }
            if text.contains("finished") {
                drop(client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await);
            }
        }
        (got, begin.elapsed())
    })
}

/// Polls until all topics have ended.
fn poll(endpoint: &Endpoint, target: String, cursor: String, begin: Instant) -> JoinHandle<(Vec<Got>, Duration)> {
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        let (mut got, mut cursor) = (Vec::new(), cursor);
        loop {
            let reply = text(get(&format!("{target}&wait=20&cursor={cursor}")).to(&endpoint).await).await;
            got.extend(numbers(&reply).map(|number| Got { number, at: begin.elapsed() }));
            let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
            reply["cursor"].as_str().unwrap().clone_into(&mut cursor);
            if reply["end"] == true {
                return (got, begin.elapsed());
            }
        }
    })
}

/// Checks what a client got of these publications.
fn check(
    publications: &[Publication],
    times: &[Duration],
    got: &[Got],
    interval: Duration,
    is_latest: bool,
    is_poll: bool,
) -> Result<(), TestCaseError> {
    let end = *times.last().unwrap();
    let numbers: Vec<_> = got.iter().map(|got| got.number).collect();
    match is_latest {
        false => {
            let followed = publications.iter().enumerate().filter(|(_, one)| one.topic < FOLLOWED);
            prop_assert_eq!(&numbers, &followed.map(|(number, _)| number).collect::<Vec<_>>());
        }
        true => {
            prop_assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", numbers);
            // The newest event of each key arrives.
            let mut newest = BTreeMap::new();
            for (at, one) in publications.iter().enumerate().filter(|(_, one)| one.topic < FOLLOWED) {
                newest.insert((one.topic, one.key), at);
            }
            for number in newest.into_values() {
                prop_assert!(numbers.contains(&number), "{} is missing in {:?}", number, numbers);
            }
        }
    }
    // The end of the topics is not delayed, nor are the events before it.
    let paced: Vec<_> = got.iter().filter(|got| got.at < end).collect();
    for pair in paced.windows(2) {
        let distance = pair[1].at - pair[0].at;
        prop_assert!(distance.is_zero() || distance >= interval, "{:?} apart: {:?}", distance, got);
    }
    for Got { number, at } in got {
        let before = got.iter().map(|got| got.at).filter(|other| other < at).max();
        let due = before.map_or(times[*number], |before| times[*number].max(before + interval));
        // Each poll has an interval of its own, and its jitter.
        let due = if is_poll { due + interval + interval / 10 } else { due };
        prop_assert!(*at <= due + SLACK, "{} came at {:?}, not {:?}: {:?}", number, at, due, got);
        if is_latest {
            let key = |at: usize| (publications[at].topic, publications[at].key);
            let newer =
                (number + 1..times.len()).find(|&newer| key(newer) == key(*number) && times[newer] + SLACK < *at);
            prop_assert!(newer.is_none(), "{} came at {:?} with {:?} there: {:?}", number, at, newer, got);
        }
    }
    Ok(())
}

/// Returns a publisher of throttled sessions.
fn publisher(hub: LocalHub, interval: Duration, is_latest: bool) -> impl Publisher {
    let overflow = if is_latest { Overflow::Latest } else { Overflow::Gap };
    move |request: SubscribeRequest| {
        let subscription = hub.subscribe(request.subscribe_to(request.topics()).overflow(overflow));
        async move { Ok::<_, Rejection>(Accepted::new(subscription?).with_throttle(interval)) }
    }
}

/// Clients of the property: the name of the transport and the head of the request.
fn clients() -> Vec<(&'static str, String)> {
    let plain = "GET TARGET HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let upgrade = |extra: &str| upgrade_request("TARGET", extra);
    vec![
        ("sse", plain.to_owned()),
        ("chunked", plain.to_owned()),
        ("websocket", upgrade("")),
        ("websocket", upgrade("Sec-WebSocket-Protocol: tidings.v1\r\n")),
        ("long-poll", String::new()),
    ]
}

proptest! {
    #![proptest_config(crate::support::cases(48))]

    /// Two deliveries are never closer than the interval, nothing is lost, an event after a quiet interval is delivered at
    /// once, and under `Latest` each delivery has the newest event of each key.
    #[test]
    fn throttled_sessions_keep_their_interval_and_lose_no_event(
        interval in prop_oneof![1..100_u64, 1..3_000_u64],
        is_latest: bool,
        client in 0..5_usize,
        publications in publications(),
    ) {
        let interval = Duration::from_millis(interval);
        let (transport, head) = clients()[client].clone();
        let (times, (got, ended)) = runtime().block_on(async {
            let app = App::with_hub(LocalHub::builder().retain(Retention::count(10_000).bytes(64 << 20)).build());
            let endpoint = Endpoint::builder(publisher(app.hub.clone(), interval, is_latest));
            let endpoint = endpoint.ping(Duration::from_secs(100_000), Duration::from_secs(10)).build();
            let topics = TOPICS[..FOLLOWED].iter().map(|topic| format!("&topic={topic}")).collect::<String>();
            let cursor = app.hub.cursor().to_string();
            let target = format!("/?transport={transport}{topics}");
            let begin = Instant::now();
            let reader = match transport {
                "long-poll" => poll(&endpoint, target, cursor, begin),
                _ => read_stream(&endpoint, &format!("{target}&cursor={cursor}"), &head, begin),
            };
            // The session begins before the first event.
            pass(Duration::from_millis(1)).await;
            let times = publish(app.hub.clone(), publications.clone(), begin).await;
            for topic in &TOPICS[..FOLLOWED] {
                app.hub.finish(Topic::new(*topic).unwrap(), EndReason::Done).unwrap();
            }
            (times, reader.await.unwrap())
        });
        check(&publications, &times, &got, interval, is_latest, transport == "long-poll")?;
        let end = *times.last().unwrap();
        // At most one interval late, if an event waited that was published before the end.
        prop_assert!(ended <= end + interval + interval / 10 + Duration::from_millis(1_200), "{:?} after {:?}", ended, end);
    }
}
