use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::support::{ALL, Directory, topic};
use crate::disk::store::Record;
use crate::disk::store::codec::{Body, Row};
use crate::disk::store::keys;
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
    fn row_of_any_event_is_read_as_it_was_written(event in events(), numbers: [u64; 3], place: (u32, u64)) {
        let row = Row { at: numbers[0], number: numbers[1], weight: numbers[2], body: Body::Event(event) };
        let key = keys::event(place.0, place.1);
        prop_assert_eq!(Row::decode(&key, &row.encode(&key)).unwrap(), row);
    }

    #[test]
    fn row_with_another_byte_or_key_is_damaged(event in events(), at: prop::sample::Index, bit in 0..8) {
        let row = Row { at: 5, number: 6, weight: 7, body: Body::Event(event) };
        let key = keys::event(1, 2);
        let mut value = row.encode(&key);
        prop_assert!(Row::decode(&keys::event(1, 3), &value).is_err());
        value[at.index(row.encode(&key).len())] ^= 1_u8 << bit;
        prop_assert!(Row::decode(&key, &value).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let key = keys::event(1, 2);
        let sum = crate::disk::store::codec::crc(&key, &bytes).to_le_bytes();
        let _ = Row::decode(&key, &bytes);
        let _ = Row::decode(&key, &[&sum[..], &bytes].concat());
    }
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
