use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use tidings::subscriber::SubscriptionEnd;
use tidings::transport::Reply;
use tidings::transport::short_poll::PollQueue;
use tidings::{Cursor, Event, GapReason};

use crate::support::{Feed, any_history, put};

proptest! {
    /// A client that polls while there is more gets every event and gap once and in order.
    #[test]
    fn short_polls_in_sequence_deliver_every_event_once(history in any_history(), max in 0..400_usize, batch in 1..5_usize) {
        let feed = Feed::new(7);
        let expected = put(&history, &feed);
        let mut got = Vec::new();
        let mut reader = feed.reader();
        loop {
            let reply = PollQueue::new(reader.batches_of(batch)).max_batch_bytes(max).reply();
            let body = read(&reply);
            let events = body["events"].as_array().unwrap();
            if let Some(last) = events.last() {
                prop_assert_eq!(&body["cursor"], &last["id"]);
            }
            prop_assert_eq!(body["more"] == true, got.len() + events.len() < expected.len());
            prop_assert!(!events.is_empty() || !reply.more, "`more` without an event");
            got.extend(events.iter().cloned());
            let cursor: Cursor = body["cursor"].as_str().unwrap().parse().unwrap();
            if !reply.more {
                break;
            }
            reader = feed.resume(cursor);
        }
        prop_assert_eq!(got, expected);
    }

    /// For any batches of the source, equal cursors get equal bytes, and at most the maximum.
    #[test]
    fn short_polls_at_equal_cursors_get_equal_bytes(history in any_history(), max in 0..400_usize, one in 1..5_usize, other in 1..5_usize) {
        let feed = Feed::new(7);
        put(&history, &feed);
        let replies = [one, other].map(|batch| PollQueue::new(feed.reader().batches_of(batch)).max_batch_bytes(max).reply());
        let lengths = replies.each_ref().map(|reply| reply.len());
        let bodies = replies.map(|reply| (reply.is_empty(), reply.into_parts()));
        prop_assert_eq!(bodies[0].1.concat(), bodies[1].1.concat());
        for (len, (is_empty, parts)) in lengths.into_iter().zip(bodies) {
            prop_assert_eq!(len, parts.concat().len());
            let items: usize = parts[1..parts.len() - 1].iter().map(Bytes::len).sum();
            prop_assert_eq!(is_empty, items == 0);
            let body: Value = serde_json::from_slice(&parts.concat()).unwrap();
            // The trailing comma that is removed counts.
            prop_assert!(items < max.max(1) || body["events"].as_array().unwrap().len() == 1 || is_empty);
        }
    }
}

#[test]
fn short_poll_reply_has_the_documented_bytes() {
    let feed = Feed::new(7);
    feed.event("news", "a \"b\"\n\u{1}é");
    feed.event("news", Event::binary(vec![0, 255]).with_name("price").unwrap());
    feed.gap(GapReason::Evicted, Some(12));
    feed.gap(GapReason::Epoch, None);
    let body = [
        r#"{"cursor":"7.a4","events":["#,
        r#"{"id":"7.a1","topic":"news","data":"a \"b\"\n\u0001é"},"#,
        r#"{"id":"7.a2","topic":"news","event":"price","data":"AP8=","encoding":"base64"},"#,
        r#"{"id":"7.a3","gap":{"reason":"evicted","missed":12}},"#,
        r#"{"id":"7.a4","gap":{"reason":"epoch","missed":null}}]}"#,
    ];
    assert_eq!(text(PollQueue::new(feed.reader()).reply()), body.concat());
    let first = PollQueue::new(feed.reader()).max_batch_bytes(1).reply();
    assert_eq!(
        text(first),
        format!("{}{}],\"more\":true}}", r#"{"cursor":"7.a1","events":["#, body[1].trim_end_matches(','))
    );
}

#[cfg(feature = "json")]
#[test]
fn short_poll_reply_embeds_json_payloads() {
    let feed = Feed::new(7);
    feed.event("news", Event::json_text("{ \"a\":\r\n[1.0, 2] }").unwrap());
    let body = r#"{"cursor":"7.a1","events":[{"id":"7.a1","topic":"news","data":{ "a":  [1.0, 2] }}]}"#;
    assert_eq!(text(PollQueue::new(feed.reader()).reply()), body);
}

#[test]
fn short_poll_empty_reply_moves_the_cursor_to_the_watermark() {
    let feed = Feed::new(7);
    feed.event("news", "first");
    feed.pass();
    // The cursor of the last event, so that all clients get the same bytes. The watermark is for the next poll.
    let reply = PollQueue::new(feed.reader()).reply();
    assert_eq!(reply.cursor, Some("7.a1".parse().unwrap()));
    let reply = PollQueue::new(feed.resume("7.a1".parse().unwrap())).reply();
    assert!(reply.is_empty());
    assert_eq!(text(reply), r#"{"cursor":"7.a2","events":[]}"#);
}

#[test]
fn short_poll_of_a_source_without_cursors_has_a_null_cursor() {
    let feed = Feed::new(0);
    assert_eq!(text(PollQueue::new(feed.reader()).reply()), r#"{"cursor":null,"events":[]}"#);
    feed.event("news", "first");
    let body = r#"{"cursor":null,"events":[{"topic":"news","data":"first"}]}"#;
    assert_eq!(text(PollQueue::new(feed.reader()).reply()), body);
}

#[test]
fn short_poll_reports_the_end_after_all_events() {
    let feed = Feed::new(7);
    feed.event("news", "first");
    feed.event("news", "second");
    feed.end(SubscriptionEnd::Closed);
    let reply = PollQueue::new(feed.reader()).max_batch_bytes(1).reply();
    assert_eq!((reply.more, reply.end), (true, None));
    let reply = PollQueue::new(feed.reader()).reply();
    assert_eq!((reply.more, reply.end), (false, Some(SubscriptionEnd::Closed)));
    assert_eq!(read(&reply)["events"].as_array().unwrap().len(), 2);
}

fn text(reply: Reply) -> String {
    String::from_utf8(reply.into_parts().concat()).unwrap()
}

fn read(reply: &Reply) -> Value {
    serde_json::from_str(&text(reply.clone())).unwrap()
}
