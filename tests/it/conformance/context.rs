use super::row::Row;
use super::test_hub::TestHub;
use crate::clients::inbox::reaches;
use crate::clients::{Client, Data, Gap, Seen};

/// Arguments of a case: an empty hub, and the rows that it runs over.
#[derive(Clone, Copy)]
pub(crate) struct CaseContext<'a> {
    pub(crate) hub: &'a TestHub,
    pub(crate) rows: &'a [&'a dyn Row],
}

/// Result of a case.
pub(crate) type CaseResult = Result<(), String>;

impl<'a> CaseContext<'a> {
    /// Returns the row, or the first of two.
    pub(crate) fn row(&self) -> &'a dyn Row {
        self.rows[0]
    }

    /// Returns the second of two rows, or the only one.
    pub(crate) fn other(&self) -> &'a dyn Row {
        self.rows[self.rows.len() - 1]
    }

    /// Publishes `count` texts to these topics in rotation. Returns the items that a client gets of them.
    pub(crate) async fn publish(&self, topics: &[&str], count: usize) -> Vec<Seen> {
        let mut all = Vec::with_capacity(count);
        for (number, topic) in (0..count).zip(topics.iter().cycle()) {
            all.push(self.hub.publish(topic, format!("{number} of {topic}")).await);
        }
        all
    }
}

/// A client that compares its items with the expected ones, as far as its wire format can express them.
pub(crate) struct CheckedClient<'a> {
    row: &'a dyn Row,
    client: Box<dyn Client>,
}

impl<'a> CheckedClient<'a> {
    pub(crate) async fn connect(row: &'a dyn Row, topics: &[&str], cursor: Option<&str>) -> Result<Self, String> {
        let client = row.connect(topics, cursor).await.map_err(|error| format!("did not connect: {error}"))?;
        Ok(Self { row, client })
    }

    /// Reads the next items and compares them with the expected ones. Stops after an end.
    pub(crate) async fn expect(&mut self, expected: &[Seen]) -> CaseResult {
        // A wire format without cursors has no form for a removal and for the end of a topic.
        let has_form = |item: &&Seen| match item {
            Seen::TopicEnd(_) => self.row.resumes(),
            Seen::Event(event) => self.row.resumes() || event.data != Data::Removed,
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
    pub(crate) async fn read_until(&mut self, most: usize, found: impl Fn(&Seen) -> bool) -> Result<Vec<Seen>, String> {
        let mut all = Vec::new();
        while !all.last().is_some_and(&found) {
            if all.len() == most {
                return Err(format!("not seen among {most}"));
            }
            all.push(self.next_item().await?);
        }
        Ok(all)
    }

    /// Compares items that the client got with the expected ones.
    pub(crate) fn compare(&self, expected: &[Seen], seen: &[Seen]) -> CaseResult {
        for (expected, seen) in expected.iter().zip(seen) {
            let shown = self.row.shows(expected.clone());
            if !agree(&shown, seen) {
                return Err(format!("expected {shown:?}, saw {seen:?}"));
            }
        }
        Ok(())
    }

    async fn next_item(&mut self) -> Result<Seen, String> {
        let seen = self.client.next_item().await?;
        match seen.cursor() {
            Some(cursor) if !reaches(self.client.cursor(), cursor) => {
                Err(format!("is at {:?} after {seen:?}", self.client.cursor()))
            }
            _ => Ok(seen),
        }
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.client.cursor()
    }

    /// Disconnects. Returns the cursor to resume with.
    pub(crate) fn disconnect(self) -> Result<String, String> {
        self.cursor().map(str::to_owned).ok_or_else(|| "has no cursor to resume with".into())
    }
}

/// Returns whether an item is the expected one. The number of missed events of a gap may be unknown, but not wrong.
fn agree(expected: &Seen, seen: &Seen) -> bool {
    match (expected, seen) {
        (Seen::Gap(expected), Seen::Gap(seen)) => {
            let missed = seen.missed.and(expected.missed);
            *seen == Gap { missed, ..expected.clone() }
        }
        (expected, seen) => expected == seen,
    }
}
