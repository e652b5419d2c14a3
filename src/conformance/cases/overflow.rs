use std::collections::HashMap;

use crate::model::Event;

use crate::conformance::clients::{ClientEnd, Seen, SeenGap};
use crate::conformance::run::{CaseContext, CaseResult, Problem};

const TOPICS: [&str; 2] = ["eu", "us"];

/// A client that conflates gets the newest event of each key of each topic in order, and all events without a key. A client
/// that keeps up gets every event.
pub(in crate::conformance) async fn latest(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    for size in [1, 7, 60, 500] {
        client.expect(&newest(&ticks(cx, size).await?)).await?;
        for _ in 0..3 {
            let one = ticks(cx, 1).await?.remove(0).1;
            client.expect(&[one]).await?;
        }
    }
    Ok(())
}

/// After a cut anywhere, the client gets the newest unread events on the other row, also of keys whose older events were left
/// out before.
pub(in crate::conformance) async fn latest_on_another(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    for cut in [0, 1, 4, 6] {
        client.expect(&cx.publish(&TOPICS, 1).await?).await?;
        let unread = newest(&ticks(cx, 40).await?);
        client.expect(&unread[..cut]).await?;
        let cursor = client.disconnect()?;
        let mut other = cx.connect_other(&TOPICS, Some(&cursor)).await?;
        other.expect(&unread[cut..]).await?;
        let cursor = other.disconnect()?;
        let away = newest(&ticks(cx, 30).await?);
        client = cx.connect(&TOPICS, Some(&cursor)).await?;
        client.expect(&away).await?;
    }
    Ok(())
}

/// A client that resumes before the newest events of all keys misses nothing, although older ones left history.
pub(in crate::conformance) async fn latest_resumed(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&["eu"][..], &TOPICS] {
        let before = cx.hub.publish("eu", with_key(0, 0)?.1).await?;
        let mut away = Vec::new();
        for tick in 1..50 {
            let (key, event) = with_key(tick, tick % 3)?;
            away.push((key, cx.hub.publish("eu", event).await?));
        }
        let mut client = cx.connect(topics, before.cursor()).await?;
        client.expect(&newest(&away)).await?;
        client.expect(&cx.publish(topics, 2).await?).await?;
    }
    Ok(())
}

/// A client that conflates gets a gap, with a number, for events that left history unread and were not replaced. The newest
/// of the other events follow.
pub(in crate::conformance) async fn latest_lagging(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&cx.publish(&["eu"], 1).await?).await?;
    let mut burst = Vec::new();
    for tick in 0..2_000 {
        // One event in the middle has a key of its own.
        let (key, event) = with_key(tick, if tick == 1_000 { tick } else { tick % 3 })?;
        burst.push((key, cx.hub.publish("eu", event).await?));
    }
    let seen = client.read_until(burst.len(), |seen| !matches!(seen, Seen::Event(_))).await?;
    let (gap, before) = seen.split_last().ok_or("saw nothing")?;
    let Seen::Gap(SeenGap { cursor, missed: Some(missed), reason, .. }) = gap else {
        let raw = *gap == Seen::End(ClientEnd::Gap) && !cx.row().resumes();
        return if raw { Ok(()) } else { Err(format!("expected a gap with a number, saw {gap:?}").into()) };
    };
    let last = burst.iter().position(|(_, item)| item.cursor() == Some(cursor)).ok_or("a gap at an unknown cursor")?;
    let first = (last + 1).checked_sub(*missed as usize).ok_or("missed more than there was")?;
    if reason != "overflow" || last != 1_000 {
        return Err(format!("expected only that event in the gap: {gap:?}").into());
    }
    // Events before the gap were still in memory.
    let mut old = burst[..first].iter();
    for seen in before {
        if !old.any(|(_, item)| client.compare(std::slice::from_ref(item), std::slice::from_ref(seen)).is_ok()) {
            return Err(format!("{seen:?} is no event before the gap").into());
        }
    }
    client.expect(&newest(&burst[burst.len() - 4..])).await?;
    client.expect(&cx.publish(&TOPICS, 2).await?).await
}

/// A client with `Overflow::Disconnect` that lags gets the end of its wire format, and nothing after it.
pub(in crate::conformance) async fn disconnect(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&["a"][..], &["a", "b"]] {
        let mut client = cx.connect(topics, None).await?;
        client.expect(&cx.publish(&["a"], 3).await?).await?;
        let burst = cx.publish(&["a"], 2_000).await?;
        let seen = client.read_until(burst.len(), |seen| !matches!(seen, Seen::Event(_))).await?;
        let read = seen.len() - 1;
        client.compare(&burst[..read], &seen[..read])?;
        if seen[read] != Seen::End(ClientEnd::Later) {
            return Err(format!("expected a disconnect, saw {:?}", seen[read]).into());
        }
    }
    Ok(())
}

type Key = Option<String>;

/// Publishes this number of events to both topics: four of five with one of three keys, every fifth without a key.
async fn ticks(cx: CaseContext<'_>, count: usize) -> Result<Vec<(Key, Seen)>, Problem> {
    let mut all = Vec::with_capacity(count);
    for (tick, topic) in (0..count).zip(TOPICS.into_iter().cycle()) {
        let (key, event) = match tick % 5 {
            4 => (None, Event::text(tick.to_string())),
            _ => with_key(tick, tick % 3)?,
        };
        all.push((key.map(|key| format!("{topic} {key}")), cx.hub.publish(topic, event).await?));
    }
    Ok(all)
}

fn with_key(tick: usize, key: usize) -> Result<(Key, Event), Problem> {
    Ok((Some(key.to_string()), Event::text(tick.to_string()).with_key(&key.to_string())?))
}

/// Returns the events that a client gets of these if it has read none of them.
fn newest(all: &[(Key, Seen)]) -> Vec<Seen> {
    let last: HashMap<_, _> = all.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
    let kept = all.iter().enumerate().filter(|(at, (key, _))| key.is_none() || last[key] == *at);
    kept.map(|(_, (_, item))| item.clone()).collect()
}
