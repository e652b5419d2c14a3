use std::collections::HashMap;

use tidings::Event;

use crate::clients::{End, Gap, Seen};
use crate::conformance::scene::{Scene, Verdict, Visit};

const TOPICS: [&str; 2] = ["eu", "us"];

/// A client that conflates sees the newest event of each key of each topic in its place, and all events without a key.
/// One that keeps up sees everything.
pub(crate) async fn latest(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    for size in [1, 7, 60, 500] {
        visit.sees(&newest(&ticks(scene, size).await)).await?;
        for _ in 0..3 {
            let one = ticks(scene, 1).await.remove(0).1;
            visit.sees(&[one]).await?;
        }
    }
    Ok(())
}

/// Wherever it breaks off: by the other row it sees the newest of what it has not seen, of keys too whose older events
/// were left out before.
pub(crate) async fn latest_by_another(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    for cut in [0, 1, 4, 6] {
        visit.sees(&scene.publish(&TOPICS, 1).await).await?;
        let unread = newest(&ticks(scene, 40).await);
        visit.sees(&unread[..cut]).await?;
        let cursor = visit.cut()?;
        let mut other = Visit::begin(scene.other(), &TOPICS, Some(&cursor)).await?;
        other.sees(&unread[cut..]).await?;
        let cursor = other.cut()?;
        let away = newest(&ticks(scene, 30).await);
        visit = Visit::begin(scene.row(), &TOPICS, Some(&cursor)).await?;
        visit.sees(&away).await?;
    }
    Ok(())
}

/// A client that comes back behind the newest events of all keys misses nothing, though older ones left history meanwhile.
pub(crate) async fn latest_away(scene: Scene<'_>) -> Verdict {
    for topics in [&["eu"][..], &TOPICS] {
        let before = scene.stage.publish("eu", with_key(0, 0).1).await;
        let mut away = Vec::new();
        for tick in 1..50 {
            let (key, event) = with_key(tick, tick % 3);
            away.push((key, scene.stage.publish("eu", event).await));
        }
        let mut visit = Visit::begin(scene.row(), topics, before.cursor()).await?;
        visit.sees(&newest(&away)).await?;
        visit.sees(&scene.publish(topics, 2).await).await?;
    }
    Ok(())
}

/// Events that left history unread, and were not replaced, are a gap for a client that conflates too, with their
/// number. The newest of the rest follow.
pub(crate) async fn latest_behind(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    visit.sees(&scene.publish(&["eu"], 1).await).await?;
    let mut burst = Vec::new();
    for tick in 0..2_000 {
        // One in the middle has a key that no other has.
        let (key, event) = with_key(tick, if tick == 1_000 { tick } else { tick % 3 });
        burst.push((key, scene.stage.publish("eu", event).await));
    }
    let seen = visit.see_until(burst.len(), |seen| !matches!(seen, Seen::Event(_))).await?;
    let (gap, before) = seen.split_last().ok_or("saw nothing")?;
    let Seen::Gap(Gap { cursor, missed: Some(missed), reason, .. }) = gap else {
        let raw = *gap == Seen::End(End::Gap) && !scene.row().resumes();
        return if raw { Ok(()) } else { Err(format!("expected a gap with a number, saw {gap:?}")) };
    };
    let last = burst.iter().position(|(_, told)| told.cursor() == Some(cursor)).ok_or("a gap up to nowhere")?;
    let first = (last + 1).checked_sub(*missed as usize).ok_or("missed more than there was")?;
    if reason != "overflow" || last != 1_000 {
        return Err(format!("only that one is missed: {gap:?}"));
    }
    // What is seen before was in memory still, and is a part of what stood there.
    let mut old = burst[..first].iter();
    for seen in before {
        if !old.any(|(_, told)| visit.compare(std::slice::from_ref(told), std::slice::from_ref(seen)).is_ok()) {
            return Err(format!("{seen:?} is none of those before the gap"));
        }
    }
    visit.sees(&newest(&burst[burst.len() - 4..])).await?;
    visit.sees(&scene.publish(&TOPICS, 2).await).await
}

/// A client that asked to be disconnected when it is too slow gets its wire's message for that, and nothing after it.
pub(crate) async fn disconnect(scene: Scene<'_>) -> Verdict {
    for topics in [&["a"][..], &["a", "b"]] {
        let mut visit = Visit::begin(scene.row(), topics, None).await?;
        visit.sees(&scene.publish(&["a"], 3).await).await?;
        let burst = scene.publish(&["a"], 2_000).await;
        let seen = visit.see_until(burst.len(), |seen| !matches!(seen, Seen::Event(_))).await?;
        let read = seen.len() - 1;
        visit.compare(&burst[..read], &seen[..read])?;
        if seen[read] != Seen::End(End::Later) {
            return Err(format!("expected to be let go, saw {:?}", seen[read]));
        }
    }
    Ok(())
}

type Key = Option<String>;

/// Publishes this number of events to both topics: four of five with one of a few keys, every fifth without.
async fn ticks(scene: Scene<'_>, count: usize) -> Vec<(Key, Seen)> {
    let mut all = Vec::with_capacity(count);
    for (tick, topic) in (0..count).zip(TOPICS.into_iter().cycle()) {
        let (key, event) = match tick % 5 {
            4 => (None, Event::text(tick.to_string())),
            _ => with_key(tick, tick % 3),
        };
        all.push((key.map(|key| format!("{topic} {key}")), scene.stage.publish(topic, event).await));
    }
    all
}

fn with_key(tick: usize, key: usize) -> (Key, Event) {
    (Some(key.to_string()), Event::text(tick.to_string()).with_key(&key.to_string()).unwrap())
}

/// Returns the events that a client sees of these, if it read none of them before.
fn newest(all: &[(Key, Seen)]) -> Vec<Seen> {
    let last: HashMap<_, _> = all.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
    let kept = all.iter().enumerate().filter(|(at, (key, _))| key.is_none() || last[key] == *at);
    kept.map(|(_, (_, told))| told.clone()).collect()
}
