use crate::clients::{End, Seen};
use crate::conformance::context::{CaseContext, CaseResult, CheckedClient};

const TOPICS: [&str; 2] = ["a", "b"];

pub(crate) async fn after_all_events(cx: CaseContext<'_>) -> CaseResult {
    let mut client = CheckedClient::connect(cx.row(), &TOPICS, None).await?;
    client.expect(&cx.publish(&TOPICS, 3).await).await?;
    cx.hub.close();
    client.expect(&[Seen::End(End::Finished)]).await
}

/// The end comes after all events that were published before it.
pub(crate) async fn after_unread_events(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&TOPICS[..1], &TOPICS] {
        let mut client = CheckedClient::connect(cx.row(), topics, None).await?;
        let mut expected = cx.publish(topics, 5).await;
        cx.hub.close();
        expected.push(Seen::End(End::Finished));
        client.expect(&expected).await?;
        cx.hub.restart();
    }
    Ok(())
}
