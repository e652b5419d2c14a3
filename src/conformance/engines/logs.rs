//! Appends.

use std::future::poll_fn;
use std::task::Poll;

use crate::conformance::engines::EngineUnderTest;
use crate::conformance::engines::pages::{ranges, read};
use crate::conformance::engines::seam::{Seam, append, end, event, finish, within};
use crate::conformance::run::{CaseResult, Problem};
use crate::contract::PublishError;
use crate::engine::{AppendBody, Appended, Engine, EngineFuture};
use crate::model::EndReason;

type AppendResult = Result<Appended, PublishError>;

/// All nodes have the same epoch, and the head is the last record of any.
pub(super) async fn state<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.engine().await?, seam.engine().await?);
    let before = within("`state`", one.state()).await??;
    for (number, engine) in [&one, &other, &one].into_iter().enumerate() {
        let sequence = append(engine, "a", &number.to_string()).await?;
        for engine in [&one, &other] {
            let state = within("`state`", engine.state()).await??;
            if state.epoch == 0 || state.epoch != before.epoch || state.head < sequence {
                return Err(format!("the state is {state:?} after a record at {sequence}; it was {before:?}").into());
            }
        }
    }
    Ok(())
}

/// A record that two nodes append has one place.
pub(super) async fn twice<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.engine().await?, seam.engine().await?);
    let again = event("a", "once")?;
    let first = within("`append`", one.append(again.clone())).await??;
    append(&one, "a", "between").await?;
    for engine in [&one, &other] {
        let second = within("`append`", engine.append(again.clone())).await??;
        if second != first {
            return Err(format!("the same record was appended at {first:?} and at {second:?}").into());
        }
    }
    let last = append(&one, "a", "last").await?;
    let pages = read(&one, ranges(&["a"])?, 0, last).await?;
    match pages.events.len() {
        3 => Ok(()),
        events => Err(format!("expected 3 events, and the log has {events}").into()),
    }
}

/// A topic that has ended takes no event, and keeps its first end, at each node.
pub(super) async fn ended<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.engine().await?, seam.engine().await?);
    append(&one, "a", "1").await?;
    let sequence = finish(&one, "a", EndReason::Failed).await?;
    for engine in [&one, &other] {
        match within("`append`", engine.append(event("a", "late")?)).await? {
            Err(PublishError::Finished(topic)) if topic.as_str() == "a" => {}
            result => return Err(format!("expected that the topic is finished, got {result:?}").into()),
        }
        match within("`append`", engine.append(end("a", EndReason::Done)?)).await? {
            Ok(Appended::Ended { sequence: first, reason: EndReason::Failed, .. }) if first == sequence => {}
            result => return Err(format!("expected the first end at {sequence}, failed, got {result:?}").into()),
        }
    }
    append(&other, "b", "1").await.map(drop)
}

/// Ends and events that are appended at the same time: one end has a place, and all events of the log are before it.
pub(super) async fn at_once<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (one, other) = (seam.engine().await?, seam.engine().await?);
    for round in 0..8 {
        let topic = format!("topic/{round}");
        let mut appends = Vec::new();
        for number in 0..9 + round {
            let engine = if number % 2 == 0 { &one } else { &other };
            let append = match number % 4 {
                2 => end(&topic, EndReason::ALL[number % 3])?,
                _ => event(&topic, &number.to_string())?,
            };
            appends.push((append.body.clone(), engine.append(append)));
        }
        let results = within("`append`, several at once", all(appends)).await?;
        let last = within("`state`", one.state()).await??.head;
        let stored = read(&other, ranges(&[&topic])?, 0, last).await?;
        let stored: Vec<_> = stored.events.iter().map(|event| event.sequence).collect();
        check(&results, &stored)?;
    }
    Ok(())
}

/// Polls all futures until each is ready.
async fn all(mut futures: Vec<(AppendBody, EngineFuture<AppendResult>)>) -> Vec<(AppendBody, AppendResult)> {
    let mut results: Vec<_> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for ((_, future), result) in futures.iter_mut().zip(&mut results) {
            if let (None, Poll::Ready(ready)) =
                (&result, if result.is_none() { future.as_mut().poll(cx) } else { Poll::Pending })
            {
                *result = Some(ready);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let bodies = futures.into_iter().map(|(body, _)| body);
    bodies.zip(results.into_iter().flatten()).collect()
}

fn check(results: &[(AppendBody, AppendResult)], stored: &[u64]) -> Result<(), Problem> {
    let first = results.iter().find_map(|result| match result {
        (AppendBody::End(reason), Ok(Appended::At { sequence, .. })) => Some((*sequence, *reason)),
        _ => None,
    });
    let (sequence, reason) = first.ok_or("no end has a place")?;
    let mut events = Vec::new();
    for (body, result) in results {
        match (body, result) {
            (AppendBody::Event(_), Ok(Appended::At { sequence: event, .. })) if *event < sequence => {
                events.push(*event)
            }
            (AppendBody::Event(_), Err(PublishError::Finished(_))) => {}
            (AppendBody::End(_), Ok(Appended::At { sequence: end, .. })) if *end == sequence => {}
            (AppendBody::End(_), Ok(Appended::Ended { sequence: end, reason: first, .. }))
                if (*end, *first) == (sequence, reason) => {}
            other => {
                return Err(format!("the topic ended at {sequence}, {}, and has {other:?}", reason.as_str()).into());
            }
        }
    }
    events.sort_unstable();
    match *events == *stored {
        true => Ok(()),
        false => Err(format!("events were appended at {events:?}, and are at {stored:?}").into()),
    }
}
