//! Server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, StreamExt};

use super::hub::Message;

pub(super) fn answer(
    messages: impl Stream<Item = Arc<Message>> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send + 'static> {
    let events = messages.map(|message| Ok(Event::default().data(message.data.as_str()).id(message.id.to_string())));
    Sse::new(events).keep_alive(KeepAlive::default())
}
