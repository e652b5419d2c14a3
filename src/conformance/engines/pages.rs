//! Pages of a log.

use std::sync::Arc;

use crate::conformance::engines::EngineUnderTest;
use crate::conformance::engines::seam::{Seam, append, finish, patterns, within};
use crate::conformance::run::{CaseResult, Problem};
use crate::engine::{Engine, LostEvents, Read, ReadFrom, ReadRange, StoredEnd, StoredEvent};
use crate::model::EndReason;

/// Maximum number of pages of a read.
const MOST_PAGES: usize = 10_000;

/// Pages of a read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) events: Vec<StoredEvent>,
    pub(super) ends: Vec<StoredEnd>,
    /// Losses that are in their page.
    lost: Vec<LostEvents>,
}

/// An event that was appended: sequence, topic and text.
type Placed = (u64, &'static str, String);

/// Reads all pages. Checks the order of their events, and that each makes progress.
pub(super) async fn read(
    engine: &impl Engine,
    ranges: Vec<ReadRange>,
    after: u64,
    up_to: u64,
) -> Result<Pages, Problem> {
    within("`state`", engine.state()).await??;
    let mut read = Read::new(ranges.into(), after, up_to);
    let mut pages = Pages::default();
    for _ in 0..MOST_PAGES {
        if read.after >= up_to {
            return Ok(pages);
        }
        let page = within("`read`", engine.read(read.clone())).await??;
        if page.up_to <= read.after || page.up_to > up_to {
            return Err(
                format!("a page ends at {}: the read is after {}, up to {up_to}", page.up_to, read.after).into()
            );
        }
        let mut last = read.after;
        for event in &page.events {
            if event.sequence <= last || event.sequence > page.up_to {
                let (sequence, end) = (event.sequence, page.up_to);
                return Err(format!("the event {sequence} follows {last} in a page that ends at {end}").into());
            }
            if !read.ranges.iter().any(|range| range.name.matches(&event.topic)) {
                return Err(format!("the page has an event of {}, which is not read", event.topic).into());
            }
            last = event.sequence;
        }
        pages.events.extend(page.events);
        pages.ends.extend(page.ends);
        pages.lost.extend(page.lost.filter(|lost| (read.after + 1..=page.up_to).contains(&lost.last)));
        read.after = page.up_to;
    }
    Err(format!("the read is not at its end after {MOST_PAGES} pages").into())
}

pub(super) fn ranges(names: &[&str]) -> Result<Vec<ReadRange>, Problem> {
    Ok(patterns(names)?.into_iter().map(ReadRange::new).collect())
}

/// Events of several topics are read by topics and patterns, from any place, and each once.
pub(super) async fn order<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let engine = seam.engine().await?;
    let all = append_to(&engine, &["a", "b", "c/d", "c/e"], 80).await?;
    let end = finish(&engine, "a", EndReason::Stopped).await?;
    let other = seam.engine().await?;
    for (names, topics) in [(&["a", "c/*"][..], &["a", "c/d", "c/e"][..]), (&["b"], &["b"]), (&["*"], &["a", "b"])] {
        for (after, up_to) in [(0, end), (all[20].0, end), (all[10].0, all[60].0), (all[79].0, end)] {
            let pages = read(&other, ranges(names)?, after, up_to).await?;
            let is_read = |event: &&Placed| event.0 > after && event.0 <= up_to && topics.contains(&event.1);
            let expected: Vec<_> = all.iter().filter(is_read).cloned().collect();
            compare(&expected, &pages, &format!("{names:?} after {after}, up to {up_to}"))?;
            let ends: Vec<_> = pages.ends.iter().map(|end| (end.sequence, end.reason)).collect();
            if topics.contains(&"a") && up_to == end && ends != [(end, EndReason::Stopped)] {
                return Err(format!("expected the end of a at {end}, got {ends:?}").into());
            }
        }
    }
    Ok(())
}

/// A read of the last events of each topic.
pub(super) async fn last<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let engine = seam.engine().await?;
    let all = append_to(&engine, &["a", "b", "c/d", "c/e"], 40).await?;
    let end = all[39].0;
    let ranges = ranges(&["a", "c/*"])?.into_iter().map(|range| ReadRange { from: ReadFrom::Last(3), ..range });
    let pages = read(&engine, ranges.collect(), 0, end).await?;
    let expected: Vec<_> = all[28..].iter().filter(|event| event.1 != "b").cloned().collect();
    compare(&expected, &pages, "the last 3 events of each topic")
}

/// Each event that is not retained any more is before the end of a loss, and no loss is reported of events that are retained.
pub(super) async fn lost<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let engine = seam.engine().await?;
    let all = append_to(&engine, &["a", "b"], 100).await?;
    let end = all[99].0;
    let ends = [end, all[30].0];
    for (names, up_to) in [&["a", "b"][..], &["*"], &["b"]].into_iter().flat_map(|names| ends.map(|end| (names, end))) {
        let pages = read(&engine, ranges(names)?, 0, up_to).await?;
        let is_read = |event: &&Placed| event.0 <= up_to && (names.contains(&event.1) || names == ["*"]);
        for (sequence, topic, _) in all.iter().filter(is_read) {
            let is_read = pages.events.iter().any(|event| event.sequence == *sequence);
            let is_lost = |lost: &LostEvents| {
                *sequence <= lost.last && lost.topic.as_ref().is_none_or(|lost| lost.as_str() == *topic)
            };
            if !is_read && !pages.lost.iter().any(is_lost) {
                return Err(format!("the event {sequence} of {topic} is neither in a page nor lost: {names:?}").into());
            }
        }
    }
    let retained = read(&engine, ranges(&["b"])?, 0, end).await?.events;
    let first = retained.first().ok_or("no event of b is retained")?.sequence;
    let pages = read(&engine, ranges(&["b"])?, first - 1, end).await?;
    match pages.lost.first() {
        None => Ok(()),
        Some(lost) => {
            Err(format!("events up to {} count as lost, and all from {first} are retained", lost.last).into())
        }
    }
}

/// Appends texts to topics in rotation.
async fn append_to(engine: &impl Engine, topics: &[&'static str], count: usize) -> Result<Arc<[Placed]>, Problem> {
    let mut all: Vec<Placed> = Vec::new();
    for number in 0..count {
        let (topic, text) = (topics[number % topics.len()], format!("text {number}"));
        let sequence = append(engine, topic, &text).await?;
        if all.last().is_some_and(|last| last.0 >= sequence) {
            return Err(format!("the sequence {sequence} is not greater than the one before").into());
        }
        all.push((sequence, topic, text));
    }
    Ok(all.into())
}

fn compare(expected: &[Placed], pages: &Pages, what: &str) -> CaseResult {
    let text = |event: &StoredEvent| event.event.as_str().unwrap_or_default().to_owned();
    let seen: Vec<_> =
        pages.events.iter().map(|event| (event.sequence, event.topic.to_string(), text(event))).collect();
    for (number, expected) in expected.iter().enumerate() {
        match seen.get(number) {
            Some((sequence, topic, text)) if (*sequence, &**topic, text) == (expected.0, expected.1, &expected.2) => {}
            other => return Err(format!("{what}: expected {expected:?}, got {other:?}").into()),
        }
    }
    match seen.get(expected.len()) {
        None => Ok(()),
        Some(other) => Err(format!("{what}: got {other:?} after all events").into()),
    }
}
