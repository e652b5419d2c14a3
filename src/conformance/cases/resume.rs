use crate::conformance::run::{CaseContext, CaseResult};

const TOPICS: [&str; 3] = ["a", "b", "c/d"];

/// A client that disconnects before the first event misses nothing after its first cursor.
pub(in crate::conformance) async fn before_the_first(cx: CaseContext<'_>) -> CaseResult {
    cx.publish(&TOPICS, 4).await?;
    let client = cx.connect(&TOPICS, None).await?;
    let cursor = client.cursor().ok_or("no cursor before the first event")?.to_owned();
    drop(client);
    let away = cx.publish(&TOPICS, 4).await?;
    cx.connect(&TOPICS, Some(&cursor)).await?.expect(&away).await
}

/// After any number of events, the client continues with the unread events and those published while it was away.
pub(in crate::conformance) async fn at_every_cut(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&cx.publish(&TOPICS, 1).await?).await?;
    let mut cursor = client.disconnect()?;
    let mut pending = Vec::new();
    for cut in 0..7 {
        let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
        pending.extend(cx.publish(&TOPICS, 5).await?);
        client.expect(&pending[..cut]).await?;
        pending.drain(..cut);
        cursor = client.disconnect()?;
        pending.extend(cx.publish(&TOPICS, 2).await?);
    }
    let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
    pending.extend(cx.publish(&TOPICS, 1).await?);
    client.expect(&pending).await
}

/// A cursor can be used twice, so a client whose reply was lost gets the same events again.
pub(in crate::conformance) async fn twice(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&cx.publish(&TOPICS, 2).await?).await?;
    let cursor = client.disconnect()?;
    let away = cx.publish(&TOPICS, 5).await?;
    for _ in 0..2 {
        cx.connect(&TOPICS, Some(&cursor)).await?.expect(&away).await?;
    }
    Ok(())
}

/// Resumes on another row with part of a burst unread, and then on the first row.
pub(in crate::conformance) async fn on_another(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    let burst = cx.publish(&TOPICS, 6).await?;
    client.expect(&burst[..2]).await?;
    let cursor = client.disconnect()?;
    let away = cx.publish(&TOPICS, 4).await?;

    let mut client = cx.connect_other(&TOPICS, Some(&cursor)).await?;
    client.expect(&burst[2..]).await?;
    client.expect(&away).await?;
    client.expect(&cx.publish(&TOPICS, 3).await?).await?;
    let cursor = client.disconnect()?;

    let away = cx.publish(&TOPICS, 1).await?;
    let mut client = cx.connect(&TOPICS, Some(&cursor)).await?;
    client.expect(&away).await?;
    client.expect(&cx.publish(&TOPICS, 3).await?).await
}
