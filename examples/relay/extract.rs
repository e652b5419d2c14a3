//! What the handlers take out of a request. Whatever is wrong with it is a [`Problem`].

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError};
use serde::Deserialize;
use tidings::{Event, Topic};

use crate::Relay;
use crate::problem::Problem;

/// A request that no foreign page made. Any page on the web can make its visitor's browser send one here; browsers say
/// for which page they do (RFC 6454 §7), programs don't.
pub(crate) struct FromOurPages;

/// The topic that the rest of the path is.
pub(crate) struct Target(pub(crate) Topic);

/// What an event may have besides a payload.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Labels {
    pub(crate) event: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) ttl: Option<u64>,
}

/// What a body is said to be.
pub(crate) enum Kind {
    Text,
    Json,
    Binary,
}

/// A body of at most so many bytes.
pub(crate) struct Body<const MAX: usize>(pub(crate) Bytes);

impl FromRequestParts<Arc<Relay>> for FromOurPages {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, relay: &Arc<Relay>) -> Result<Self, Problem> {
        let mut origins = parts.headers.get_all(header::ORIGIN).iter();
        match origins.all(|origin| relay.origins.iter().any(|listed| origin.as_bytes() == listed.as_bytes())) {
            true => Ok(Self),
            false => {
                Err(Problem::new(StatusCode::FORBIDDEN, "pages of this origin may not publish; relay --origin adds it"))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(topic) = path.map_err(|rejection| Problem::bad(rejection.body_text()))?;
        let topic = Topic::new(topic).map_err(|error| Problem::bad(error.to_string()).at("topic"))?;
        Ok(Self(topic))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Labels {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_none() {
            return Ok(Self::default());
        }
        let Query(labels) = Query::try_from_uri(&parts.uri).map_err(|rejection| Problem::bad(rejection.body_text()))?;
        Ok(labels)
    }
}

impl Labels {
    /// The event with these labels.
    pub(crate) fn put_on(self, event: Event) -> Result<Event, Problem> {
        let event = match self.event {
            Some(name) => event.named(&name).map_err(|error| Problem::bad(error.to_string()).at("event"))?,
            None => event,
        };
        let event = match self.key {
            Some(key) => event.keyed(&key).map_err(|error| Problem::bad(error.to_string()).at("key"))?,
            None => event,
        };
        Ok(match self.ttl {
            Some(ttl) => event.ttl(Duration::from_millis(ttl)),
            None => event,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Kind {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

impl Kind {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Text) };
        let value = value.to_str().unwrap_or("").to_ascii_lowercase();
        let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
        let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
        let utf8 = charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
        match kind.trim() {
            "application/octet-stream" => Ok(Self::Binary),
            "application/json" if utf8 => Ok(Self::Json),
            // What `curl -d` says of any body, unless told otherwise.
            "application/x-www-form-urlencoded" => Ok(Self::Text),
            kind if kind.starts_with("text/") && utf8 => Ok(Self::Text),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "content-type: '{value}' is none of text/* in UTF-8, application/json and application/octet-stream"
                ),
            )),
        }
    }
}

impl<S: Send + Sync, const MAX: usize> FromRequest<S> for Body<MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = http_body_util::Limited::new(request.into_body(), MAX);
        match body.collect().await {
            Ok(body) => Ok(Self(body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("body: at most {MAX} bytes")))
            }
            Err(error) => Err(Problem::bad(error.to_string()).at("body")),
        }
    }
}
