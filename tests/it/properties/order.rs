use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{Cursor, GapReason, LocalHub, Retention, Start, Subscribe, Subscriber};

use super::{TOPICS, bursts, keeper, poll, publish, read, topic};
use crate::hub::Lines;

proptest! {
    /// Order: the sequences of a topic rise, and are the same for all who read it, alone or beside others.
    #[test]
    fn p1_everyone_reads_the_same_rising_order(first in bursts(40), second in bursts(40)) {
        let hub = keeper();
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

    /// No duplicate: nothing is read twice, by whatever mix of ways to read.
    #[test]
    fn p3_nothing_is_read_twice(topics in bursts(60), sizes in vec(0_usize..200, 1..20)) {
        let hub = keeper();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let published = publish(&hub, &topics);
        let (mut seen, mut sizes) = (Vec::new(), sizes.into_iter().cycle());
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let max = sizes.next().unwrap();
            if max % 3 == 0 {
                let Poll::Ready(Delivery::Events(batch)) = poll(&mut subscription) else { break };
                seen.extend(batch.iter().map(|event| event.cursor.unwrap().sequence()));
            } else {
                let encoded = subscription.poll_encoded(&mut cx, &Lines::CACHED, max);
                let Poll::Ready(EncodedDelivery::Events(events)) = encoded else { break };
                let text = String::from_utf8(events.bytes.to_vec()).unwrap();
                seen.extend(text.lines().map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap()));
            }
        }
        prop_assert_eq!(seen, published.iter().map(|event| event.sequence).collect::<Vec<_>>());
    }

    /// To resume is not to have been away: at whatever points a reader is cut, what it reads in all is the same.
    #[test]
    fn p4_a_cut_reader_reads_what_an_uncut_one_does(
        parts in vec((bursts(12), 0_usize..6, any::<bool>()), 1..12),
    ) {
        let hub = keeper();
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
        let sequences = |events: Vec<super::Read>| events.into_iter().map(|event| event.sequence);
        let seen = seen.into_iter().map(|cursor: Cursor| cursor.sequence());
        let all: Vec<u64> = seen.chain(sequences(read(&mut cut))).collect();
        prop_assert_eq!(all, sequences(read(&mut uncut)).collect::<Vec<_>>());
    }

    /// Lag is exact: what a slow reader is told that it missed, and what it then reads, is all that was published.
    #[test]
    fn p5_what_is_missed_is_counted(keep in 1_usize..20, parts in vec((0_usize..300, any::<bool>()), 1..8)) {
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
                        prop_assert_eq!(gap.cursor.sequence(), accounted, "it stands at its last missing event");
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

    /// A cursor of another life of the hub, or of what is gone, brings a gap and all that is retained: never silence.
    #[test]
    fn p6_a_cursor_that_is_too_old_is_told_so(keep in 1_usize..10, events in 0_usize..40, sequence in 0_u64..60, ours: bool) {
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

    /// Of several topics each keeps its order, and the one cursor is past what was delivered and nothing else.
    #[test]
    fn p19_the_cursor_is_past_what_was_delivered_and_no_more(topics in bursts(60), max in 1_usize..300) {
        let hub = keeper();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS[..2].iter().copied())).unwrap();
        let published = publish(&hub, &topics);
        let ours: Vec<_> = published.iter().filter(|event| event.topic != TOPICS[2]).collect();
        let (mut delivered, mut cx) = (0, Context::from_waker(Waker::noop()));
        loop {
            let Poll::Ready(polled) = subscription.poll_encoded(&mut cx, &Lines::CACHED, max) else { break };
            let EncodedDelivery::Events(events) = polled else { panic!("{polled:?}") };
            delivered += events.events as usize;
            let cursor = subscription.cursor().unwrap().sequence();
            prop_assert!(cursor >= ours[delivered - 1].sequence);
            prop_assert!(ours.get(delivered).is_none_or(|next| cursor < next.sequence));
        }
        prop_assert_eq!(delivered, ours.len());
        prop_assert_eq!(subscription.cursor(), Some(hub.cursor()));
    }

    /// Fairness: what one poll takes is bounded, and a busy topic keeps a quiet one's event no longer than its place.
    #[test]
    fn p20_a_busy_topic_starves_nobody(before in 0_usize..400, after in 0_usize..400, max in 64_usize..2_000) {
        let hub = keeper();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        publish(&hub, &vec![0; before]);
        publish(&hub, &[1]);
        publish(&hub, &vec![0; after]);
        let (mut at, mut cx) = (0, Context::from_waker(Waker::noop()));
        while let Poll::Ready(EncodedDelivery::Events(events)) = subscription.poll_encoded(&mut cx, &Lines::CACHED, max) {
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
