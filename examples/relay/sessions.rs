//! The list of sessions: `GET /sessions?after=ID&limit=N`, `DELETE /sessions/ID`.

use hyper::{StatusCode, Uri};
use serde_json::{Value, json};
use tidings::{Accepted, Hub, Publisher, Rejection, Session, SessionEnd, SubscribeRequest};

use crate::pages::{self, Page};
use crate::peer::Peer;
use crate::problem::Problem;
use crate::{Relay, request};

/// A publisher that gives each client the topics that it names, or the events of them with a tag, and can log sessions.
pub(crate) struct OpenTopics<H> {
    pub(crate) hub: H,
    pub(crate) log: bool,
}

impl<H: Hub> Publisher for OpenTopics<H> {
    type Subscriber = H::Subscription;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        request.extension::<Peer>().map(|peer| peer.0.as_ref().to_owned())
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<H::Subscription>, Rejection> {
        let subscribe = request.subscribe_to(request.topics());
        let subscribe = match request.query("tag") {
            Some(tag) => {
                let tag = tag.into_owned();
                subscribe.filter(move |event| event.event.tag() == Some(&*tag))
            }
            None => subscribe,
        };
        Ok(self.hub.subscribe(subscribe)?.into())
    }

    fn joined(&self, session: &Session) {
        if self.log {
            println!("joined {} by {}", session.id(), session.transport().as_str());
        }
    }

    fn left(&self, session: &Session, why: SessionEnd) {
        if self.log {
            println!("left {}: {why:?}", session.id());
        }
    }
}

/// Default and maximum number of sessions of one page.
const PAGE: usize = 1_000;

/// Returns one page of the sessions, in the order of their ids.
pub(crate) fn list(relay: &Relay, uri: &Uri) -> Result<Page, Problem> {
    let (mut after, mut limit) = (None, PAGE);
    for (name, value) in request::parameters(uri)? {
        let wrong = |takes: &str| Problem::bad(format!("takes {takes}, not '{value}'")).at(&name);
        match &*name {
            "after" => after = Some(value.parse().map_err(|_| wrong("the id of a session"))?),
            "limit" => {
                let count = value.parse().ok().filter(|count| (1..=PAGE).contains(count));
                limit = count.ok_or_else(|| wrong(&format!("a number from 1 to {PAGE}")))?;
            }
            _ => return Err(Problem::bad(format!("unknown parameter '{name}': use after and limit"))),
        }
    }
    let sessions = relay.events.sessions_after(after, limit).into_iter().map(|info| {
        json!({
            "id": info.session.id().get(),
            "transport": info.session.transport().as_str(),
            "name": info.session.name(),
            "topics": info.session.topics().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "state": format!("{:?}", info.state).to_lowercase(),
            "seconds": info.age.as_secs(),
            "cursor": info.cursor.map(|cursor| cursor.to_string()),
            "events": info.events,
            "bytes": info.bytes,
            "gaps": info.gaps,
            "missed": info.missed,
            "lag": info.lag,
        })
    });
    Ok(pages::json(&sessions.collect::<Vec<Value>>()))
}

/// Ends a session. Returns 204, or 404 if there is no session of this id.
pub(crate) fn end(relay: &Relay, id: &str) -> Page {
    let status = match id.parse().is_ok_and(|id| relay.events.disconnect(id)) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    };
    pages::bare(status, "")
}
