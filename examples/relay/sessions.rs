//! Who is listening: `GET /sessions`, `DELETE /sessions/ID`.

use hyper::StatusCode;
use serde_json::{Value, json};
use tidings::{Attach, Left, LocalHub, Publisher, Rejection, Session, SubscribeRequest, Subscription};

use crate::Relay;
use crate::pages::{self, Page};
use crate::peer::Peer;

/// Lets everyone listen to what they name, and may say who comes and goes.
pub(crate) struct Guests {
    pub(crate) hub: LocalHub,
    pub(crate) log: bool,
}

impl Publisher for Guests {
    type Subscriber = Subscription;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        request.extension::<Peer>().map(|peer| peer.0.as_ref().to_owned())
    }

    async fn subscribe(&self, request: &SubscribeRequest) -> Result<Attach<Subscription>, Rejection> {
        Ok(self.hub.subscribe(request.subscribe_to(request.topics()))?.into())
    }

    fn joined(&self, session: &Session) {
        if self.log {
            println!("joined {} by {}", session.id(), session.transport().as_str());
        }
    }

    fn left(&self, session: &Session, why: Left) {
        if self.log {
            println!("left {}: {why:?}", session.id());
        }
    }
}

pub(crate) fn list(relay: &Relay) -> Page {
    let sessions = relay.events.sessions().into_iter().map(|info| {
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
    pages::json(&sessions.collect::<Vec<Value>>())
}

/// 204, or 404 where there is no such session.
pub(crate) fn end(relay: &Relay, id: &str) -> Page {
    let mut sessions = relay.events.sessions().into_iter().map(|info| info.session.id());
    let found = id.parse().ok().and_then(|id: u64| sessions.find(|session| session.get() == id));
    let status = match found.is_some_and(|id| relay.events.disconnect(id)) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    };
    pages::bare(status, "")
}
