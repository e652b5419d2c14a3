use crate::model::Event;
use serde_json::json;

use crate::conformance::run::{CaseContext, CaseResult};

/// Events are delivered in the order of the hub: those before the first read, and those one by one.
pub(in crate::conformance) async fn across_topics(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&["news", "prices/eu"], None).await?;
    client.expect(&cx.publish(&["news", "prices/eu", "prices/eu"], 20).await?).await?;
    for topic in ["news", "prices/eu", "news", "news", "prices/eu"] {
        client.expect(&cx.publish(&[topic], 1).await?).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn payloads(cx: CaseContext<'_>) -> CaseResult {
    let events = [
        Event::text("a\nb\r\nc\rd\n\n"),
        Event::text(""),
        Event::text(" data: x\nid: 7\n\t:"),
        Event::text("\"\\\u{0}\u{1b}\u{7f}\u{85}\u{2028}\u{feff}é中🦀"),
        Event::json(&json!({ "a": [1, -2.5, null, true, "x\ny"], "é": {} }))?,
        Event::json(&json!(null))?,
        Event::binary(Vec::from_iter(0..=255_u8)),
        Event::binary(Vec::new()),
        Event::text("7").with_name("price")?.with_key("ACME")?,
        Event::binary(vec![0xff, 0xfe]).with_name("é 1: 2")?,
    ];
    let mut client = cx.connect(&["all/kinds", "é 中"], None).await?;
    for event in events {
        let all = [cx.hub.publish("all/kinds", event.clone()).await?, cx.hub.publish("é 中", event).await?];
        client.expect(&all).await?;
    }
    Ok(())
}

/// A burst larger than one batch, with single events that are larger than one.
pub(in crate::conformance) async fn a_burst(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&["a", "b"], None).await?;
    let mut all = Vec::new();
    for size in (0..40).map(|number| number * 331).chain([70_000, 0, 1, 140_000, 2]) {
        for topic in ["a", "b"] {
            all.push(cx.hub.publish(topic, "x".repeat(size)).await?);
        }
    }
    client.expect(&all).await
}

pub(in crate::conformance) async fn no_event_of_other_topics(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&["mine"], None).await?;
    for _ in 0..3 {
        cx.publish(&["others", "mine/too", "min"], 3).await?;
        client.expect(&cx.publish(&["mine"], 2).await?).await?;
    }
    Ok(())
}
