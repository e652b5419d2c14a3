use crate::contract::EventRef;
use crate::model::Event;

use crate::conformance::clients::Seen;
use crate::conformance::run::{CaseContext, CaseResult, Problem};

const TOPICS: [&str; 2] = ["a", "b"];

/// Predicate of these cases.
pub(in crate::conformance) fn is_visible(event: &EventRef<'_>) -> bool {
    event.event.tag() == Some("visible")
}

/// A client gets the events that the predicate keeps, and no gap for the others.
pub(in crate::conformance) async fn kept_events_only(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    for tags in ["1", "0", "01", "10", "010", "11010011", "00000", "1"] {
        client.expect(&publish(cx, tags).await?).await?;
    }
    Ok(())
}

/// A client resumes on another row at the last event that the predicate kept. It gets the kept events after it, and no gap for
/// the events before it, which are evicted.
pub(in crate::conformance) async fn on_another(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    for tags in ["0001", "0000", "0001", "10010"] {
        client.expect(&publish(cx, tags).await?).await?;
    }
    let cursor = client.disconnect()?;
    let away = publish(cx, "000100").await?;

    let mut client = cx.connect_other(&TOPICS, Some(&cursor)).await?;
    client.expect(&away).await?;
    for tags in ["01", "0001", "0000", "0110"] {
        client.expect(&publish(cx, tags).await?).await?;
    }
    let cursor = client.disconnect()?;

    let away = publish(cx, "00001").await?;
    let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
    client.expect(&away).await?;
    client.expect(&publish(cx, "01").await?).await
}

/// Publishes a visible event for each `1`, and a hidden one for each `0`. Returns the visible ones.
async fn publish(cx: CaseContext<'_>, tags: &str) -> Result<Vec<Seen>, Problem> {
    let mut visible = Vec::new();
    for ((number, tag), topic) in tags.chars().enumerate().zip(TOPICS.into_iter().cycle()) {
        let event = Event::text(format!("{number} of {tags}"));
        match tag {
            '1' => visible.push(cx.hub.publish(topic, event.with_tag("visible")?).await?),
            _ => drop(cx.hub.publish(topic, event.with_tag("hidden")?).await?),
        }
    }
    Ok(visible)
}
