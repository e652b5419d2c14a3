use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::support::{ALL, Directory, topic};
use crate::disk::store::Record;
use crate::disk::store::keys;
use crate::disk::store::order::{self, OrderEntry, OrderWriter};
use crate::disk::store::packed::{RowWriter, entries};
use crate::model::{EndReason, Event, EventKind, Topic};

/// Returns any event, with any label and time to live.
pub(crate) fn events() -> impl Strategy<Value = Event> {
    let label = || proptest::option::of("[^\\p{C}]{1,20}");
    let ttl =
        proptest::option::of((any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)));
    (0..4, any::<Vec<u8>>(), ".{0,40}", label(), label(), label(), ttl).prop_map(
        |(kind, bytes, text, name, key, tag, ttl)| {
            let (kind, payload) = match kind {
                0 => (EventKind::Text, Bytes::from(text)),
                1 => (EventKind::Json, Bytes::from(format!("{text:?}"))),
                2 => (EventKind::Binary, Bytes::from(bytes)),
                _ => (EventKind::Removal, Bytes::new()),
            };
            Event::from_checked(payload, kind, [name.as_deref(), key.as_deref(), tag.as_deref()], ttl)
        },
    )
}

proptest! {
    #[test]
    fn row_of_any_events_is_read_as_it_was_written(
        events in proptest::collection::vec((1..1_u64 << 40, any::<u64>(), events()), 1..9),
        before: (u32, u32),
        id: u32,
    ) {
        let (number, weight) = (u64::from(before.0), u64::from(before.1));
        let (mut row, mut sequence) = (RowWriter::new(number, weight), 0);
        let records = events.into_iter().map(|(step, at, event)| {
            sequence += step;
            row.event(sequence, at, &event);
            Record::Event { sequence, topic: topic("a"), at, event }
        });
        let records = records.collect::<Vec<_>>();
        let (key, value) = row.seal(id);
        let read = entries(&key, &value).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(read.iter().map(|entry| entry.record(&topic("a"))).collect::<Vec<_>>(), &records[..]);
        let mut sum = weight;
        for ((entry, record), number) in read.iter().zip(&records).zip(number + 1..) {
            let Record::Event { event, .. } = record else { continue };
            sum += event.weight() as u64;
            prop_assert_eq!((entry.number, entry.weight), (number, sum));
        }
    }

    #[test]
    fn row_with_another_byte_or_key_is_damaged(event in events(), at: prop::sample::Index, bit in 0..8) {
        let mut row = RowWriter::new(6, 7);
        row.event(2, 5, &event);
        let (key, mut value) = row.seal(1);
        prop_assert!(entries(&keys::event(1, 3), &value).is_err());
        let at = at.index(value.len());
        value[at] ^= 1_u8 << bit;
        prop_assert!(entries(&key, &value).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let key = keys::event(1, 2);
        let value = sealed(&key, &bytes);
        let _ = entries(&key, &bytes).map(|row| row.for_each(drop));
        let _ = entries(&key, &value).map(|row| row.for_each(drop));
        let _ = order::decode(&key, &value);
    }

    #[test]
    fn row_of_the_order_is_read_as_it_was_written(
        records in proptest::collection::vec((1..1_u64 << 40, any::<u32>(), any::<bool>()), 1..40),
    ) {
        let (mut row, mut sequence) = (OrderWriter::default(), 0);
        let records = records.into_iter().map(|(step, topic, is_end)| {
            sequence += step;
            OrderEntry { sequence, topic, is_end }
        });
        let records = records.collect::<Vec<_>>();
        records.iter().for_each(|record| row.add(*record));
        let (key, value) = row.seal();
        prop_assert_eq!(order::decode(&key, &value).unwrap(), records);
        prop_assert!(order::decode(&keys::order(sequence + 1), &value).is_err());
    }
}

fn sealed(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let sum = crate::disk::store::codec::crc(key, bytes).to_le_bytes();
    [&sum[..], bytes].concat()
}

#[test]
fn all_kinds_of_records_are_read_after_reopen() {
    let directory = Directory::new();
    let label = "k".repeat(Event::MAX_LABEL);
    let full = Event::text("ü\n").with_name(&label).unwrap().with_key(&label).unwrap().with_tag(&label).unwrap();
    let kinds = [
        full.with_ttl(Duration::from_nanos(1_000_000_001)),
        Event::binary(vec![0, 255]),
        Event::from_checked(Bytes::from_static(b"{}"), EventKind::Json, [None; 3], None),
        Event::removal("key").unwrap(),
        Event::text(""),
    ];
    let mut records = Vec::new();
    for (sequence, event) in (1..).zip(kinds) {
        records.push(Record::Event { sequence, topic: topic("all/kinds"), at: 1_800_000_000_000, event });
    }
    for &reason in EndReason::ALL {
        records.push(Record::End { sequence: records.len() as u64 + 1, topic: topic("all/kinds"), at: 9, reason });
    }
    let (store, _) = directory.open(1);
    store.write(&records).unwrap();
    for _ in 0..2 {
        let page = store.read(&topic("all/kinds"), 0, u64::MAX, ALL).unwrap();
        assert_eq!((page.records, page.has_more), (records.clone(), false));
        let page = store.read_all(0, u64::MAX, ALL, |_: &Topic| true).unwrap();
        assert_eq!(page.records, records);
    }
    store.close().unwrap();
    let (store, opened) = directory.open(2);
    assert_eq!((opened.head, opened.lost), (8, None));
    assert_eq!(store.read(&topic("all/kinds"), 0, u64::MAX, ALL).unwrap().records, records);
    assert_eq!(store.ends().unwrap(), records[7..], "the last end of a topic is remembered");
}
