use crate::conformance::clients::{ClientEnd, Seen, SeenGap};
use crate::conformance::run::{CaseContext, CaseResult, moved};
use crate::model::Cursor;

/// Of eleven events the client saw one, and four are retained.
pub(in crate::conformance) async fn evicted(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&["a"], None).await?;
    client.expect(&cx.publish(&["a"], 1).await?).await?;
    let cursor = client.disconnect()?;
    let away = cx.publish(&["a"], 10).await?;
    let (gone, left) = away.split_at(6);

    let mut client = cx.connect(&["a"], Some(&cursor)).await?;
    client.expect(&[evicted_of("a", gone)]).await?;
    client.expect(left).await?;
    client.expect(&cx.publish(&["a"], 1).await?).await
}

/// A gap of one topic removes no event of the other, and is delivered in the place of its last missing event.
pub(in crate::conformance) async fn evicted_in_one(cx: CaseContext<'_>) -> CaseResult {
    let topics = ["loud", "quiet"];
    let mut client = cx.connect(&topics, None).await?;
    client.expect(&cx.publish(&topics, 2).await?).await?;
    let cursor = client.disconnect()?;
    let away = cx.publish(&["loud", "quiet", "loud", "loud", "quiet", "loud", "loud", "loud", "quiet"], 9).await?;
    // Six are of the topic `loud`, of which the first two are evicted.
    let (gone, left) = (&away[..=2], &away[3..]);

    let mut client = cx.connect(&topics, Some(&cursor)).await?;
    client.expect(&[away[1].clone(), evicted_of("loud", gone)]).await?;
    client.expect(left).await?;
    client.expect(&cx.publish(&topics, 2).await?).await
}

/// A gap that a client got on one row is not repeated on another.
pub(in crate::conformance) async fn not_repeated(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&["a", "b"], None).await?;
    client.expect(&cx.publish(&["a", "b"], 2).await?).await?;
    let cursor = client.disconnect()?;
    let away = cx.publish(&["a"], 6).await?;
    let (gone, left) = away.split_at(2);
    let mut client = cx.connect(&["a", "b"], Some(&cursor)).await?;
    client.expect(&[evicted_of("a", gone)]).await?;
    let after_gap = client.disconnect()?;

    let mut client = cx.connect_other(&["a", "b"], Some(&after_gap)).await?;
    client.expect(left).await?;
    drop(client);
    let mut client = cx.connect_other(&["a", "b"], Some(&cursor)).await?;
    client.expect(&[evicted_of("a", gone)]).await?;
    client.expect(left).await
}

/// A connected client that lags gets a gap in the place of the missed events, with their exact number.
pub(in crate::conformance) async fn overflow(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&["a"][..], &["a", "b"]] {
        let mut client = cx.connect(topics, None).await?;
        client.expect(&cx.publish(&["a"], 1).await?).await?;
        // A hub may keep more events for connected clients than it must, but not all of these.
        let burst = cx.publish(&["a"], 2_000).await?;
        let seen = client.read_until(burst.len(), |seen| !matches!(seen, Seen::Event(_))).await?;
        let (left, rest) = burst.split_at(seen.len() - 1);
        client.compare(left, &seen[..left.len()])?;
        let missed = match &seen[left.len()] {
            Seen::Gap(SeenGap { missed: Some(missed), .. }) => *missed as usize,
            Seen::End(ClientEnd::Gap) if !cx.row().resumes() => continue,
            other => return Err(format!("expected an overflow with a number, saw {other:?}").into()),
        };
        let (gone, rest) = rest.split_at_checked(missed).ok_or("missed more than there was")?;
        client.compare(&[overflow_of("a", gone)], &seen[left.len()..])?;
        client.expect(rest).await?;
        client.expect(&cx.publish(topics, 3).await?).await?;
    }
    Ok(())
}

/// After a restart of the hub the client gets a gap and all events of the new epoch.
pub(in crate::conformance) async fn epoch(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&["a"][..], &["a", "b"]] {
        let mut client = cx.connect(topics, None).await?;
        client.expect(&cx.publish(topics, 3).await?).await?;
        let cursor = client.disconnect()?;
        cx.hub.replace().await?;
        let all = cx.publish(topics, 4).await?;

        let mut client = cx.connect(topics, Some(&cursor)).await?;
        let start = moved(all[0].cursor(), |_| 0)?;
        client.expect(&[Seen::Gap(SeenGap { cursor: start, ..gap("epoch", &all) })]).await?;
        client.expect(&all).await?;
        let cursor = client.disconnect()?;
        let away = cx.publish(topics, 2).await?;
        cx.connect(topics, Some(&cursor)).await?.expect(&away).await?;
    }
    Ok(())
}

/// A cursor that the hub cannot read is no error: the client gets a gap, and then live events.
pub(in crate::conformance) async fn unreadable(cx: CaseContext<'_>) -> CaseResult {
    let before = cx.publish(&["a", "b"], 3).await?;
    let last = before[2].cursor().ok_or("no cursor")?;
    let (epoch, number) = last.split_once('.').ok_or("no dot in the cursor")?;
    let digits = last.parse::<Cursor>()?.sequence().to_string();
    let (ahead, long) = (moved(Some(last), |last| last + 1)?, "7".repeat(100));
    let (leading, upper) = (format!("{epoch}.0{number}"), format!("{epoch}A.{number}"));
    let letter = if number.starts_with('a') { 'b' } else { 'a' };
    let (letterless, miscounted) = (format!("{epoch}.{digits}"), format!("{epoch}.{letter}{digits}"));
    let bad = ["nonsense", "7", "7.", ".7", "7.a7.7.7", "7.t18446744073709551616", "-1.a7"];
    for cursor in bad.into_iter().chain([&*ahead, &*long, &*leading, &*upper, &*letterless, &*miscounted]) {
        for topics in [&["a"][..], &["a", "b"]] {
            let now = cx.publish(topics, 1).await?;
            let cursor = if cursor == ahead { moved(now[0].cursor(), |last| last + 1)? } else { cursor.into() };
            let mut client = cx.connect(topics, Some(&cursor)).await?;
            client
                .expect(&[Seen::Gap(gap("invalid", &now))])
                .await
                .map_err(|error| format!("with {cursor}: {error}"))?;
            if cx.row().resumes() {
                client.expect(&cx.publish(topics, 2).await?).await?;
            }
        }
    }
    Ok(())
}

/// Returns the gap in the place of these events and all before them.
fn gap(reason: &str, gone: &[Seen]) -> SeenGap {
    let cursor = gone.last().and_then(Seen::cursor).unwrap_or_default().to_owned();
    SeenGap { cursor, reason: reason.into(), missed: None, topic: None, snapshot: false }
}

fn evicted_of(topic: &str, gone: &[Seen]) -> Seen {
    Seen::Gap(SeenGap { topic: Some(topic.into()), ..gap("evicted", gone) })
}

fn overflow_of(topic: &str, gone: &[Seen]) -> Seen {
    Seen::Gap(SeenGap { topic: Some(topic.into()), missed: Some(gone.len() as u64), ..gap("overflow", gone) })
}
