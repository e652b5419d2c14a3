//! Hubs of several nodes on one log.

use std::future::poll_fn;

use crate::conformance::engines::EngineUnderTest;
use crate::conformance::engines::node_hub::NodeHub;
use crate::conformance::engines::seam::{Seam, within};
use crate::conformance::run::{CaseResult, Problem};
use crate::contract::{Delivery, Hub, Start, Subscribe, Subscriber};
use crate::engine::EngineSubscription;
use crate::model::{Cursor, EndReason, Topic};

/// An event, and the end, that were published at another node.
pub(super) async fn other_node<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.hub().await?, seam.hub().await?);
    let mut topic = subscribe(&other, &["a"], Start::Now)?;
    let mut pattern = other.subscribe(Subscribe::patterns(["b/*"]))?;
    publish(&one, "a", "1").await?;
    publish(&one, "b/x", "2").await?;
    expect(&mut topic, &["1"]).await?;
    expect(&mut pattern, &["2"]).await?;
    publish(&other, "a", "3").await?;
    within("`finish`", one.finish(&Topic::new("a")?, EndReason::Stopped)).await??;
    expect(&mut topic, &["3", "end of a: stopped"]).await
}

/// A subscription from now has each event that is published after it began, also if its topics are not followed yet.
pub(super) async fn from_now<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.hub().await?, seam.hub().await?);
    for number in 0..10 {
        let topic = format!("topic/{number}");
        publish(&one, &topic, "before").await?;
        let mut now = subscribe(&one, &[&topic], Start::Now)?;
        publish(&one, &topic, "1").await?;
        publish(&other, &topic, "2").await?;
        expect(&mut now, &["1", "2"]).await?;
        publish(&other, &topic, "3").await?;
        expect(&mut now, &["3"]).await?;
    }
    Ok(())
}

/// Each cursor of a node resumes at another one.
pub(super) async fn resumed<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.hub().await?, seam.hub().await?);
    let texts: Vec<_> = (0..12).map(|number| number.to_string()).collect();
    let mut texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let mut cursors = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        cursors.push(publish(&one, ["a", "b"][number % 2], text).await?);
    }
    texts.extend(["one", "two"]);
    let mut resumed = Vec::new();
    for (number, cursor) in cursors.iter().enumerate() {
        let mut subscription = subscribe(&other, &["a", "b"], Start::After(*cursor))?;
        expect(&mut subscription, &texts[number + 1..12]).await?;
        resumed.push(subscription);
    }
    publish(&one, "a", "one").await?;
    publish(&other, "b", "two").await?;
    for subscription in &mut resumed {
        expect(subscription, &texts[12..]).await?;
    }
    Ok(())
}

/// A cursor that is newer than all that a node has.
pub(super) async fn ahead<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.hub().await?, seam.hub().await?);
    for number in 0..10 {
        let topic = format!("topic/{number}");
        let before = publish(&one, &topic, "before").await?;
        let cursor = publish(&one, &topic, "cursor").await?;
        let mut at_end = subscribe(&other, &[&topic], Start::After(cursor))?;
        let mut at_last = subscribe(&other, &[&topic], Start::After(before))?;
        publish(&one, &topic, "after").await?;
        expect(&mut at_end, &["after"]).await?;
        expect(&mut at_last, &["cursor", "after"]).await?;
    }
    Ok(())
}

fn subscribe(hub: &NodeHub, topics: &[&str], start: Start) -> Result<EngineSubscription, Problem> {
    Ok(hub.subscribe(Subscribe::topics(topics).start(start))?)
}

async fn publish(hub: &NodeHub, topic: &str, text: &str) -> Result<Cursor, Problem> {
    let topic = Topic::new(topic)?;
    let receipt = within("`publish`", hub.publish(&topic, text.into())).await??;
    receipt.cursor().ok_or_else(|| "the receipt of a publish has no cursor".into())
}

/// Reads texts of events, and names of other deliveries.
async fn expect(subscription: &mut EngineSubscription, expected: &[&str]) -> CaseResult {
    let mut seen: Vec<String> = Vec::new();
    while seen.len() < expected.len() {
        let what = format!("a subscription that lacks {:?}", &expected[seen.len()..]);
        match within(&what, poll_fn(|cx| subscription.poll_next(cx))).await? {
            Delivery::Events(batch) => {
                seen.extend(batch.iter().map(|event| event.event.as_str().unwrap_or_default().to_owned()));
            }
            Delivery::TopicEnd(end) => seen.push(format!("end of {}: {}", end.topic, end.reason.as_str())),
            other => seen.push(format!("{other:?}")),
        }
        let is_same = seen.iter().zip(expected).all(|(seen, expected)| seen == expected);
        if !is_same || seen.len() > expected.len() {
            return Err(format!("expected {expected:?}, got {seen:?}").into());
        }
    }
    Ok(())
}
