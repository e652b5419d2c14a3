//! Encoded deliveries.

use std::future::poll_fn;

use crate::conformance::run::{CaseResult, Problem};
use crate::conformance::subscriber::SourceUnderTest;
use crate::conformance::subscriber::probe::{ENOUGH, Lines, Probe, lines};
use crate::contract::{Slot, Subscriber};

/// `poll_encoded` delivers the events of `poll_next` for any `max`, in whole events.
pub(super) async fn equals_batches<S: SourceUnderTest>(
    open: &impl AsyncFn() -> Result<S, Problem>,
    topics: &[&str],
) -> CaseResult {
    for max in [0, 1, 100, 1_000, ENOUGH] {
        for slot in [None, Some(Slot::APPLICATION[0])] {
            let mut probe = Probe::new(open().await?, topics)?;
            probe.publish(40).await?;
            let format = Lines(slot);
            while !probe.unread.is_empty() {
                let delivery = poll_fn(|cx| probe.subscriber.poll_encoded(cx, &format, max)).await;
                let delivered = lines(delivery, max, probe.subscriber.heeds_max())
                    .map_err(|error| format!("with a maximum of {max}: {error}"))?;
                probe.take(&delivered.events).map_err(|error| format!("with a maximum of {max}: {error}"))?;
            }
        }
    }
    Ok(())
}

/// An event that is larger than `max` is delivered, alone if the subscriber heeds `max`.
pub(super) async fn large_event<S: SourceUnderTest>(mut probe: Probe<S>) -> CaseResult {
    probe.publish(2).await?;
    probe.publish_text("y".repeat(5_000)).await?;
    probe.publish(2).await?;
    while !probe.unread.is_empty() {
        probe.read_encoded(600).await?;
    }
    Ok(())
}
