//! Refusals of the endpoint, with the relay's options in place of the settings that they come from.

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use tidings::Body;

/// Settings that refusals name, and the options that set them.
const OPTIONS: [(&str, &str); 2] =
    [("(see allowed_hosts)", "(relay --host adds it)"), ("(see allow_origin)", "(relay --origin adds it)")];

/// Returns the text of a refusal with options in place of settings.
pub(crate) fn with_options(text: &str) -> String {
    OPTIONS.into_iter().fold(text.to_owned(), |text, (setting, option)| text.replace(setting, option))
}

/// Returns an answer of the endpoint as it is, or a refusal for its host or origin with options in place of settings.
pub(crate) async fn name_options(answer: Response<Body>) -> Response<Either<Body, Full<Bytes>>> {
    if !matches!(answer.status(), StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST) {
        return answer.map(Either::Left);
    }
    // Boxed, so that a connection has no room for it.
    Box::pin(async move {
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let text = with_options(&String::from_utf8_lossy(&body));
        if text.len() != body.len() && head.headers.contains_key(header::CONTENT_LENGTH) {
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        }
        Response::from_parts(head, Either::Right(Full::from(text)))
    })
    .await
}
