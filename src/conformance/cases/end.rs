use crate::conformance::clients::{ClientEnd, Seen};
use crate::conformance::run::{CaseContext, CaseResult};

const TOPICS: [&str; 2] = ["a", "b"];

pub(in crate::conformance) async fn after_all_events(cx: CaseContext<'_>) -> CaseResult {
    let mut client = cx.connect(&TOPICS, None).await?;
    client.expect(&cx.publish(&TOPICS, 3).await?).await?;
    cx.hub.close().await?;
    client.expect(&[Seen::End(ClientEnd::Finished)]).await
}

/// The end comes after all events that were published before it.
pub(in crate::conformance) async fn after_unread_events(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&TOPICS[..1], &TOPICS] {
        let mut client = cx.connect(topics, None).await?;
        let mut expected = cx.publish(topics, 5).await?;
        cx.hub.close().await?;
        expected.push(Seen::End(ClientEnd::Finished));
        client.expect(&expected).await?;
        cx.hub.replace().await?;
    }
    Ok(())
}
