use serde_json::json;
use tidings::Event;

use crate::conformance::scene::{Scene, Verdict, Visit};

/// Events come in the hub's order: those from before the first look, and those that come one by one.
pub(crate) async fn across_topics(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &["news", "prices/eu"], None).await?;
    visit.sees(&scene.publish(&["news", "prices/eu", "prices/eu"], 20).await).await?;
    for topic in ["news", "prices/eu", "news", "news", "prices/eu"] {
        visit.sees(&scene.publish(&[topic], 1).await).await?;
    }
    Ok(())
}

pub(crate) async fn payloads(scene: Scene<'_>) -> Verdict {
    let events = [
        Event::text("a\nb\r\nc\rd\n\n"),
        Event::text(""),
        Event::text(" data: x\nid: 7\n\t:"),
        Event::text("\"\\\u{0}\u{1b}\u{7f}\u{85}\u{2028}\u{feff}é中🦀"),
        Event::json(&json!({ "a": [1, -2.5, null, true, "x\ny"], "é": {} })).unwrap(),
        Event::json(&json!(null)).unwrap(),
        Event::binary(Vec::from_iter(0..=255_u8)),
        Event::binary(Vec::new()),
        Event::text("7").with_name("price").unwrap().with_key("ACME").unwrap(),
        Event::binary(vec![0xff, 0xfe]).with_name("é 1: 2").unwrap(),
    ];
    let mut visit = Visit::begin(scene.row(), &["all/kinds", "é 中"], None).await?;
    for event in events {
        let all = [scene.stage.publish("all/kinds", event.clone()).await, scene.stage.publish("é 中", event).await];
        visit.sees(&all).await?;
    }
    Ok(())
}

/// More than goes out in one piece, and single events that are larger than one.
pub(crate) async fn a_burst(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &["a", "b"], None).await?;
    let mut all = Vec::new();
    for size in (0..40).map(|number| number * 331).chain([70_000, 0, 1, 140_000, 2]) {
        for topic in ["a", "b"] {
            all.push(scene.stage.publish(topic, "x".repeat(size)).await);
        }
    }
    visit.sees(&all).await
}

pub(crate) async fn nothing_of_others(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &["mine"], None).await?;
    for _ in 0..3 {
        scene.publish(&["others", "mine/too", "min"], 3).await;
        visit.sees(&scene.publish(&["mine"], 2).await).await?;
    }
    Ok(())
}
