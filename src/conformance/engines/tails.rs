//! Records that an engine pushes.

use crate::conformance::engines::EngineUnderTest;
use crate::conformance::engines::probe::{Content, TailCall};
use crate::conformance::engines::seam::{Seam, append, finish, patterns, within};
use crate::conformance::run::{CaseResult, Problem};
use crate::engine::Engine;
use crate::model::EndReason;

/// Number of records after which a name that is not followed any more must not have another one pushed.
const MOST_LATE: usize = 200;

/// A record that the log must push, with the sequence of the topic's record before it.
struct Expected {
    sequence: u64,
    content: Content,
    previous: u64,
}

/// The head of a follow is completed, also if no record follows.
pub(super) async fn head<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (probe, other) = (seam.probe().await?, seam.engine().await?);
    let last = append(&other, "a", "1").await?;
    let followed = within("`follow`", probe.engine.follow(patterns(&["b"])?)).await??;
    if followed.head < last {
        return Err(format!("the head is {} after a record at {last}", followed.head).into());
    }
    probe.completed(followed.head).await.map(drop)
}

/// Follow yields the ends of its topics.
pub(super) async fn ends<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (probe, other) = (seam.probe().await?, seam.engine().await?);
    append(&other, "a", "1").await?;
    let sequence = finish(&other, "a", EndReason::Stopped).await?;
    finish(&other, "b", EndReason::Done).await?;
    let followed = within("`follow`", probe.engine.follow(patterns(&["a", "c"])?)).await??;
    let ends: Vec<_> = followed.ends.iter().map(|end| (end.topic.as_str(), end.sequence, end.reason)).collect();
    match ends[..] == [("a", sequence, EndReason::Stopped)] {
        true => Ok(()),
        false => Err(format!("expected the end of a at {sequence}, stopped, got {ends:?}").into()),
    }
}

/// Each record of followed names is pushed before a sequence that includes it is completed, as it was appended.
pub(super) async fn complete<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (calls, expected, from) = pushed(&seam).await?;
    for Expected { sequence, content, .. } in &expected {
        let mut is_pushed = false;
        for call in &calls[from..] {
            match call {
                TailCall::Record { sequence: other, record, .. } if other == sequence => {
                    if record != content {
                        return Err(format!("{content:?} is at {sequence}, and {record:?} was pushed").into());
                    }
                    is_pushed = true;
                }
                TailCall::Lost => return Ok(()),
                TailCall::Complete(up_to) if up_to >= sequence && !is_pushed => {
                    let problem = format!("{up_to} was completed before {content:?}, which is at {sequence}");
                    return Err(problem.into());
                }
                TailCall::Complete(_) | TailCall::Record { .. } => {}
            }
        }
    }
    Ok(())
}

/// A record names the one of its topic that is before it, or none.
pub(super) async fn previous<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (calls, expected, _) = pushed(&seam).await?;
    for call in &calls {
        let TailCall::Record { sequence, previous: Some(previous), .. } = call else { continue };
        let Some(record) = expected.iter().find(|record| record.sequence == *sequence) else { continue };
        if record.previous != *previous {
            let (content, expected) = (&record.content, record.previous);
            return Err(format!("{content:?} follows {expected} in its topic, and names {previous}").into());
        }
    }
    Ok(())
}

/// Appends records to followed topics and others. Returns the calls of the tail, the records that must be pushed, and the number of
/// calls before they were appended.
async fn pushed<K: EngineUnderTest>(seam: &Seam<K>) -> Result<(Vec<TailCall>, Vec<Expected>, usize), Problem> {
    let (probe, other) = (seam.probe().await?, seam.engine().await?);
    let mut last = [("a", append(&other, "a", "before").await?), ("b/x", 0), ("b/y", 0), ("c", 0)];
    within("`follow`", probe.engine.follow(patterns(&["a", "b/*"])?)).await??;
    let (from, mut expected) = (probe.calls().len(), Vec::new());
    for number in 0..40 {
        let ((topic, last), text) = (&mut last[number * number % 7 % 4], format!("text {number}"));
        let sequence = if number % 2 == 0 {
            append(&other, topic, &text).await?
        } else {
            append(&*probe.engine, topic, &text).await?
        };
        let previous = std::mem::replace(last, sequence);
        if *topic != "c" {
            let content = Content { topic: (*topic).to_owned(), body: text };
            expected.push(Expected { sequence, content, previous });
        }
    }
    let sequence = finish(&other, "a", EndReason::Done).await?;
    let content = Content { topic: "a".to_owned(), body: "end: done".to_owned() };
    expected.push(Expected { sequence, content, previous: last[0].1 });
    Ok((probe.completed(sequence).await?, expected, from))
}

/// The records of a name that is not followed any more are not pushed, and those of others are.
pub(super) async fn unfollow<K: EngineUnderTest>(seam: Seam<K>) -> CaseResult {
    let (probe, other) = (seam.probe().await?, seam.engine().await?);
    within("`follow`", probe.engine.follow(patterns(&["a", "b"])?)).await??;
    probe.completed(append(&other, "a", "followed").await?).await?;
    probe.engine.unfollow(&patterns(&["a"])?);
    for number in 0..MOST_LATE {
        let text = number.to_string();
        let late = append(&other, "a", &text).await?;
        let last = append(&other, "b", &text).await?;
        let calls = probe.completed(last).await?;
        let is_pushed =
            |at: u64| calls.iter().any(|call| matches!(call, TailCall::Record { sequence, .. } if *sequence == at));
        if !is_pushed(last) && !calls.iter().any(|call| matches!(call, TailCall::Lost)) {
            return Err(format!("the record of b at {last} was not pushed, and b is followed").into());
        }
        if !is_pushed(late) {
            return Ok(());
        }
    }
    Err(format!("{MOST_LATE} records of a topic were pushed after `unfollow`").into())
}
