//! Topics that keep the newest event of each key. A client that applies each item to a copy has the state of the hub.

use std::collections::BTreeMap;

use crate::conformance::clients::{Seen, SeenData, SeenGap};
use crate::conformance::run::{CaseContext, CaseResult, CheckedClient, HubOptions, Problem, moved};
use crate::model::Event;

const CARS: &str = "state/cars";
/// Keyed topics and another one, under one cursor.
const TOPICS: [&str; 3] = [CARS, "state/bikes", "news"];

/// The newest event of each key, by topic and key.
#[derive(Debug, Clone, Default, PartialEq)]
struct State(BTreeMap<String, String>);

impl State {
    /// Publishes a value of a key of a topic. The text has the topic and the key, for clients whose wire format has neither.
    async fn set(&mut self, cx: CaseContext<'_>, topic: &str, key: usize, value: usize) -> Result<Seen, Problem> {
        let (name, text) = (format!("{topic} {key}"), format!("{topic} {key}={value}"));
        self.0.insert(name, text.clone());
        cx.hub.publish(topic, Event::text(text).with_key(&key.to_string())?).await
    }

    async fn remove(&mut self, cx: CaseContext<'_>, topic: &str, key: usize) -> Result<Seen, Problem> {
        self.0.remove(&format!("{topic} {key}"));
        cx.hub.publish(topic, Event::removal(&key.to_string())?).await
    }

    /// Publishes sets and removals of a few keys of both keyed topics. Returns the last of them.
    async fn change(&mut self, cx: CaseContext<'_>, count: usize) -> Result<Seen, Problem> {
        let mut last = None;
        for number in 0..count {
            let (topic, key) = (TOPICS[number % 2], number % 7);
            last = Some(match number % 5 {
                4 => self.remove(cx, topic, key).await?,
                _ => self.set(cx, topic, key, number).await?,
            });
        }
        last.ok_or_else(|| "no change".into())
    }

    /// Applies an item that a client got.
    fn apply(&mut self, seen: &Seen) -> CaseResult {
        match seen {
            Seen::Gap(SeenGap { snapshot: true, topic: None, .. }) => self.0.clear(),
            Seen::Gap(SeenGap { snapshot: true, topic: Some(topic), .. }) => {
                self.0.retain(|name, _| !name.starts_with(&format!("{topic} ")));
            }
            Seen::Event(event) => match (&event.data, &event.topic, &event.key) {
                (SeenData::Removed, Some(topic), Some(key)) => drop(self.0.remove(&format!("{topic} {key}"))),
                (SeenData::Text(text), ..) => {
                    if let Some((name, _)) = text.split_once('=') {
                        self.0.insert(name.to_owned(), text.clone());
                    }
                }
                _ => return Err(format!("saw {event:?}").into()),
            },
            _ => return Err(format!("saw {seen:?}").into()),
        }
        Ok(())
    }

    /// Applies what the client gets up to the item `last`.
    async fn follow(&mut self, client: &mut CheckedClient<'_>, last: &Seen) -> Result<Vec<Seen>, Problem> {
        let all = client.read_until(10_000, |seen| seen.cursor() == last.cursor()).await?;
        all.iter().try_for_each(|seen| self.apply(seen))?;
        Ok(all)
    }

    fn check(&self, copy: &Self) -> CaseResult {
        if self == copy { Ok(()) } else { Err(format!("the state is {self:?}, the copy {copy:?}").into()) }
    }
}

/// Returns the gap in the place of a state: everything of the topic, or of all topics, follows.
fn is_state_gap(seen: &Seen, reason: &str, topic: Option<&str>) -> bool {
    matches!(seen, Seen::Gap(gap) if gap.snapshot && gap.reason == reason && gap.topic.as_deref() == topic
        && gap.missed.is_none() && gap.cursor.ends_with(".0"))
}

/// A new client gets the newest event of each key in the hub's order, and then changes.
pub(in crate::conformance) async fn state_first(cx: CaseContext<'_>) -> CaseResult {
    let mut state = State::default();
    for topics in [&[CARS][..], &TOPICS] {
        state.set(cx, CARS, 0, 0).await?;
        let one = state.set(cx, CARS, 1, 0).await?;
        state.set(cx, CARS, 2, 0).await?;
        let zero = state.set(cx, CARS, 0, 1).await?;
        state.remove(cx, CARS, 2).await?;
        cx.publish(&["news"], 1).await?;
        let mut client = cx.connect(topics, None).await?;
        client.expect(&[one, zero]).await?;
        let changes = [
            state.set(cx, CARS, 3, 0).await?,
            state.remove(cx, CARS, 0).await?,
            state.set(cx, CARS, 1, 1).await?,
            state.remove(cx, CARS, 3).await?,
            state.set(cx, CARS, 0, 2).await?,
        ];
        if !cx.row().resumes() {
            client.expect(&changes).await?;
            continue;
        }
        // Removals of keys that the client does not have may come before the changes, and events of other topics that were
        // published after the state.
        let last = changes[4].cursor();
        let seen = client.read_until(10, |seen| seen.cursor() == last).await?;
        let is_early = |seen: &Seen| changes.iter().all(|change| change.cursor() != seen.cursor());
        let (early, seen): (Vec<_>, Vec<_>) = seen.into_iter().partition(is_early);
        let is_harmless =
            |seen: &Seen| matches!(seen, Seen::Event(event) if event.data == SeenData::Removed || event.key.is_none());
        if !early.iter().all(is_harmless) {
            return Err(format!("saw {early:?} before the changes").into());
        }
        if seen.len() != changes.len() {
            return Err(format!("saw {seen:?}").into());
        }
        client.compare(&changes, &seen)?;
    }
    Ok(())
}

/// A client that is cut before the first event of the state gets the state on the other row, and no gap.
pub(in crate::conformance) async fn cut_before_the_state(cx: CaseContext<'_>) -> CaseResult {
    let mut state = State::default();
    for topics in [&[CARS][..], &TOPICS] {
        state.change(cx, 12).await?;
        let client = cx.connect(topics, None).await?;
        // The first reply of a poll has the first event of the state.
        let cursor = client.cursor().map(str::to_owned);
        if cursor.as_deref() != cx.row().is_live().then_some("0.0") {
            return Err(format!("the cursor before the state is {cursor:?}").into());
        }
        let last = state.set(cx, CARS, 1, 99).await?;
        let (mut client, mut copy) = (cx.connect_other(topics, cursor.as_deref()).await?, State::default());
        let seen = copy.follow(&mut client, &last).await?;
        if let Some(gap) = seen.iter().find(|seen| matches!(seen, Seen::Gap(_))) {
            return Err(format!("saw {gap:?}").into());
        }
        let mut expected = state.clone();
        expected.0.retain(|name, _| topics.iter().any(|topic| name.starts_with(topic)));
        expected.check(&copy)?;
    }
    Ok(())
}

/// A client that is cut in the middle of the state continues there on the other row, while the state changes.
pub(in crate::conformance) async fn cut_in_the_state(cx: CaseContext<'_>) -> CaseResult {
    let mut state = State::default();
    for cut in [1, 3, 6] {
        for key in 0..8 {
            state.set(cx, TOPICS[key % 2], key, cut).await?;
        }
        let (mut client, mut copy) = (cx.connect(&TOPICS, None).await?, State::default());
        for _ in 0..cut {
            copy.apply(&client.read_until(1, |_| true).await?[0])?;
        }
        let cursor = client.disconnect()?;
        state.set(cx, CARS, 0, 100 + cut).await?;
        state.remove(cx, CARS, 2).await?;
        state.remove(cx, "state/bikes", 7).await?;
        let last = state.set(cx, "state/bikes", 1, 100 + cut).await?;
        let mut client = cx.connect_other(&TOPICS, Some(&cursor)).await?;
        copy.follow(&mut client, &last).await?;
        state.check(&copy).map_err(|error| format!("cut after {cut}: {error}"))?;
        client.expect(&[state.set(cx, CARS, 2, 0).await?, state.remove(cx, CARS, 2).await?]).await?;
    }
    Ok(())
}

/// A client that was away for longer than history gets the newest event or removal of each key, and no gap.
pub(in crate::conformance) async fn away_longer_than_history(cx: CaseContext<'_>) -> CaseResult {
    let (mut state, mut copy) = (State::default(), State::default());
    let last = state.change(cx, 9).await?;
    let mut client = cx.connect(&TOPICS, None).await?;
    copy.follow(&mut client, &last).await?;
    let cursor = client.disconnect()?;
    for topic in &TOPICS[..2] {
        state.set(cx, topic, 100, 0).await?;
        for value in 0..20 {
            state.set(cx, topic, value % 3, value).await?;
        }
        state.remove(cx, topic, 1).await?;
    }
    let last = state.set(cx, CARS, 50, 0).await?;
    let mut client = cx.connect(&TOPICS[..2], Some(&cursor)).await?;
    let seen = copy.follow(&mut client, &last).await?;
    if seen.len() > 16 || seen.iter().any(|seen| matches!(seen, Seen::Gap(_))) {
        return Err(format!("saw {seen:?}").into());
    }
    state.check(&copy)?;
    client.expect(&[state.remove(cx, CARS, 50).await?]).await
}

/// A client whose removals the hub has forgotten gets a gap, forgets its copy, and gets the whole state.
pub(in crate::conformance) async fn removals_forgotten(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&[CARS][..], &["news", CARS]] {
        let (mut state, mut copy) = (State::default(), State::default());
        let last = state.set(cx, CARS, 0, 0).await?;
        let mut client = cx.connect(topics, None).await?;
        copy.follow(&mut client, &last).await?;
        let cursor = client.disconnect()?;
        for key in 0..3 * HubOptions::REMOVALS {
            state.set(cx, CARS, key, 1).await?;
            state.remove(cx, CARS, key).await?;
        }
        let kept = state.set(cx, CARS, 1, 2).await?;
        let last = state.set(cx, CARS, 2, 2).await?;
        let newest = last.clone();
        let mut cursors = vec![cursor];
        for cut in 0..3 {
            let (mut client, mut copy) = (cx.connect(topics, Some(&cursors[0])).await?, copy.clone());
            let seen = copy.follow(&mut client, &last).await?;
            if !is_state_gap(&seen[0], "evicted", Some(CARS)) {
                return Err(format!("no gap of the state: {:?}", seen[0]).into());
            }
            client.compare(&[kept.clone(), last.clone()], &seen[1..])?;
            state.check(&copy)?;
            cursors.push(seen[cut].cursor().unwrap_or_default().to_owned());
        }
        // A client that is cut after the gap, and in the state, has the state when it returns.
        let last = state.remove(cx, CARS, 1).await?;
        for cursor in &cursors[1..] {
            let (mut client, mut copy) = (cx.connect(topics, Some(cursor)).await?, State::default());
            [&kept].into_iter().take(usize::from(*cursor != cursors[1])).try_for_each(|seen| copy.apply(seen))?;
            if *cursor == cursors[3] {
                copy.apply(&newest)?;
            }
            copy.follow(&mut client, &last).await?;
            state.check(&copy).map_err(|error| format!("cut at {cursor}: {error}"))?;
        }
    }
    Ok(())
}

/// After a restart of the hub the client gets a gap, forgets its copy, and gets the new state.
pub(in crate::conformance) async fn epoch(cx: CaseContext<'_>) -> CaseResult {
    for topics in [&[CARS][..], &TOPICS] {
        let (mut state, mut copy) = (State::default(), State::default());
        let last = state.set(cx, CARS, 0, 0).await?;
        let mut client = cx.connect(topics, None).await?;
        copy.follow(&mut client, &last).await?;
        let cursor = client.disconnect()?;
        cx.hub.replace().await?;
        let (mut state, last) = (State::default(), state.set(cx, CARS, 1, 1).await?);
        state.0.insert(format!("{CARS} 1"), format!("{CARS} 1=1"));
        let mut client = cx.connect(topics, Some(&cursor)).await?;
        let seen = copy.follow(&mut client, &last).await?;
        let start = moved(last.cursor(), |_| 0)?;
        if !is_state_gap(&seen[0], "epoch", None) || seen[0].cursor() != Some(&start) {
            return Err(format!("no gap of the state: {:?}", seen[0]).into());
        }
        state.check(&copy)?;
        client.expect(&[state.remove(cx, CARS, 1).await?]).await?;
    }
    Ok(())
}

/// The state outlives a restart, for a client that was cut anywhere in it and for a new one.
pub(in crate::conformance) async fn restarted(cx: CaseContext<'_>) -> CaseResult {
    let mut state = State::default();
    for cut in [1, 3, 6] {
        for key in 0..8 {
            state.set(cx, TOPICS[key % 2], key, cut).await?;
        }
        let (mut client, mut copy) = (cx.connect(&TOPICS, None).await?, State::default());
        for _ in 0..cut {
            copy.apply(&client.read_until(1, |_| true).await?[0])?;
        }
        let cursor = client.disconnect()?;
        state.set(cx, CARS, 0, 100 + cut).await?;
        state.remove(cx, CARS, 2).await?;
        cx.hub.reopen().await?;
        state.remove(cx, "state/bikes", 7).await?;
        let last = state.set(cx, "state/bikes", 1, 100 + cut).await?;
        for (mut copy, cursor) in [(copy, Some(&*cursor)), (State::default(), None)] {
            let mut client = cx.connect_other(&TOPICS, cursor).await?;
            copy.follow(&mut client, &last).await?;
            state.check(&copy).map_err(|error| format!("cut after {cut}: {error}"))?;
        }
    }
    Ok(())
}

/// A connected client that lags gets the newest event of each key in place of those that left memory.
pub(in crate::conformance) async fn lag(cx: CaseContext<'_>) -> CaseResult {
    let (mut state, mut copy) = (State::default(), State::default());
    let mut client = cx.connect(&TOPICS, None).await?;
    for _ in 0..3 {
        state.change(cx, 2_000).await?;
        let last = state.set(cx, CARS, 1_000, 0).await?;
        if cx.row().resumes() {
            copy.follow(&mut client, &last).await?;
            state.check(&copy)?;
        } else {
            let is_last = |seen: &Seen| matches!(seen, Seen::Event(event) if event.data == SeenData::Text(format!("{CARS} 1000=0")));
            client.read_until(10_000, is_last).await?;
        }
        client.expect(&[state.remove(cx, CARS, 1_000).await?]).await?;
    }
    client.expect(&[state.set(cx, CARS, 1, 0).await?, state.remove(cx, CARS, 1).await?]).await
}
