use std::time::Duration;

use crate::model::Event;

use crate::conformance::clients::Seen;
use crate::conformance::run::{CaseContext, CaseResult, Problem};

const TOPICS: [&str; 2] = ["a", "b"];

/// Expired events are not delivered, alone or before, between and after other events.
pub(in crate::conformance) async fn never_delivered(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    for lives in ["0", "01", "10", "010", "11010011", "00000", "1"] {
        let alive = publish(cx, lives).await?;
        client.expect(&alive).await?;
    }
    Ok(())
}

/// Expired events are not delivered to a resumed client, and are no gap.
pub(in crate::conformance) async fn no_gap(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&publish(cx, "1").await?).await?;
    let cursor = client.disconnect()?;
    let mut away = publish(cx, &"0".repeat(300)).await?;
    away.extend(publish(cx, "1001").await?);
    let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
    client.expect(&away).await?;
    client.expect(&publish(cx, "0101").await?).await
}

/// Publishes an event that lives for each `1`, and one that expires at once for each `0`. Returns those that live.
async fn publish(cx: CaseContext<'_>, lives: &str) -> Result<Vec<Seen>, Problem> {
    let mut alive = Vec::new();
    for ((number, life), topic) in lives.chars().enumerate().zip(TOPICS.into_iter().cycle()) {
        let event = Event::text(number.to_string());
        match life {
            '1' => alive.push(cx.hub.publish(topic, event.with_ttl(Duration::from_secs(3_600))).await?),
            _ => drop(cx.hub.publish(topic, event.with_ttl(Duration::ZERO)).await?),
        }
    }
    Ok(alive)
}
