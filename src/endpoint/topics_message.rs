//! The message of a WebSocket client that changes the topics of its session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::accepted::Accepted;
use super::call::FailedCall;
use super::refused::Refused;
use super::reject::RefusalCause;
use super::reject::refusal::log_of;
use super::request::SubscribeRequest;
use super::session::{ChangeRequest, SessionEntry, Subscribing};
use super::shared::Shared;
use crate::contract::{BoxSubscriber, Message, Rejection, Start};
use crate::model::{Pattern, Topic};
use crate::transport::object::write_topics_error;
use crate::transport::websocket::encode_object;

/// Number of changes that a client may ask for in a second, and in one burst.
const MAX_RATE: u32 = 10;
/// Error of a change that is not `{"tidings":"topics","topics":["news"]}`.
const NO_NAMES: &str = "`topics` must be an array of topic names";

/// Answer to a message that is a change of topics.
pub(crate) enum TopicsAnswer {
    /// The message is none, and is passed to the publisher.
    NoChange,
    /// The answer follows when the change is over.
    Later,
    /// The change is refused with this frame.
    Refused(Bytes),
}

/// Takes a message of a `tidings.v1` client, if it is a change of topics.
pub(crate) fn take(entry: &Arc<SessionEntry>, request: &SubscribeRequest, message: &Message) -> TopicsAnswer {
    let Message::Text(text) = message else { return TopicsAnswer::NoChange };
    let Some(topics) = topics_member(text) else { return TopicsAnswer::NoChange };
    let max = entry.shared.config.query_limits.max_topics_per_request;
    let (topics, rejection) = match read(topics, max) {
        Ok(topics) if entry.change_topics(change(entry, request, &topics), MAX_RATE) => return TopicsAnswer::Later,
        Ok(topics) => (topics, Rejection::Busy { retry_after: Duration::from_secs(1) / MAX_RATE }),
        Err(why) => (Vec::new(), Rejection::invalid(why)),
    };
    let message = rejection.message();
    let (cause, text) = match rejection {
        Rejection::Busy { .. } => (RefusalCause::Busy, "too many changes of topics"),
        _ => (RefusalCause::Request, &*message),
    };
    entry.shared.report_refusal(&Refused::new(cause, text).of_request(request).of_session(&entry.session));
    let names = topics.iter().map(Topic::as_str);
    TopicsAnswer::Refused(encode_object(|out| write_topics_error(&rejection, &message, names, out)))
}

/// Returns the member `topics` of a change, null if there is none. `None`: the text is no change.
fn topics_member(text: &str) -> Option<Value> {
    // Most messages are the application's own.
    if !text.trim_start().starts_with('{') || !text.contains("\"tidings\"") {
        return None;
    }
    let mut object: Value = serde_json::from_str(text).ok()?;
    let is_change = object.get("tidings").is_some_and(|value| value == "topics");
    is_change.then(|| object.get_mut("topics").map(Value::take).unwrap_or_default())
}

/// Reads the names of a change. An error is for the client.
fn read(topics: Value, max: usize) -> Result<Vec<Topic>, String> {
    let Value::Array(names) = topics else { return Err(NO_NAMES.to_owned()) };
    if names.is_empty() {
        return Err("`topics` is empty: name at least one topic".to_owned());
    }
    if names.len() > max {
        return Err(format!("too many topics: at most {max} are allowed"));
    }
    let topic = |name: &Value| {
        let name = name.as_str().ok_or(NO_NAMES)?;
        Topic::new(name).map_err(|error| error.to_string())
    };
    names.iter().map(topic).collect()
}

fn change(entry: &Arc<SessionEntry>, request: &SubscribeRequest, topics: &[Topic]) -> ChangeRequest {
    let (shared, request, key) = (entry.shared.clone(), request.clone(), entry.session.shared_key());
    let (names, topics) = (topics.iter().cloned().map(Pattern::from).collect(), topics.to_vec());
    let ask = move |cursor| -> Subscribing {
        let request = request.changed(topics.clone(), Start::After(cursor));
        Box::pin(ask(shared.clone(), request, key.clone()))
    };
    ChangeRequest { topics: names, ask: Arc::new(ask) }
}

/// Asks the publisher for the subscriber of the new topics.
async fn ask(
    shared: Arc<Shared>,
    request: SubscribeRequest,
    key: Option<Arc<str>>,
) -> Result<Accepted<BoxSubscriber>, Rejection> {
    let busy = || Rejection::Busy { retry_after: shared.config.jittered_retry() };
    let refuse = |cause, text: &str| {
        let refused = Refused::new(cause, text).of_request(&request);
        shared.report_refusal(&request.session().into_iter().fold(refused, Refused::of_session));
    };
    let _permit = shared.calls.try_enter(key.as_ref()).map_err(|full| {
        refuse(RefusalCause::Busy, full.as_str());
        busy()
    })?;
    let rejection = match shared.call(|| shared.publisher.subscribe(request.clone())).await {
        Ok(Ok(accepted)) => return Ok(accepted),
        Ok(Err(rejection)) => {
            refuse(RefusalCause::Publisher, log_of(&rejection).as_deref().unwrap_or(&rejection.to_string()));
            rejection
        }
        Err(failed) => {
            refuse(failed.cause(), &failed.text("subscribe"));
            match failed {
                FailedCall::Panicked => Rejection::internal("publisher panicked"),
                FailedCall::TimedOut(_) => busy(),
            }
        }
    };
    Err(rejection)
}
