use std::time::Duration;

use tidings::Event;

use crate::clients::Seen;
use crate::conformance::scene::{Scene, Verdict, Visit};

const TOPICS: [&str; 2] = ["a", "b"];

/// Expired events are not seen, wherever they are among the others: alone, before, between and after.
pub(crate) async fn never_seen(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    for lives in ["0", "01", "10", "010", "11010011", "00000", "1"] {
        let alive = publish(scene, lives).await;
        visit.sees(&alive).await?;
    }
    Ok(())
}

/// Nor by who comes back, and it is no gap.
pub(crate) async fn no_gap(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    visit.sees(&publish(scene, "1").await).await?;
    let cursor = visit.cut()?;
    let mut away = publish(scene, &"0".repeat(300)).await;
    away.extend(publish(scene, "1001").await);
    let mut visit = Visit::begin(scene.row(), &TOPICS, Some(&cursor)).await?;
    visit.sees(&away).await?;
    visit.sees(&publish(scene, "0101").await).await
}

/// For each `1` one that lives, and for each `0` one whose time is over at once. Says those that live.
async fn publish(scene: Scene<'_>, lives: &str) -> Vec<Seen> {
    let mut alive = Vec::new();
    for ((number, life), topic) in lives.chars().enumerate().zip(TOPICS.into_iter().cycle()) {
        let event = Event::text(number.to_string());
        match life {
            '1' => alive.push(scene.stage.publish(topic, event.with_ttl(Duration::from_secs(3_600))).await),
            _ => drop(scene.stage.publish(topic, event.with_ttl(Duration::ZERO)).await),
        }
    }
    alive
}
