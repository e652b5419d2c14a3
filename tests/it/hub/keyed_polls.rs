//! Polls for the states of several topics: each poll is a subscription at the cursor of the one before.

use std::task::Poll;

use tidings::subscriber::EncodedDelivery;
use tidings::{Event, LocalHub, Retention, Start, StateLimits, Subscribe, Subscriber};

use crate::support::{LineFormat, poll_encoded};

/// The last events of the topics are far apart, and the removals of one of them are forgotten.
#[test]
fn client_that_polls_for_two_states_gets_each_event_once_and_no_gap() {
    let forgetful = Retention::count(0).state_limits(StateLimits::default().removals(0));
    let names = [&["quiet", "busy"][..], &["*"]];
    for (names, removes) in names.into_iter().flat_map(|names| [(names, false), (names, true)]) {
        // A removal in the quiet topic stays in its history.
        let quiet = if removes { Retention::count(1).state_limits(StateLimits::default()) } else { forgetful };
        let hub = LocalHub::builder().retain_for("quiet", quiet).retain_for("busy", forgetful).live_buffer(0).build();
        let publish = |topic: &str, key: &str, is_removal: bool| {
            let event = if is_removal { Event::removal(key) } else { Event::text(key).with_key(key) };
            hub.publish_now(topic, event.unwrap()).unwrap();
        };
        for n in 0..20 {
            publish("busy", &format!("b{n}"), false);
            publish("quiet", &format!("q{n}"), false);
        }
        if removes {
            publish("quiet", "q7", true);
        }
        publish("busy", "b7", true);
        publish("busy", "b19", false);
        publish("busy", "b8", true);
        let (mut keys, mut start) = (Vec::new(), Start::Now);
        for _ in 0..60 {
            let subscribe = Subscribe::patterns(names.iter().copied()).start(start);
            let mut subscription = hub.subscribe(subscribe).unwrap();
            match poll_encoded(&mut subscription, &LineFormat::CACHED, 1) {
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    let text = String::from_utf8(events.bytes.to_vec()).unwrap();
                    // A removal has no text. It may be delivered, too.
                    let texts = text.lines().filter_map(|line| line.rsplit(' ').next());
                    keys.extend(texts.filter(|text| !text.is_empty()).map(str::to_owned));
                }
                other => assert!(other.is_pending(), "{names:?}: {other:?} after {keys:?}"),
            }
            start = Start::After(subscription.cursor().unwrap().to_string().parse().unwrap());
        }
        let before = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(before, keys.len(), "{names:?}: {keys:?}");
        assert_eq!(keys.len(), if removes { 37 } else { 38 }, "{names:?}: {keys:?}");
        assert_eq!(start, Start::After(hub.cursor()));
    }
}
