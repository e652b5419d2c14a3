use crate::conformance::scene::{Scene, Verdict, Visit};

const TOPICS: [&str; 3] = ["a", "b", "c/d"];

/// A client that is told where it is before anything happens misses nothing after that.
pub(crate) async fn before_the_first(scene: Scene<'_>) -> Verdict {
    scene.publish(&TOPICS, 4).await;
    let visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    let cursor = visit.cursor().ok_or("no cursor before the first event")?.to_owned();
    drop(visit);
    let away = scene.publish(&TOPICS, 4).await;
    Visit::begin(scene.row(), &TOPICS, Some(&cursor)).await?.sees(&away).await
}

/// However much it saw, it goes on right behind that, with what was there and with what came while it was away.
pub(crate) async fn at_every_cut(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    visit.sees(&scene.publish(&TOPICS, 1).await).await?;
    let mut cursor = visit.cut()?;
    let mut pending = Vec::new();
    for cut in 0..7 {
        let mut visit = Visit::begin(scene.row(), &TOPICS, Some(&cursor)).await?;
        pending.extend(scene.publish(&TOPICS, 5).await);
        visit.sees(&pending[..cut]).await?;
        pending.drain(..cut);
        cursor = visit.cut()?;
        pending.extend(scene.publish(&TOPICS, 2).await);
    }
    let mut visit = Visit::begin(scene.row(), &TOPICS, Some(&cursor)).await?;
    pending.extend(scene.publish(&TOPICS, 1).await);
    visit.sees(&pending).await
}

/// A cursor is not used up: a client whose answer was lost gets the same again.
pub(crate) async fn twice(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    visit.sees(&scene.publish(&TOPICS, 2).await).await?;
    let cursor = visit.cut()?;
    let away = scene.publish(&TOPICS, 5).await;
    for _ in 0..2 {
        Visit::begin(scene.row(), &TOPICS, Some(&cursor)).await?.sees(&away).await?;
    }
    Ok(())
}

/// From one row to the other with part of a burst unseen, and back.
pub(crate) async fn by_another(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    let burst = scene.publish(&TOPICS, 6).await;
    visit.sees(&burst[..2]).await?;
    let cursor = visit.cut()?;
    let away = scene.publish(&TOPICS, 4).await;

    let mut visit = Visit::begin(scene.other(), &TOPICS, Some(&cursor)).await?;
    visit.sees(&burst[2..]).await?;
    visit.sees(&away).await?;
    visit.sees(&scene.publish(&TOPICS, 3).await).await?;
    let cursor = visit.cut()?;

    let away = scene.publish(&TOPICS, 1).await;
    let mut visit = Visit::begin(scene.row(), &TOPICS, Some(&cursor)).await?;
    visit.sees(&away).await?;
    visit.sees(&scene.publish(&TOPICS, 3).await).await
}
