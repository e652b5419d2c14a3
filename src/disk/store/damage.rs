//! Rows that cannot be read: the readable ones before and after them.

use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::order::{self, OrderEntry};
use crate::disk::store::packed::{entries, last_entry};
use crate::disk::store::rows::View;
use crate::disk::store::topics::{LastRecord, TopicMeta};

/// Rows of a topic that cannot be read.
pub(super) struct Damage {
    /// Sequence of the last one.
    pub(super) last: u64,
    /// First record after them.
    pub(super) next: Option<NextRecord>,
}

/// First record after rows that cannot be read.
pub(super) struct NextRecord {
    pub(super) at: u64,
    /// Number and weight before the record.
    pub(super) number: u64,
    pub(super) weight: u64,
}

pub(super) fn is_damage(error: &DiskError) -> bool {
    matches!(error, DiskError::Damaged { .. })
}

/// Finds the end of the rows that cannot be read, which begin at a sequence or after it. The last sequence of the store
/// is `head`.
#[cold]
pub(super) fn after_damage(view: &View, id: u32, from: u64, head: u64) -> Result<Damage, DiskError> {
    let first_at = |from: u64| -> Result<Option<(u64, NextRecord)>, DiskError> {
        let Some(row) = view.range(keys::event(id, from)..=keys::event(id, u64::MAX)).next() else { return Ok(None) };
        let (key, value) = row?;
        let mut row = entries(&key, &value)?;
        let (number, weight) = (row.number, row.weight);
        // All records of the row are readable, or it is one of the damaged ones.
        let first = row.next().transpose()?;
        row.try_for_each(|entry| entry.map(drop))?;
        Ok(first.map(|first| (first.sequence, NextRecord { at: first.at, number, weight })))
    };
    // Readable rows before the first damaged one.
    let mut from = from;
    while let Ok(Some(_)) = first_at(from) {
        let row = view.range(keys::event(id, from)..=keys::event(id, u64::MAX)).next().transpose()?;
        from = row.and_then(|(key, _)| keys::sequence_of(&key)).unwrap_or(from) + 1;
    }
    let (mut damaged, mut readable) = (from, head + 1);
    while damaged + 1 < readable {
        let middle = damaged + (readable - damaged) / 2;
        match first_at(middle) {
            Ok(_) => readable = middle,
            Err(error) if is_damage(&error) => damaged = middle,
            Err(error) => return Err(error),
        }
    }
    let next = first_at(readable).ok().flatten().map(|(_, next)| next);
    Ok(Damage { last: damaged, next })
}

/// Finds the last record of a topic whose last rows cannot be read. Its number is greater by one, since those rows have
/// at least one event.
#[cold]
pub(super) fn last_before_damage(view: &View, id: u32) -> Result<Option<LastRecord>, DiskError> {
    let last_at = |to: u64| -> Result<Option<LastRecord>, DiskError> {
        let Some(row) = view.range(keys::event(id, 0)..=keys::event(id, to)).next_back() else { return Ok(None) };
        let (key, value) = row?;
        let last = last_entry(&key, &value)?;
        Ok(Some(LastRecord { sequence: last.sequence, number: last.number + 1, weight: last.weight }))
    };
    let (mut readable, mut damaged) = (0, u64::MAX);
    while readable + 1 < damaged {
        let middle = readable + (damaged - readable) / 2;
        match last_at(middle) {
            Ok(_) => readable = middle,
            Err(error) if is_damage(&error) => damaged = middle,
            Err(error) => return Err(error),
        }
    }
    last_at(readable)
}

/// Calls `next` with the rows of the order after a sequence, until it returns `false`: the last sequence of the row, the
/// size of its value, and its records. Rows that cannot be read have a size of 0; their records are found in the rows of
/// the topics, at the price of a look at each topic.
pub(super) fn order_rows(
    view: &View,
    mut after: u64,
    head: u64,
    mut next: impl FnMut(u64, usize, &[OrderEntry]) -> Result<bool, DiskError>,
) -> Result<(), DiskError> {
    loop {
        let mut damage = false;
        for row in view.range(keys::order(after + 1)..=keys::order(u64::MAX)) {
            let read = row.and_then(|(key, value)| {
                Ok((keys::sequence_of(&key).unwrap_or(0), value.len(), order::decode(&key, &value)?))
            });
            match read {
                Err(error) if is_damage(&error) => damage = true,
                read => {
                    let (last, size, entries) = read?;
                    if !next(last, size, &entries)? {
                        return Ok(());
                    }
                    after = last;
                    continue;
                }
            }
            break;
        }
        if !damage {
            return Ok(());
        }
        let last = last_damaged_order(view, after, head)?;
        if !next(last, 0, &retained_between(view, after, last)?)? {
            return Ok(());
        }
        after = last;
    }
}

/// Returns the last sequence of the rows of the order after a sequence that cannot be read.
#[cold]
fn last_damaged_order(view: &View, after: u64, head: u64) -> Result<u64, DiskError> {
    let is_readable = |from: u64| match view.range(keys::order(from)..=keys::order(u64::MAX)).next() {
        None => Ok(true),
        Some(row) => match row.and_then(|(key, value)| order::decode(&key, &value)) {
            Err(error) if is_damage(&error) => Ok(false),
            read => read.map(|_| true),
        },
    };
    let (mut damaged, mut readable) = (after + 1, head + 1);
    while damaged + 1 < readable {
        let middle = damaged + (readable - damaged) / 2;
        if is_readable(middle)? { readable = middle } else { damaged = middle }
    }
    Ok(damaged)
}

/// Returns the retained records of all topics after a sequence, up to another one, as far as they can be read.
#[cold]
fn retained_between(view: &View, after: u64, up_to: u64) -> Result<Vec<OrderEntry>, DiskError> {
    let mut found = Vec::new();
    for row in view.prefix(b"n") {
        let (key, value) = row?;
        let Ok(meta) = TopicMeta::decode(&key, &value) else { continue };
        let topic = keys::topic_of(&key).unwrap_or(0);
        let after = after.max(meta.trimmed);
        for row in view.range(keys::event(topic, after + 1)..=keys::event(topic, u64::MAX)) {
            let Ok((key, value)) = row else { break };
            let Ok(entries) = entries(&key, &value) else { continue };
            let of_row = entries.map_while(Result::ok).filter(|entry| entry.sequence > after);
            let of_row =
                of_row.map(|entry| OrderEntry { sequence: entry.sequence, topic, is_end: !entry.body.is_event() });
            found.extend(of_row.take_while(|entry| entry.sequence <= up_to));
            if keys::sequence_of(&key) >= Some(up_to) {
                break;
            }
        }
    }
    found.sort_unstable_by_key(|entry| entry.sequence);
    Ok(found)
}
