//! Keys of the rows. Numbers are big endian, so that keys sort as the numbers.

/// Key of the head.
pub(super) const HEAD: &[u8] = b"h";
/// Key of the list of epochs.
pub(super) const EPOCHS: &[u8] = b"l";

/// Returns the key of the row whose last record has a sequence.
pub(super) fn event(topic: u32, sequence: u64) -> [u8; 13] {
    with_both(b'e', topic, sequence)
}

/// Returns the key of a removal that is in the state of a topic.
pub(super) fn removal(topic: u32, sequence: u64) -> [u8; 13] {
    with_both(b'r', topic, sequence)
}

/// Returns the key of the row of the order whose last record has a sequence.
pub(super) fn order(sequence: u64) -> [u8; 9] {
    with_sequence(b'o', sequence)
}

/// Returns the key of a position in the hub's order of an event of a state that has left history.
pub(super) fn kept(sequence: u64) -> [u8; 9] {
    with_sequence(b's', sequence)
}

/// Returns the key of an end that is remembered.
pub(super) fn end(sequence: u64) -> [u8; 9] {
    with_sequence(b'x', sequence)
}

/// Returns the key of a topic's id.
pub(super) fn topic_name(name: &str) -> Vec<u8> {
    [b"t", name.as_bytes()].concat()
}

/// Returns the key of a topic's row.
pub(super) fn topic(id: u32) -> [u8; 5] {
    let mut key = [b'n'; 5];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

/// Returns the key of the newest event of an event's key.
pub(super) fn newest(topic: u32, key: &str) -> Vec<u8> {
    [b"k", &topic.to_be_bytes()[..], key.as_bytes()].concat()
}

/// Returns the topic's id in the key of an event, of a removal, of a topic's row or of a newest event.
pub(super) fn topic_of(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*key.get(1..)?.first_chunk()?))
}

/// Returns the sequence at the end of a key.
pub(super) fn sequence_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk()?))
}

fn with_both(kind: u8, topic: u32, sequence: u64) -> [u8; 13] {
    let mut key = [kind; 13];
    key[1..5].copy_from_slice(&topic.to_be_bytes());
    key[5..].copy_from_slice(&sequence.to_be_bytes());
    key
}

fn with_sequence(kind: u8, sequence: u64) -> [u8; 9] {
    let mut key = [kind; 9];
    key[1..].copy_from_slice(&sequence.to_be_bytes());
    key
}
