use super::row::Row;
use super::stage::Stage;
use crate::clients::{Client, Gap, Seen};

/// Arguments of a case: a fresh hub, and the rows that it runs over.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) rows: &'a [&'a dyn Row],
}

/// Result of a case: its error, if there was one.
pub(crate) type Verdict = Result<(), String>;

impl<'a> Scene<'a> {
    /// The row, or the first of two.
    pub(crate) fn row(&self) -> &'a dyn Row {
        self.rows[0]
    }

    /// The second of two.
    pub(crate) fn other(&self) -> &'a dyn Row {
        self.rows[1]
    }

    /// Publishes texts to these topics, in turn, as many as are wanted.
    pub(crate) async fn publish(&self, topics: &[&str], count: usize) -> Vec<Seen> {
        let mut all = Vec::with_capacity(count);
        for (number, topic) in (0..count).zip(topics.iter().cycle()) {
            all.push(self.stage.publish(topic, format!("{number} of {topic}")).await);
        }
        all
    }
}

/// A client on a visit. It expects what its wire shows of what is told in full.
pub(crate) struct Visit<'a> {
    row: &'a dyn Row,
    client: Box<dyn Client>,
}

impl<'a> Visit<'a> {
    pub(crate) async fn begin(row: &'a dyn Row, topics: &[&str], cursor: Option<&str>) -> Result<Self, String> {
        let client = row.connect(topics, cursor).await.map_err(|why| format!("did not connect: {why}"))?;
        Ok(Self { row, client })
    }

    /// The next things that it sees are these; after an end, nothing.
    pub(crate) async fn sees(&mut self, expected: &[Seen]) -> Verdict {
        for told in expected {
            let seen = self.see().await.map_err(|why| format!("expected {told:?}: {why}"))?;
            self.compare(std::slice::from_ref(told), std::slice::from_ref(&seen))?;
            if let Seen::End(_) = seen {
                break;
            }
        }
        Ok(())
    }

    /// Returns the items up to and with the first that satisfies `found`, which is to be among the first `most`.
    pub(crate) async fn see_until(&mut self, most: usize, found: impl Fn(&Seen) -> bool) -> Result<Vec<Seen>, String> {
        let mut all = Vec::new();
        while !all.last().is_some_and(&found) {
            if all.len() == most {
                return Err(format!("not seen among {most}"));
            }
            all.push(self.see().await?);
        }
        Ok(all)
    }

    /// That it saw what is shown of what was told.
    pub(crate) fn compare(&self, told: &[Seen], seen: &[Seen]) -> Verdict {
        for (told, seen) in told.iter().zip(seen) {
            let shown = self.row.shows(told.clone());
            if !agree(&shown, seen) {
                return Err(format!("expected {shown:?}, saw {seen:?}"));
            }
        }
        Ok(())
    }

    async fn see(&mut self) -> Result<Seen, String> {
        let seen = self.client.see().await?;
        match seen.cursor() {
            Some(cursor) if self.client.cursor() != Some(cursor) => {
                Err(format!("is at {:?} after {seen:?}", self.client.cursor()))
            }
            _ => Ok(seen),
        }
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.client.cursor()
    }

    /// Breaks off. Says where it would resume.
    pub(crate) fn cut(self) -> Result<String, String> {
        self.cursor().map(str::to_owned).ok_or_else(|| "has no cursor to come back with".into())
    }
}

/// Whether it is what was expected. A gap's size may be unknown, but not wrong.
fn agree(expected: &Seen, seen: &Seen) -> bool {
    match (expected, seen) {
        (Seen::Gap(expected), Seen::Gap(seen)) => {
            let missed = seen.missed.and(expected.missed);
            *seen == Gap { missed, ..expected.clone() }
        }
        (expected, seen) => expected == seen,
    }
}
