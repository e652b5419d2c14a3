use std::time::Duration;

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use super::answer;
use super::headers;
use crate::contract::{PublishError, Rejection};
use crate::endpoint::reject::challenge::Challenge;
use crate::endpoint::reject::refusal::Refusal;

/// Returns the status from the rejection's table, with the body `{"error":"…"}`. A 401 has `WWW-Authenticate: Bearer`.
///
/// An `EventSource` takes every such status as final. [`Endpoint::handle`](crate::Endpoint::handle) answers
/// [`Busy`](Self::Busy) so that an `EventSource` retries.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        respond(Refusal::of(self, &Challenge::default()))
    }
}

/// Returns the error's text as `{"error":"…"}` with a status:
///
/// | error | status |
/// |---|---|
/// | [`Topic`](Self::Topic) | 400 |
/// | [`TooLarge`](Self::TooLarge) | 413 |
/// | [`KeyRequired`](Self::KeyRequired), [`TtlUnsupported`](Self::TtlUnsupported), [`NotKeyed`](Self::NotKeyed) | 422 |
/// | [`Full`](Self::Full), [`TooManyTopics`](Self::TooManyTopics), [`StateFull`](Self::StateFull) | 507 |
/// | [`Closed`](Self::Closed), [`Unavailable`](Self::Unavailable) | 503 with `Retry-After: 5` |
/// | [`OutcomeUnknown`](Self::OutcomeUnknown) | 504 |
/// | [`Finished`](Self::Finished) | 409 |
/// | [`Unsupported`](Self::Unsupported) | 501 |
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for PublishError {
    fn into_response(self) -> Response {
        let text = self.to_string();
        respond(match self {
            Self::Topic(_) => Refusal::bad(text),
            Self::TooLarge { .. } => Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text),
            Self::KeyRequired(_) | Self::TtlUnsupported(_) | Self::NotKeyed(_) => {
                Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, text)
            }
            Self::Full { .. } | Self::TooManyTopics { .. } | Self::StateFull { .. } => {
                Refusal::new(StatusCode::INSUFFICIENT_STORAGE, text)
            }
            Self::Closed | Self::Unavailable(_) => Refusal::retry_later(Duration::from_secs(5)).with_message(text),
            Self::OutcomeUnknown(_) => Refusal::new(StatusCode::GATEWAY_TIMEOUT, text),
            Self::Finished(_) => Refusal::new(StatusCode::CONFLICT, text),
            Self::Unsupported => Refusal::new(StatusCode::NOT_IMPLEMENTED, text),
        })
    }
}

fn respond(refusal: Refusal) -> Response {
    let mut response = answer::refusal(refusal);
    headers::add_common_headers(&mut response, None);
    response.map(axum_core::body::Body::new)
}
