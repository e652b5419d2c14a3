//! A stream of lines, each in a chunk.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use futures_util::stream::{Stream, StreamExt};

use super::hub::Message;

pub(super) fn answer(messages: impl Stream<Item = Arc<Message>> + Send + 'static) -> impl IntoResponse {
    let lines = messages.map(|message| Ok::<_, Infallible>(message.line.clone()));
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines))
}
