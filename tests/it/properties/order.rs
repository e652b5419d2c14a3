use std::task::Poll;

use proptest::collection::vec;
use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{Cursor, GapReason, LocalHub, Retention, Start, Subscribe, Subscriber};

use super::{TOPICS, bursts, publish, read, unlimited_hub};
use crate::support::{LineFormat, poll, poll_encoded, sequences, topic};

proptest! {
    /// Order: the sequences of a topic rise, and are the same for all subscriptions, of one or several topics.
    #[test]
    fn p1_all_subscriptions_read_the_same_rising_sequences(first in bursts(40), second in bursts(40)) {
        let hub = unlimited_hub();
        let mut all = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let mut each = TOPICS.map(|name| hub.subscribe(Subscribe::topics([name])).unwrap());
        let mut published = publish(&hub, &first);
        let mut seen = read(&mut all);
        published.extend(publish(&hub, &second));
        seen.extend(read(&mut all));
        prop_assert!(published.windows(2).all(|two| two[0].sequence < two[1].sequence));
        prop_assert_eq!(&seen, &published);
        for (name, subscription) in TOPICS.iter().zip(&mut each) {
            let of_topic: Vec<_> = published.iter().filter(|event| event.topic == *name).cloned().collect();
            prop_assert_eq!(read(subscription), of_topic);
        }
    }

    /// No duplicate: no event is read twice, by any mix of batches and encoded bytes.
    #[test]
    fn p3_mixed_reads_deliver_no_event_twice(topics in bursts(60), sizes in vec(0_usize..200, 1..20)) {
        let hub = unlimited_hub();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let published = publish(&hub, &topics);
        let (mut seen, mut sizes) = (Vec::new(), sizes.into_iter().cycle());
        loop {
            let max = sizes.next().unwrap();
            if max % 3 == 0 {
                let Poll::Ready(Delivery::Events(batch)) = poll(&mut subscription) else { break };
                seen.extend(sequences(&batch));
            } else {
                let encoded = poll_encoded(&mut subscription, &LineFormat::CACHED, max);
                let Poll::Ready(EncodedDelivery::Events(events)) = encoded else { break };
                let text = String::from_utf8(events.bytes.to_vec()).unwrap();
                seen.extend(text.lines().map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap()));
            }
        }
        prop_assert_eq!(seen, published.iter().map(|event| event.sequence).collect::<Vec<_>>());
    }

    /// Resume: a reader that is cut at any points reads the same events in all.
    #[test]
    fn p4_cut_reader_reads_the_same_as_an_uncut_one(
        parts in vec((bursts(12), 0_usize..6, any::<bool>()), 1..12),
    ) {
        let hub = unlimited_hub();
        let mut uncut = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let mut cut = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let mut seen = Vec::new();
        for (topics, batches, away) in parts {
            publish(&hub, &topics);
            for _ in 0..batches {
                let Poll::Ready(Delivery::Events(batch)) = poll(&mut cut) else { break };
                seen.extend(batch.iter().map(|event| event.cursor.unwrap()));
            }
            let cursor = cut.cursor().unwrap();
            if away {
                drop(cut);
                publish(&hub, &topics);
            }
            cut = hub.subscribe(Subscribe::topics(TOPICS).start(Start::After(cursor))).unwrap();
        }
        let sequences_of = |events: Vec<super::Read>| events.into_iter().map(|event| event.sequence);
        let seen = seen.into_iter().map(|cursor: Cursor| cursor.sequence());
        let all: Vec<u64> = seen.chain(sequences_of(read(&mut cut))).collect();
        prop_assert_eq!(all, sequences_of(read(&mut uncut)).collect::<Vec<_>>());
    }

    /// Lag is exact: the missed events of the gaps and the events that a slow reader reads are all that were published.
    #[test]
    fn p5_missed_events_are_counted_exactly(keep in 1_usize..20, parts in vec((0_usize..300, any::<bool>()), 1..8)) {
        let hub = LocalHub::builder().retain(Retention::count(keep)).build();
        let ticks = topic("ticks");
        let mut slow = hub.subscribe(Subscribe::topics([&ticks])).unwrap();
        let (mut published, mut accounted) = (0, 0);
        for (events, reads) in parts {
            for _ in 0..events {
                hub.publish_now(&ticks, "tick").unwrap();
                published += 1;
            }
            while let Some(Poll::Ready(delivery)) = reads.then(|| poll(&mut slow)) {
                match delivery {
                    Delivery::Gap(gap) => {
                        let missed = gap.missed.unwrap();
                        prop_assert!(missed > 0 && gap.reason == GapReason::Overflow);
                        accounted += missed;
                        prop_assert_eq!(gap.cursor.sequence(), accounted, "the cursor of the last missing event");
                    }
                    Delivery::Events(batch) => accounted += batch.len() as u64,
                    other => panic!("{other:?}"),
                }
            }
            if reads {
                prop_assert_eq!(accounted, published);
            }
        }
    }

    /// A cursor of another epoch or of evicted events yields a gap and all retained events.
    #[test]
    fn p6_stale_or_foreign_cursor_yields_gap(keep in 1_usize..10, events in 0_usize..40, sequence in 0_u64..60, ours: bool) {
        let hub = LocalHub::builder().retain(Retention::count(keep)).build();
        let ticks = topic("ticks");
        for n in 0..events {
            hub.publish_now(&ticks, n.to_string()).unwrap();
        }
        let here = hub.cursor().epoch();
        let epoch = if ours { here } else { here ^ 1 };
        let start = Start::After(Cursor::new(epoch, sequence));
        let mut back = hub.subscribe(Subscribe::topics([&ticks]).start(start)).unwrap();
        let (total, kept) = (events as u64, events.min(keep) as u64);
        let expected = match (ours, sequence) {
            (false, _) => Some(GapReason::Epoch),
            (true, ahead) if ahead > total => Some(GapReason::Invalid),
            (true, old) if old < total - kept => Some(GapReason::Evicted),
            _ => None,
        };
        if let Some(reason) = expected {
            let Poll::Ready(Delivery::Gap(gap)) = poll(&mut back) else { panic!("a gap must come first") };
            prop_assert_eq!(gap.reason, reason);
        }
        let first = match expected {
            Some(GapReason::Invalid) => total,
            Some(_) => total - kept,
            None => sequence,
        };
        let seen: Vec<_> = read(&mut back).into_iter().map(|event| event.sequence).collect();
        prop_assert_eq!(seen, (first + 1..=total).collect::<Vec<_>>());
    }

    /// Each of several topics keeps its order, and their common cursor is past the delivered events and no others.
    #[test]
    fn p19_cursor_stands_between_the_last_delivered_and_the_next_event(topics in bursts(60), max in 1_usize..300) {
        let hub = unlimited_hub();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS[..2].iter().copied())).unwrap();
        let published = publish(&hub, &topics);
        let ours: Vec<_> = published.iter().filter(|event| event.topic != TOPICS[2]).collect();
        let mut delivered = 0;
        loop {
            let Poll::Ready(polled) = poll_encoded(&mut subscription, &LineFormat::CACHED, max) else { break };
            let EncodedDelivery::Events(events) = polled else { panic!("{polled:?}") };
            delivered += events.events as usize;
            let cursor = subscription.cursor().unwrap().sequence();
            prop_assert!(cursor >= ours[delivered - 1].sequence);
            prop_assert!(ours.get(delivered).is_none_or(|next| cursor < next.sequence));
        }
        prop_assert_eq!(delivered, ours.len());
        prop_assert_eq!(subscription.cursor(), Some(hub.cursor()));
    }

    /// Fairness: a poll is bounded, and an event of a quiet topic is delivered in its place among those of a busy one.
    #[test]
    fn p20_busy_topic_does_not_delay_a_quiet_one(before in 0_usize..400, after in 0_usize..400, max in 64_usize..2_000) {
        let hub = unlimited_hub();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        publish(&hub, &vec![0; before]);
        publish(&hub, &[1]);
        publish(&hub, &vec![0; after]);
        let mut at = 0;
        while let Poll::Ready(EncodedDelivery::Events(events)) = poll_encoded(&mut subscription, &LineFormat::CACHED, max) {
            prop_assert!(events.bytes.len() <= max || events.events == 1);
            let text = String::from_utf8(events.bytes.to_vec()).unwrap();
            for line in text.lines() {
                prop_assert_eq!(line.split(' ').nth(1) == Some(TOPICS[1]), at == before);
                at += 1;
            }
        }
        prop_assert_eq!(at, before + 1 + after);
    }
}
