//! Order, cursors and resumption.

use crate::conformance::run::{CaseResult, Problem};
use crate::conformance::subscriber::SourceUnderTest;
use crate::conformance::subscriber::probe::{Delivered, ENOUGH, Probe, batch, is_before, next, same};
use crate::contract::Subscriber;
use crate::model::Cursor;

/// Events are delivered in order, each once: those of a burst, and those one by one.
pub(super) async fn order<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    for count in [1, 30, 2, 1, 7] {
        probe.publish(count).await?;
        probe.read_all().await?;
        probe.poll_pending(std::task::Waker::noop())?;
    }
    probe.publish(20).await?;
    while !probe.unread.is_empty() {
        probe.read().await?;
        if !probe.unread.is_empty() {
            probe.read_encoded(1).await?;
        }
        probe.publish(usize::from(probe.unread.len() > 5)).await?;
    }
    Ok(())
}

/// The cursor is at or after the last event that was delivered, and before the next one.
pub(super) async fn cursor<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    let mut last = probe.subscriber.cursor();
    probe.publish(12).await?;
    for number in 0.. {
        if probe.unread.is_empty() {
            break;
        }
        let delivered = match number % 3 {
            0 => probe.read().await?,
            1 => probe.read_encoded(1).await?,
            _ => probe.read_encoded(ENOUGH).await?,
        };
        last = check_cursor(&probe.subscriber, last, &delivered)?;
        if let Some(cursor) = last {
            probe.subscriber.acknowledge(cursor);
        }
        probe.publish(usize::from(number < 6)).await?;
    }
    Ok(())
}

/// Checks the cursor before and after a delivery. Returns the latter.
fn check_cursor(
    subscriber: &impl Subscriber,
    before: Option<Cursor>,
    delivered: &Delivered,
) -> Result<Option<Cursor>, Problem> {
    let after = subscriber.cursor();
    let Some((first, last)) = delivered.cursors else {
        return match after {
            None => Ok(None),
            Some(cursor) => Err(format!("the cursor {cursor} after events without cursors").into()),
        };
    };
    if let Some(before) = before.filter(|before| !is_before(*before, first)) {
        return Err(format!("the cursor was {before} before the event {first} was delivered").into());
    }
    match after {
        Some(cursor) if cursor == last || is_before(last, cursor) => Ok(after),
        _ => Err(format!("the cursor is {after:?} after the event {last}").into()),
    }
}

/// After any number of events, another subscriber continues at the cursor.
pub(super) async fn resume<S: SourceUnderTest>(mut probe: Probe<S>, topics: &[&str]) -> CaseResult {
    let mut cuts = vec![(probe.subscriber.cursor(), 0)];
    probe.publish(9).await?;
    let all = probe.unread.clone();
    while !probe.unread.is_empty() {
        probe.read_encoded(1).await?;
        cuts.push((probe.subscriber.cursor(), all.len() - probe.unread.len()));
    }
    for (cursor, read) in cuts {
        let Some(resumed) = cursor.and_then(|cursor| probe.source.resume(topics, cursor)) else { continue };
        let (mut resumed, mut seen) = (resumed?, Vec::new());
        while seen.len() < all.len() - read {
            seen.extend(batch(next(&mut resumed).await)?.events);
        }
        same(&all[read..], &seen).map_err(|error| format!("after {read} events: {error}"))?;
    }
    Ok(())
}

/// The head, if it is known, is not before an event that was delivered.
pub(super) async fn head<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    probe.publish(5).await?;
    while !probe.unread.is_empty() {
        let last = probe.read_encoded(1).await?.cursors.map(|(_, last)| last);
        let head = probe.subscriber.info().head();
        if let Some((head, last)) = head.zip(last).filter(|(head, last)| is_before(*head, *last)) {
            return Err(format!("the head is {head} after the event {last}").into());
        }
    }
    Ok(())
}
