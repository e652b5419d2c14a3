//! Events of a topic: two and the end; in a scenario with a cut, one while the client is away and one after its return; in
//! `late` and `stop-late`, the end before the first request.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use serde_json::{Value, json};
use tidings::{EndReason, Event, Topic};
use tokio::time::sleep;

use crate::Server;

/// Time after the first request in which its subscription is created.
const BEFORE: Duration = Duration::from_secs(1);
/// Time between two events.
const BETWEEN: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub(crate) struct Script {
    cuts: bool,
    late: bool,
    payloads: Payloads,
}

/// Payloads of the events.
#[derive(Clone, Copy)]
enum Payloads {
    /// One short text for each event.
    Text,
    /// The chunks of a message in the `ai` package's stream.
    Chunks,
    /// Fragments of HTML in Datastar's events.
    Fragments,
}

impl Script {
    /// Returns the script of a topic by its scenario. `?events=` names the payloads.
    pub(crate) fn of(topic: &str, query: &str) -> Self {
        let payloads = match query.split('&').find_map(|pair| pair.strip_prefix("events=")) {
            Some("chunks") => Payloads::Chunks,
            Some("fragments") => Payloads::Fragments,
            _ => Payloads::Text,
        };
        let scenario = topic.split('/').next().unwrap_or_default();
        Self { cuts: scenario.starts_with("greet"), late: scenario.ends_with("late"), payloads }
    }

    pub(crate) fn cuts(&self) -> bool {
        self.cuts
    }

    pub(crate) fn begins_at_the_end(&self) -> bool {
        self.late
    }

    /// Publishes one event, or the chunks that make up a message.
    async fn publish(&self, server: &Server, topic: &str, text: &str) {
        let events = match self.payloads {
            Payloads::Text => vec![Event::text(text)],
            Payloads::Chunks => chunks(text).map(|chunk| Event::text(chunk.to_string())).into(),
            Payloads::Fragments => {
                let fragment = format!("fragments <div id=\"seen\">{text}</div>");
                vec![Event::text(fragment).with_name("datastar-merge-fragments").expect("a valid name")]
            }
        };
        for event in events {
            server.hub.publish(topic, event).await.expect("the topic has not ended");
        }
    }
}

fn chunks(text: &str) -> [Value; 3] {
    [
        json!({ "type": "text-start", "id": text }),
        json!({ "type": "text-delta", "id": text, "delta": text }),
        json!({ "type": "text-end", "id": text }),
    ]
}

/// Runs after the request of this number for a topic, from 1.
pub(crate) async fn on_request(server: Arc<Server>, topic: String, script: Script, number: usize) {
    match (number, script.cuts) {
        (1, false) if !script.late => {
            sleep(BEFORE).await;
            for text in ["first", "second"] {
                script.publish(&server, &topic, text).await;
                sleep(BETWEEN).await;
            }
            let ended = Topic::new(&*topic).expect("the endpoint took the topic");
            let end = server.hub.finish(&ended, EndReason::Done);
            let end =
                end.map_or_else(|error| json!({ "error": error.to_string() }), |end| json!(end.cursor.to_string()));
            server.log.push("finished", &topic, end);
        }
        (2, true) => {
            sleep(BEFORE).await;
            script.publish(&server, &topic, "after the return").await;
        }
        _ => {}
    }
}

/// Ends the topic before its first request, and adds the position of the end to a request without one, as by a client that has
/// kept it.
pub(crate) fn at_the_end(server: &Server, topic: &str, request: &mut Request) {
    let end = finish(server, topic);
    if request.headers().contains_key("last-event-id") || request.uri().to_string().contains("ursor=") {
        return;
    }
    let uri = request.uri().to_string();
    let separator = if uri.contains('?') { '&' } else { '?' };
    *request.uri_mut() = format!("{uri}{separator}cursor={end}").parse().expect("a valid address");
}

/// Ends the topic and returns the position of the end. Logs the first end.
fn finish(server: &Server, topic: &str) -> String {
    let ended = Topic::new(topic).expect("the endpoint took the topic");
    let end = server.hub.finish(&ended, EndReason::Done).expect("a hub can end its topics");
    let cursor = end.cursor.to_string();
    server.log.push_first("finished", topic, json!(cursor));
    cursor
}

/// Runs when the first response for a topic was cut.
pub(crate) async fn on_cut(server: Arc<Server>, topic: String, script: Script) {
    server.log.push("cut", &topic, Value::Null);
    script.publish(&server, &topic, "while it was away").await;
}
