//! Refusals of the endpoint, which name the relay's options instead of the endpoint's settings.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use tidings::Body;

/// Settings that refusals name, and the options that set them.
const OPTIONS: [(&str, &str); 2] =
    [("(see allowed_hosts", "(relay --host adds it"), ("(see allow_origin", "(relay --origin adds it")];

/// Returns the text of a refusal with options in place of settings.
pub(crate) fn with_options(text: &str) -> String {
    OPTIONS.into_iter().fold(text.to_owned(), |text, (setting, option)| text.replace(setting, option))
}

/// Returns a response of the endpoint unchanged, or a refusal of a host or origin with options in place of settings.
pub(crate) fn name_options(answer: Response<Body>) -> Response<Either<Body, Full<Bytes>>> {
    match answer.status() {
        StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => of_refusal(answer),
        _ => answer.map(Either::Left),
    }
}

#[cold]
fn of_refusal(answer: Response<Body>) -> Response<Either<Body, Full<Bytes>>> {
    let (mut head, body) = answer.into_parts();
    // The body of a refusal is ready at once. A wait for it would take memory in each connection.
    let body = match pin!(body.collect()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(body)) => body.to_bytes(),
        Poll::Ready(Err(_)) | Poll::Pending => Bytes::new(),
    };
    let text = with_options(&String::from_utf8_lossy(&body));
    if text.len() != body.len() && head.headers.contains_key(header::CONTENT_LENGTH) {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    }
    Response::from_parts(head, Either::Right(Full::from(text)))
}
