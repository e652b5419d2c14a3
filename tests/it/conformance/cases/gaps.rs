use crate::clients::{End, Gap, Seen};
use crate::conformance::scene::{Scene, Verdict, Visit};
use crate::conformance::stage::moved;

/// Of eleven events it saw one, and four are left.
pub(crate) async fn evicted(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &["a"], None).await?;
    visit.sees(&scene.publish(&["a"], 1).await).await?;
    let cursor = visit.cut()?;
    let away = scene.publish(&["a"], 10).await;
    let (gone, left) = away.split_at(6);

    let mut visit = Visit::begin(scene.row(), &["a"], Some(&cursor)).await?;
    visit.sees(&[evicted_of("a", gone)]).await?;
    visit.sees(left).await?;
    visit.sees(&scene.publish(&["a"], 1).await).await
}

/// A gap of one topic removes no event of the other, and stands where the last of its missing events stood.
pub(crate) async fn evicted_in_one(scene: Scene<'_>) -> Verdict {
    let topics = ["loud", "quiet"];
    let mut visit = Visit::begin(scene.row(), &topics, None).await?;
    visit.sees(&scene.publish(&topics, 2).await).await?;
    let cursor = visit.cut()?;
    let away = scene.publish(&["loud", "quiet", "loud", "loud", "quiet", "loud", "loud", "loud", "quiet"], 9).await;
    // Six are loud: the first two are gone.
    let (gone, left) = (&away[..=2], &away[3..]);

    let mut visit = Visit::begin(scene.row(), &topics, Some(&cursor)).await?;
    visit.sees(&[away[1].clone(), evicted_of("loud", gone)]).await?;
    visit.sees(left).await?;
    visit.sees(&scene.publish(&topics, 2).await).await
}

/// A client that was told of a gap on one row is not told again on another.
pub(crate) async fn told_once(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &["a", "b"], None).await?;
    visit.sees(&scene.publish(&["a", "b"], 2).await).await?;
    let cursor = visit.cut()?;
    let away = scene.publish(&["a"], 6).await;
    let (gone, left) = away.split_at(2);
    let mut visit = Visit::begin(scene.row(), &["a", "b"], Some(&cursor)).await?;
    visit.sees(&[evicted_of("a", gone)]).await?;
    let told = visit.cut()?;

    let mut visit = Visit::begin(scene.other(), &["a", "b"], Some(&told)).await?;
    visit.sees(left).await?;
    drop(visit);
    let mut visit = Visit::begin(scene.other(), &["a", "b"], Some(&cursor)).await?;
    visit.sees(&[evicted_of("a", gone)]).await?;
    visit.sees(left).await
}

/// It was there, and more came at once than is kept: it is told in its place what it missed, to the number.
pub(crate) async fn overflow(scene: Scene<'_>) -> Verdict {
    for topics in [&["a"][..], &["a", "b"]] {
        let mut visit = Visit::begin(scene.row(), topics, None).await?;
        visit.sees(&scene.publish(&["a"], 1).await).await?;
        // How much more than it must a hub keeps for who is there is its own affair, but not all of this.
        let burst = scene.publish(&["a"], 2_000).await;
        let seen = visit.see_until(burst.len(), |seen| !matches!(seen, Seen::Event(_))).await?;
        let (left, rest) = burst.split_at(seen.len() - 1);
        visit.compare(left, &seen[..left.len()])?;
        let missed = match &seen[left.len()] {
            Seen::Gap(Gap { missed: Some(missed), .. }) => *missed as usize,
            Seen::End(End::Gap) if !scene.row().resumes() => continue,
            other => return Err(format!("expected an overflow with a number, saw {other:?}")),
        };
        let (gone, rest) = rest.split_at_checked(missed).ok_or("missed more than there was")?;
        visit.compare(&[overflow_of("a", gone)], &seen[left.len()..])?;
        visit.sees(rest).await?;
        visit.sees(&scene.publish(topics, 3).await).await?;
    }
    Ok(())
}

/// The hub was restarted: its sequences began anew, and all that it has is new.
pub(crate) async fn epoch(scene: Scene<'_>) -> Verdict {
    for topics in [&["a"][..], &["a", "b"]] {
        let mut visit = Visit::begin(scene.row(), topics, None).await?;
        visit.sees(&scene.publish(topics, 3).await).await?;
        let cursor = visit.cut()?;
        scene.stage.restart();
        let all = scene.publish(topics, 4).await;

        let mut visit = Visit::begin(scene.row(), topics, Some(&cursor)).await?;
        let start = moved(all[0].cursor().unwrap(), |_| 0);
        visit.sees(&[Seen::Gap(Gap { cursor: start, ..gap("epoch", &all) })]).await?;
        visit.sees(&all).await?;
        let cursor = visit.cut()?;
        let away = scene.publish(topics, 2).await;
        Visit::begin(scene.row(), topics, Some(&cursor)).await?.sees(&away).await?;
    }
    Ok(())
}

/// A cursor that means nothing here is no error: it is told, and then all is live.
pub(crate) async fn unreadable(scene: Scene<'_>) -> Verdict {
    let before = scene.publish(&["a", "b"], 3).await;
    let last = before[2].cursor().unwrap();
    let (ahead, long) = (moved(last, |last| last + 1), "7".repeat(100));
    let (leading, upper) = (last.replace('.', ".0"), last.replace('.', "A."));
    let bad = ["nonsense", "7", "7.", ".7", "7.7.7.7", "7.18446744073709551616", "-1.7"];
    for cursor in bad.into_iter().chain([&*ahead, &*long, &*leading, &*upper]) {
        for topics in [&["a"][..], &["a", "b"]] {
            let now = scene.publish(topics, 1).await;
            let cursor = if cursor == ahead { moved(now[0].cursor().unwrap(), |last| last + 1) } else { cursor.into() };
            let mut visit = Visit::begin(scene.row(), topics, Some(&cursor)).await?;
            visit.sees(&[Seen::Gap(gap("invalid", &now))]).await.map_err(|why| format!("with {cursor}: {why}"))?;
            if scene.row().resumes() {
                visit.sees(&scene.publish(topics, 2).await).await?;
            }
        }
    }
    Ok(())
}

/// The gap that stands for these events and all before them.
fn gap(reason: &str, gone: &[Seen]) -> Gap {
    let cursor = gone.last().and_then(Seen::cursor).unwrap().to_owned();
    Gap { cursor, reason: reason.into(), missed: None, topic: None, snapshot: false }
}

fn evicted_of(topic: &str, gone: &[Seen]) -> Seen {
    Seen::Gap(Gap { topic: Some(topic.into()), ..gap("evicted", gone) })
}

fn overflow_of(topic: &str, gone: &[Seen]) -> Seen {
    Seen::Gap(Gap { topic: Some(topic.into()), missed: Some(gone.len() as u64), ..gap("overflow", gone) })
}
