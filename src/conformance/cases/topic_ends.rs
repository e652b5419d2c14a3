use crate::model::EndReason;

use crate::conformance::clients::{ClientEnd, Seen, SeenGap};
use crate::conformance::run::{CaseContext, CaseResult, Problem, moved};

const TOPICS: [&str; 3] = ["a", "b", "c/d"];
const ALL_ENDED: Seen = Seen::End(ClientEnd::AllEnded);

/// Publishes events to topics that end one after another. Returns the items that a client gets, without the end.
async fn history(cx: &CaseContext<'_>) -> Result<Vec<Seen>, Problem> {
    let mut all = cx.publish(&TOPICS, 4).await?;
    all.push(cx.hub.finish("b", EndReason::Stopped).await?);
    all.extend(cx.publish(&["a", "c/d"], 3).await?);
    all.push(cx.hub.finish("c/d", EndReason::Failed).await?);
    all.push(cx.hub.finish("a", EndReason::Done).await?);
    Ok(all)
}

/// A connected client gets each end in its place, and then the end.
pub(in crate::conformance) async fn in_order(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&cx.publish(&TOPICS, 3).await?).await?;
    client.expect(&[cx.hub.finish("b", EndReason::Stopped).await?]).await?;
    client.expect(&cx.publish(&["a", "c/d"], 2).await?).await?;
    client.expect(&[cx.hub.finish("c/d", EndReason::Failed).await?]).await?;
    client.expect(&cx.publish(&["a"], 2).await?).await?;
    client.expect(&[cx.hub.finish("a", EndReason::Done).await?, ALL_ENDED]).await
}

/// All of it was published before the client reads.
pub(in crate::conformance) async fn unread(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&history(&cx).await?).await?;
    client.expect(&[ALL_ENDED]).await
}

/// A client that is cut after any number of items gets the rest, each once. After the last end it gets the end alone.
pub(in crate::conformance) async fn resumed_at_every_cut(cx: CaseContext<'_>) -> CaseResult {
    let client = cx.connect(&TOPICS, None).await?;
    let begin = client.disconnect()?;
    let all = history(&cx).await?;
    for cut in 0..=all.len() {
        let mut client = cx.connect(&TOPICS, Some(&begin)).await?;
        client.expect(&all[..cut]).await?;
        let cursor = client.disconnect()?;
        let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
        client.expect(&all[cut..]).await.map_err(|error| format!("cut after {cut}: {error}"))?;
        client.expect(&[ALL_ENDED]).await.map_err(|error| format!("cut after {cut}: {error}"))?;
    }
    Ok(())
}

/// Resumes on another row before the first end, between two ends and after the last one.
pub(in crate::conformance) async fn on_another(cx: CaseContext<'_>) -> CaseResult {
    let client = cx.connect(&TOPICS, None).await?;
    let begin = client.disconnect()?;
    let all = history(&cx).await?;
    for cut in [2, 5, all.len() - 1, all.len()] {
        let mut client = cx.connect(&TOPICS, Some(&begin)).await?;
        client.expect(&all[..cut]).await?;
        let cursor = client.disconnect()?;
        let mut client = cx.connect_other(&TOPICS, Some(&cursor)).await?;
        client.expect(&all[cut..]).await.map_err(|error| format!("cut after {cut}: {error}"))?;
        client.expect(&[ALL_ENDED]).await.map_err(|error| format!("cut after {cut}: {error}"))?;
    }
    Ok(())
}

/// Of the events of an ended topic, some are evicted: the gap comes first, and the end is not lost.
pub(in crate::conformance) async fn evicted(cx: CaseContext<'_>) -> CaseResult {
    let client = cx.connect(&["a", "b"], None).await?;
    let begin = client.disconnect()?;
    let away = cx.publish(&["a"], 7).await?;
    let (gone, left) = away.split_at(3);
    let ends = [cx.hub.finish("a", EndReason::Done).await?, cx.hub.finish("b", EndReason::Done).await?];

    let mut client = cx.connect(&["a", "b"], Some(&begin)).await?;
    let cursor = gone.last().and_then(Seen::cursor).unwrap_or_default().to_owned();
    let topic = Some("a".to_owned());
    let gap = SeenGap { cursor, reason: "evicted".into(), missed: None, topic, snapshot: false };
    client.expect(&[Seen::Gap(gap)]).await?;
    client.expect(left).await?;
    client.expect(&ends).await?;
    client.expect(&[ALL_ENDED]).await
}

/// A connected client that lags gets a gap, and then the ends.
pub(in crate::conformance) async fn overflow(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&["a", "b"], None).await?;
    client.expect(&cx.publish(&["a", "b"], 2).await?).await?;
    let burst = cx.publish(&["a"], 2_000).await?;
    let ends = [cx.hub.finish("b", EndReason::Stopped).await?, cx.hub.finish("a", EndReason::Done).await?];
    let seen = client.read_until(burst.len() + 3, |seen| matches!(seen, Seen::End(_))).await?;
    if !cx.row().resumes() {
        return client.compare(&[Seen::End(ClientEnd::Gap)], &seen[seen.len() - 1..]);
    }
    if !seen.iter().any(|seen| matches!(seen, Seen::Gap(_))) {
        return Err("no gap".into());
    }
    client.compare(&ends, &seen[seen.len() - 3..])?;
    client.compare(&[ALL_ENDED], &seen[seen.len() - 1..])
}

/// After a restart of the hub the client gets a gap, all events and the ends of the new epoch.
pub(in crate::conformance) async fn epoch(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&["a", "b"], None).await?;
    client.expect(&cx.publish(&["a", "b"], 3).await?).await?;
    let cursor = client.disconnect()?;
    cx.hub.replace().await?;
    let all = cx.publish(&["a", "b"], 4).await?;
    let ends = [cx.hub.finish("a", EndReason::Done).await?, cx.hub.finish("b", EndReason::Failed).await?];

    let mut client = cx.connect(&["a", "b"], Some(&cursor)).await?;
    let start = moved(all[0].cursor(), |_| 0)?;
    let gap = SeenGap { cursor: start, reason: "epoch".into(), missed: None, topic: None, snapshot: false };
    client.expect(&[Seen::Gap(gap)]).await?;
    client.expect(&all).await?;
    client.expect(&ends).await?;
    client.expect(&[ALL_ENDED]).await
}

/// Ends outlive a restart: a client that was cut after any number of items gets the rest, each once.
pub(in crate::conformance) async fn restarted(cx: CaseContext<'_>) -> CaseResult {
    let begin = cx.connect(&TOPICS, None).await?.disconnect()?;
    let all = history(&cx).await?;
    cx.hub.reopen().await?;
    if cx.hub.publish("a", "late").await.is_ok() {
        return Err("the ended topic accepted an event after the restart".into());
    }
    for cut in 0..=all.len() {
        let mut client = cx.connect(&TOPICS, Some(&begin)).await?;
        client.expect(&all[..cut]).await?;
        let cursor = client.disconnect()?;
        let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
        client.expect(&all[cut..]).await.map_err(|error| format!("cut after {cut}: {error}"))?;
        client.expect(&[ALL_ENDED]).await.map_err(|error| format!("cut after {cut}: {error}"))?;
    }
    Ok(())
}

/// A client without a cursor that comes after all ends gets no event, and the end.
pub(in crate::conformance) async fn before(cx: CaseContext<'_>) -> CaseResult {
    history(&cx).await?;
    let mut client = cx.connect(&TOPICS, None).await?;
    let seen = client.read_until(TOPICS.len() + 1, |seen| matches!(seen, Seen::End(_))).await?;
    if seen.iter().any(|seen| matches!(seen, Seen::Event(_) | Seen::Gap(_))) {
        return Err(format!("saw {seen:?}").into());
    }
    client.compare(&[ALL_ENDED], &seen[seen.len() - 1..])
}
