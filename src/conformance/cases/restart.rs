//! Hubs whose history outlives them.

use crate::conformance::clients::{ClientEnd, Seen};
use crate::conformance::run::{CaseContext, CaseResult};

const TOPICS: [&str; 3] = ["a", "b", "c/d"];

/// A client that was cut after any number of events gets the others after a restart, each once and without a gap.
pub(in crate::conformance) async fn at_every_cut(cx: CaseContext<'_>) -> CaseResult {
    let begin = cx.connect(&TOPICS, None).await?.disconnect()?;
    let mut all = cx.publish(&TOPICS, 7).await?;
    let mut cursors = vec![begin];
    for _ in 0..2 {
        let mut client = cx.connect(&TOPICS, Some(&cursors[0])).await?;
        cursors.truncate(1);
        for event in &all {
            client.expect(std::slice::from_ref(event)).await?;
            cursors.push(client.cursor().ok_or("no cursor")?.to_owned());
        }
        drop(client);
        cx.hub.reopen().await?;
        all.extend(cx.publish(&TOPICS, 2).await?);
        for (cut, cursor) in cursors.iter().enumerate() {
            let mut client = cx.connect_other(&TOPICS, Some(cursor)).await?;
            client.expect(&all[cut..]).await.map_err(|error| format!("cut after {cut}: {error}"))?;
        }
    }
    Ok(())
}

/// A client that is cut before each of several restarts, with unread events, misses nothing.
pub(in crate::conformance) async fn between_restarts(cx: CaseContext<'_>) -> CaseResult {
    let (mut cursor, mut pending) = (cx.connect(&TOPICS, None).await?.disconnect()?, Vec::new());
    for cut in [0, 3, 1, 6] {
        let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
        pending.extend(cx.publish(&TOPICS, 4).await?);
        client.expect(&pending[..cut]).await?;
        pending.drain(..cut);
        cursor = client.disconnect()?;
        pending.extend(cx.publish(&TOPICS, 1).await?);
        cx.hub.reopen().await?;
    }
    let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
    pending.extend(cx.publish(&TOPICS, 3).await?);
    client.expect(&pending).await
}

/// A connected client gets all events and the end when the hub is closed, and resumes after the restart.
pub(in crate::conformance) async fn connected(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    let mut expected = cx.publish(&TOPICS, 5).await?;
    expected.push(Seen::End(ClientEnd::Finished));
    cx.hub.close().await?;
    client.expect(&expected).await?;
    let cursor = client.cursor().map(str::to_owned);
    drop(client);
    cx.hub.reopen().await?;
    let away = cx.publish(&TOPICS, 2).await?;
    if let Some(cursor) = cursor {
        let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
        client.expect(&away).await?;
        client.expect(&cx.publish(&TOPICS, 2).await?).await?;
    }
    Ok(())
}

/// A client without a cursor gets no event of before the restart.
pub(in crate::conformance) async fn new_client(cx: CaseContext<'_>) -> CaseResult {
    cx.publish(&TOPICS, 5).await?;
    cx.hub.reopen().await?;
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&cx.publish(&TOPICS, 3).await?).await
}

/// A client that is behind the retention when the hub restarts gets each event or a gap in its place.
pub(in crate::conformance) async fn evicted(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS[..2], None).await?;
    client.expect(&cx.publish(&TOPICS[..2], 2).await?).await?;
    let cursor = client.disconnect()?;
    let away = cx.publish(&TOPICS[..2], 100).await?;
    cx.hub.reopen().await?;
    let mut client = cx.connect(&TOPICS[..2], Some(&cursor)).await?;
    client.follow(&away, 4).await?;
    client.expect(&cx.publish(&TOPICS[..2], 3).await?).await
}

/// The gap after the loss of a history that had been continued over a restart.
pub(in crate::conformance) async fn then_lost(cx: CaseContext<'_>) -> CaseResult {
    cx.publish(&TOPICS, 5).await?;
    cx.hub.reopen().await?;
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&cx.publish(&TOPICS, 5).await?).await?;
    let cursor = client.disconnect()?;
    cx.hub.replace().await?;
    let all = cx.publish(&TOPICS, 3).await?;
    let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
    match client.read_until(1, |_| true).await?.as_slice() {
        [Seen::Gap(gap)] if gap.reason == "epoch" => client.expect(&all).await,
        other => Err(format!("expected a gap of another epoch, saw {other:?}").into()),
    }
}
