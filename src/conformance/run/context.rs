use std::error::Error;

use crate::conformance::clients::{Client, Seen, SeenData, SeenEvent, SeenGap, SeenTopicEnd, reaches};
use crate::conformance::run::{AdapterUnderTest, CaseHub};
use crate::model::Cursor;

/// Arguments of a case: an empty hub, and the rows that it runs over.
#[derive(Clone, Copy)]
pub(in crate::conformance) struct CaseContext<'a> {
    pub(in crate::conformance) hub: &'a CaseHub,
    pub(in crate::conformance) rows: &'a [&'a dyn AdapterUnderTest],
}

/// Problem that a case found.
pub type Problem = Box<dyn Error + Send + Sync>;

/// Result of a case.
pub type CaseResult = Result<(), Problem>;

impl<'a> CaseContext<'a> {
    /// Returns the row, or the first of two.
    pub(in crate::conformance) fn row(&self) -> &'a dyn AdapterUnderTest {
        self.rows[0]
    }

    /// Returns the second of two rows, or the only one.
    pub(in crate::conformance) fn other(&self) -> &'a dyn AdapterUnderTest {
        self.rows[self.rows.len() - 1]
    }

    /// Publishes `count` texts to these topics in rotation. Returns the items that a client gets of them.
    pub(in crate::conformance) async fn publish(&self, topics: &[&str], count: usize) -> Result<Vec<Seen>, Problem> {
        let mut all = Vec::with_capacity(count);
        for (number, topic) in (0..count).zip(topics.iter().cycle()) {
            all.push(self.hub.publish(topic, format!("{number} of {topic}")).await?);
        }
        Ok(all)
    }

    /// Connects a client to the row, or to the first of two.
    pub(in crate::conformance) async fn connect(
        &self,
        topics: &[&str],
        cursor: Option<&str>,
    ) -> Result<CheckedClient<'a>, Problem> {
        CheckedClient::connect(self, self.row(), topics, cursor).await
    }

    /// Connects a client to the second of two rows, or to the only one.
    pub(in crate::conformance) async fn connect_other(
        &self,
        topics: &[&str],
        cursor: Option<&str>,
    ) -> Result<CheckedClient<'a>, Problem> {
        CheckedClient::connect(self, self.other(), topics, cursor).await
    }
}

/// A client that compares its items with the expected ones, as far as its wire format can express them.
pub(in crate::conformance) struct CheckedClient<'a> {
    row: &'a dyn AdapterUnderTest,
    client: Box<dyn Client>,
    /// Whether the epochs of expected items are ignored: the hub was opened again.
    ignores_epochs: bool,
}

impl<'a> CheckedClient<'a> {
    async fn connect(
        cx: &CaseContext<'a>,
        row: &'a dyn AdapterUnderTest,
        topics: &[&str],
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let client = row.connect(cx.hub, topics, cursor).await.map_err(|error| format!("did not connect: {error}"))?;
        Ok(Self { row, client, ignores_epochs: cx.hub.was_reopened() })
    }

    /// Reads the next items and compares them with the expected ones. Stops after an end.
    pub(in crate::conformance) async fn expect(&mut self, expected: &[Seen]) -> CaseResult {
        // A wire format without cursors has no form for a removal and for the end of a topic.
        let has_form = |item: &&Seen| match item {
            Seen::TopicEnd(_) => self.row.resumes(),
            Seen::Event(event) => self.row.resumes() || event.data != SeenData::Removed,
            _ => true,
        };
        for item in expected.iter().filter(has_form) {
            let seen = self.next_item().await.map_err(|error| format!("expected {item:?}: {error}"))?;
            self.compare(std::slice::from_ref(item), std::slice::from_ref(&seen))?;
            if let Seen::End(_) = seen {
                break;
            }
        }
        Ok(())
    }

    /// Reads up to the first item that satisfies `found`, which must be among the first `most`. Returns these items.
    pub(in crate::conformance) async fn read_until(
        &mut self,
        most: usize,
        found: impl Fn(&Seen) -> bool,
    ) -> Result<Vec<Seen>, Problem> {
        let mut all = Vec::new();
        while !all.last().is_some_and(&found) {
            if all.len() == most {
                return Err(format!("not seen among {most}").into());
            }
            all.push(self.next_item().await?);
        }
        Ok(all)
    }

    /// Reads up to the last of these events. Each must be delivered in order, or be covered by a gap in the place of the last
    /// missing event; the last `retained` must be delivered.
    pub(in crate::conformance) async fn follow(&mut self, burst: &[Seen], retained: usize) -> CaseResult {
        let sequences = burst.iter().map(|item| sequence(item.cursor())).collect::<Result<Vec<_>, _>>()?;
        let (mut next, mut missing) = (0, Vec::new());
        while next < burst.len() {
            let seen = self.next_item().await.map_err(|error| format!("expected {:?}: {error}", burst[next]))?;
            let at = sequence(seen.cursor())?;
            let (skipped, after) = match &seen {
                Seen::Event(_) => {
                    let place = sequences.binary_search(&at).ok().filter(|place| *place >= next);
                    let place = place.ok_or_else(|| format!("expected {:?} or a gap, saw {seen:?}", burst[next]))?;
                    self.compare(std::slice::from_ref(&burst[place]), std::slice::from_ref(&seen))?;
                    (place, place + 1)
                }
                Seen::Gap(_) => {
                    let after = sequences.partition_point(|sequence| *sequence <= at);
                    if after < next || (after == next && missing.is_empty()) {
                        return Err(format!("a gap for events that were delivered: {seen:?}").into());
                    }
                    (after, after)
                }
                other => return Err(format!("expected an event or a gap, saw {other:?}").into()),
            };
            missing.extend(next..skipped);
            next = after;
            if let Seen::Gap(gap) = &seen {
                missing.retain(|place| gap.topic.is_some() && topic(&burst[*place]) != gap.topic.as_deref());
                if next + retained > burst.len() {
                    return Err(format!("a gap for retained events: {seen:?}").into());
                }
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(first) => {
                Err(format!("{} events are missing without a gap, first {:?}", missing.len(), burst[*first]).into())
            }
        }
    }

    /// Compares items that the client got with the expected ones.
    pub(in crate::conformance) fn compare(&self, expected: &[Seen], seen: &[Seen]) -> CaseResult {
        for (expected, seen) in expected.iter().zip(seen) {
            let shown = self.row.shows(expected.clone());
            let shown = if self.ignores_epochs { shown.in_epoch_of(seen) } else { shown };
            if !agree(&shown, seen) {
                return Err(format!("expected {shown:?}, saw {seen:?}").into());
            }
        }
        Ok(())
    }

    pub(in crate::conformance) async fn next_item(&mut self) -> Result<Seen, Problem> {
        let seen = self.client.next_item().await?;
        match seen.cursor() {
            Some(cursor) if !reaches(self.client.cursor(), cursor) => {
                Err(format!("is at {:?} after {seen:?}", self.client.cursor()).into())
            }
            _ => Ok(seen),
        }
    }

    pub(in crate::conformance) fn cursor(&self) -> Option<&str> {
        self.client.cursor()
    }

    /// Disconnects. Returns the cursor to resume with.
    pub(in crate::conformance) fn disconnect(self) -> Result<String, Problem> {
        self.cursor().map(str::to_owned).ok_or_else(|| "has no cursor to resume with".into())
    }
}

/// Returns whether an item is the expected one. The number of missed events of a gap may be unknown, but not wrong.
fn agree(expected: &Seen, seen: &Seen) -> bool {
    match (expected, seen) {
        (Seen::Gap(expected), Seen::Gap(seen)) => {
            let missed = seen.missed.and(expected.missed);
            *seen == SeenGap { missed, ..expected.clone() }
        }
        (expected, seen) => expected == seen,
    }
}

impl Seen {
    /// Returns the item with its sequence in the epoch of another one.
    fn in_epoch_of(self, other: &Self) -> Self {
        let epoch = other.cursor().and_then(|cursor| cursor.parse().ok()).map(Cursor::epoch);
        let moved = |cursor: String| match (epoch, cursor.parse::<Cursor>()) {
            (Some(epoch), Ok(own)) => Cursor::new(epoch, own.sequence()).to_string(),
            _ => cursor,
        };
        match self {
            Self::Event(event) => Self::Event(SeenEvent { cursor: event.cursor.map(moved), ..event }),
            Self::Gap(gap) => Self::Gap(SeenGap { cursor: moved(gap.cursor), ..gap }),
            Self::TopicEnd(end) => Self::TopicEnd(SeenTopicEnd { cursor: moved(end.cursor), ..end }),
            Self::End(end) => Self::End(end),
        }
    }
}

fn sequence(cursor: Option<&str>) -> Result<u64, Problem> {
    Ok(cursor.ok_or("an item without a cursor")?.parse::<Cursor>()?.sequence())
}

fn topic(seen: &Seen) -> Option<&str> {
    match seen {
        Seen::Event(event) => event.topic.as_deref(),
        _ => None,
    }
}

/// Returns a cursor of the same epoch at another sequence.
pub(in crate::conformance) fn moved(cursor: Option<&str>, to: impl FnOnce(u64) -> u64) -> Result<String, Problem> {
    let cursor: Cursor = cursor.ok_or("the item has no cursor")?.parse()?;
    Ok(Cursor::new(cursor.epoch(), to(cursor.sequence())).to_string())
}
