use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::packed::last_entry;
use crate::disk::store::read::{Limit, STEP, head, meta};
use crate::disk::store::record::Record;
use crate::disk::store::rows::View;
use crate::disk::store::store::Store;
use crate::disk::store::topics::{TopicMeta, id_of};
use crate::disk::store::write::newest;
use crate::model::{Event, Topic};

/// Events of states that have left history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptPage {
    /// Events in ascending order, removals included.
    pub(crate) records: Vec<Record>,
    /// Sequence up to which the page is complete. The next page begins after it.
    pub(crate) up_to: u64,
}

impl Store {
    /// Reads the events of states that have left history after a sequence, up to another one: of one topic, or of all
    /// topics that `filter` accepts. With a read of history that precedes this one, each key has its newest event. A page may be
    /// empty and have more. Its last event may exceed the limit of bytes.
    ///
    /// # Errors
    ///
    /// Returns [`DiskError::Damaged`] if an event cannot be read.
    pub(crate) fn kept(
        &self,
        only: Option<&Topic>,
        after: u64,
        up_to: u64,
        limit: Limit,
        filter: impl Fn(&Topic) -> bool,
    ) -> Result<KeptPage, DiskError> {
        self.with_view(|view| {
            let mut page = KeptPage { records: Vec::new(), up_to };
            if after >= up_to {
                return Ok(page);
            }
            let mut topics = HashMap::new();
            let rows: Box<dyn Iterator<Item = Result<(u64, u32), DiskError>>> = match only {
                Some(topic) => {
                    let Some(id) = id_of(view, topic)? else { return Ok(page) };
                    let trimmed = meta(view, id)?.trimmed.min(up_to);
                    let range =
                        (after < trimmed).then(|| view.range(keys::event(id, after + 1)..=keys::event(id, trimmed)));
                    Box::new(
                        range.into_iter().flatten().map(move |row| Ok((keys::sequence_of(&row?.0).unwrap_or(0), id))),
                    )
                }
                None => Box::new(view.range(keys::kept(after + 1)..=keys::kept(up_to)).map(|row| {
                    let (key, id) = row?;
                    let fields = keys::sequence_of(&key).zip(id.first_chunk().map(|id| u32::from_be_bytes(*id)));
                    fields.ok_or_else(|| DiskError::damaged("row of a kept event is incomplete"))
                })),
            };
            let (mut last, mut sum) = (after, 0);
            for (looked, row) in rows.enumerate() {
                let (sequence, id) = row?;
                if looked == STEP || page.records.len() >= limit.events.max(1) || sum >= limit.bytes {
                    page.up_to = last;
                    break;
                }
                last = sequence;
                let topic = match topics.entry(id) {
                    Entry::Occupied(topic) => topic.into_mut(),
                    Entry::Vacant(place) => {
                        // A crash may leave the row of an event that was replaced, and whose topic was forgotten since.
                        let topic = TopicMeta::load(view, id)?.map(|meta| meta.topic);
                        place.insert(topic.filter(|topic| filter(topic) && self.has_state(topic)))
                    }
                };
                let Some(topic) = topic else { continue };
                let key = keys::event(id, sequence);
                let Some(value) = view.get(key)? else { continue };
                let entry = last_entry(&key, &value)?;
                if is_newest(view, id, entry.body.key(), sequence)? {
                    sum += usize::try_from(entry.body.weight()).unwrap_or(usize::MAX);
                    page.records.push(entry.record(topic));
                }
            }
            Ok(page)
        })
    }

    /// Returns whether an event is the newest of its key, and no removal.
    pub(crate) fn is_in_state(&self, topic: &Topic, sequence: u64, event: &Event) -> Result<bool, DiskError> {
        self.with_view(|view| {
            let Some(id) = id_of(view, topic)? else { return Ok(false) };
            Ok(!event.is_removal() && is_newest(view, id, event.key(), sequence)?)
        })
    }

    /// Returns the newest forgotten removals of the topics that `filter` accepts, for each that forgot one after a sequence. It
    /// looks at all topics unless none was forgotten after it. One of topics that the store does not have any more has no
    /// topic: it may be of each of them.
    pub(crate) fn forgotten(
        &self,
        only: Option<&[&Topic]>,
        after: u64,
        filter: impl Fn(&Topic) -> bool,
    ) -> Result<Vec<(Option<Topic>, u64)>, DiskError> {
        self.with_view(|view| {
            let head = head(view)?;
            if head.forgotten_removal <= after {
                return Ok(Vec::new());
            }
            let mut found = Vec::new();
            if head.forgotten_state > after {
                found.push((None, head.forgotten_state));
            }
            let mut look = |id: u32, topic: &Topic| -> Result<(), DiskError> {
                if filter(topic) && self.has_state(topic) {
                    let of_topic = newest(view, &keys::newest(id, ""))?.filter(|(forgotten, _)| *forgotten > after);
                    found.extend(of_topic.map(|(forgotten, _)| (Some(topic.clone()), forgotten)));
                }
                Ok(())
            };
            for topic in only.into_iter().flatten() {
                if let Some(id) = id_of(view, topic)? {
                    look(id, topic)?;
                }
            }
            for row in only.is_none().then(|| view.prefix(b"n")).into_iter().flatten() {
                let (key, value) = row?;
                let id = keys::topic_of(&key).unwrap_or(0);
                look(id, &TopicMeta::decode(&key, &value)?.topic)?;
            }
            Ok(found)
        })
    }

    /// Returns whether the newest event of each key of a topic is kept.
    pub(crate) fn has_state(&self, topic: &Topic) -> bool {
        (self.options.retention)(topic).state.is_some()
    }
}

fn is_newest(view: &View, id: u32, key: Option<&str>, sequence: u64) -> Result<bool, DiskError> {
    let Some(key) = key else { return Ok(false) };
    Ok(newest(view, &keys::newest(id, key))?.is_some_and(|(newest, _)| newest == sequence))
}
