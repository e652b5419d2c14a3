//! `skip_to`.

use crate::conformance::run::{CaseResult, Problem};
use crate::conformance::subscriber::SourceUnderTest;
use crate::conformance::subscriber::probe::{Probe, is_before};
use crate::contract::Subscriber;
use crate::model::Cursor;

/// Skips forward, and not back. A cursor of another epoch or ahead of the source changes nothing.
pub(super) async fn skip_to<S: SourceUnderTest>(
    open: &impl AsyncFn() -> Result<S, Problem>,
    topics: &[&str],
) -> CaseResult {
    for (read, skip) in [(0_usize, 0_usize), (0, 4), (0, 10), (3, 6), (3, 1), (2, 10)] {
        let mut probe = Probe::new(open().await?, topics)?;
        probe.publish(10).await?;
        // Sources number their events differently. A second subscriber reads the cursors.
        let Some(cursors) = cursors(&probe, topics).await? else { return Ok(()) };
        while probe.unread.len() > 10 - read {
            probe.read_encoded(1).await?;
        }
        let read = 10 - probe.unread.len();
        let before = probe.subscriber.cursor();
        for other in [Cursor::new(cursors[0].epoch() ^ 1, cursors[9].sequence()), ahead(cursors[9])] {
            if probe.subscriber.skip_to(other) || probe.subscriber.cursor() != before {
                return Err(format!("skipped to {other}, which is of another epoch or ahead").into());
            }
        }
        if let Some(target) = skip.checked_sub(1).map(|last| cursors[last]) {
            if probe.subscriber.skip_to(target) {
                let after = probe.subscriber.cursor();
                if !after.is_some_and(|after| after == target || is_before(target, after)) {
                    return Err(format!("the cursor is {after:?} after a skip to {target}").into());
                }
                probe.unread.drain(..skip.saturating_sub(read));
            }
        }
        probe.publish(2).await?;
        probe.read_all().await.map_err(|error| format!("after {read} events and a skip to {skip}: {error}"))?;
    }
    Ok(())
}

fn ahead(cursor: Cursor) -> Cursor {
    Cursor::new(cursor.epoch(), cursor.sequence() + 1_000_000)
}

/// Returns the cursors of the unread events; `None` if the source has none, or no second subscriber.
async fn cursors<S: SourceUnderTest>(probe: &Probe<S>, topics: &[&str]) -> Result<Option<Vec<Cursor>>, Problem> {
    let Some(second) = probe.subscriber.cursor().and_then(|cursor| probe.source.resume(topics, cursor)) else {
        return Ok(None);
    };
    let (mut second, mut cursors) = (second?, Vec::new());
    while cursors.len() < probe.unread.len() {
        let delivery = super::probe::next(&mut second).await;
        let crate::contract::Delivery::Events(batch) = delivery else {
            return Err(format!("expected events, got {delivery:?}").into());
        };
        cursors.extend(batch.iter().filter_map(|event| event.cursor));
    }
    Ok(Some(cursors))
}
