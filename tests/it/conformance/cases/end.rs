use crate::clients::{End, Seen};
use crate::conformance::scene::{Scene, Verdict, Visit};

const TOPICS: [&str; 2] = ["a", "b"];

pub(crate) async fn after_all_is_seen(scene: Scene<'_>) -> Verdict {
    let mut visit = Visit::begin(scene.row(), &TOPICS, None).await?;
    visit.sees(&scene.publish(&TOPICS, 3).await).await?;
    scene.stage.close();
    visit.sees(&[Seen::End(End::Finished)]).await
}

/// The end does not overtake what was published before it.
pub(crate) async fn behind_the_rest(scene: Scene<'_>) -> Verdict {
    for topics in [&TOPICS[..1], &TOPICS] {
        let mut visit = Visit::begin(scene.row(), topics, None).await?;
        let mut expected = scene.publish(topics, 5).await;
        scene.stage.close();
        expected.push(Seen::End(End::Finished));
        visit.sees(&expected).await?;
        scene.stage.restart();
    }
    Ok(())
}
