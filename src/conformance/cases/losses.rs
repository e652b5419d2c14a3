//! Clients that are further behind than the hub's retention: each event is delivered, or a gap in its place.

use crate::conformance::run::{CaseContext, CaseResult};

const TOPICS: [&str; 2] = ["a", "b"];
/// Number of events: more than a hub with a small retention keeps.
const BURST: usize = 300;

/// A client resumes after a burst.
pub(in crate::conformance) async fn away(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&TOPICS[..1], &TOPICS] {
        let mut client = cx.connect(topics, None).await?;
        client.expect(&cx.publish(topics, 2).await?).await?;
        let cursor = client.disconnect()?;
        let burst = cx.publish(topics, BURST).await?;
        let mut client = cx.connect(topics, Some(&cursor)).await?;
        client.follow(&burst, 4).await?;
        client.expect(&cx.publish(topics, 3).await?).await?;
    }
    Ok(())
}

/// A connected client reads nothing during a burst.
pub(in crate::conformance) async fn behind(cx: CaseContext<'_>) -> CaseResult {
    if !cx.row().resumes() {
        return Ok(());
    }
    for topics in [&TOPICS[..1], &TOPICS] {
        let mut client = cx.connect(topics, None).await?;
        client.expect(&cx.publish(topics, 2).await?).await?;
        let burst = cx.publish(topics, BURST).await?;
        client.follow(&burst, 4).await?;
        client.expect(&cx.publish(topics, 3).await?).await?;
    }
    Ok(())
}
