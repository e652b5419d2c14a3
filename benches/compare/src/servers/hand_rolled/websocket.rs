//! WebSockets with one text message for each message of a topic.

use std::sync::Arc;

use axum::Error;
use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::future::FutureExt;
use futures_util::sink::SinkExt;
use futures_util::stream::{Stream, StreamExt};

use super::hub::Message;
use super::router::Style;

/// Clients send almost nothing. By default each connection holds a read buffer of 128 KiB.
const READ_BUFFER: usize = 4 << 10;

pub(super) fn answer(
    upgrade: WebSocketUpgrade,
    messages: impl Stream<Item = Arc<Message>> + Send + Unpin + 'static,
    style: Style,
) -> Response {
    match style {
        Style::Usual => upgrade.on_upgrade(|socket| async { drop(usual(socket, messages).await) }),
        Style::Tuned => {
            upgrade.read_buffer_size(READ_BUFFER).on_upgrade(|socket| async { drop(tuned(socket, messages).await) })
        }
    }
}

/// Sends until the client disconnects.
async fn usual(mut socket: WebSocket, mut messages: impl Stream<Item = Arc<Message>> + Unpin) -> Result<(), Error> {
    loop {
        tokio::select! {
            Some(message) = messages.next() => socket.send(Frame::Text(message.data.clone())).await?,
            received = socket.recv() => match received {
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
        }
    }
}

/// Sends the messages with one flush for all that are ready.
async fn tuned(mut socket: WebSocket, mut messages: impl Stream<Item = Arc<Message>> + Unpin) -> Result<(), Error> {
    loop {
        tokio::select! {
            Some(message) = messages.next() => {
                socket.feed(Frame::Text(message.data.clone())).await?;
                while let Some(Some(message)) = messages.next().now_or_never() {
                    socket.feed(Frame::Text(message.data.clone())).await?;
                }
                socket.flush().await?;
            }
            received = socket.recv() => match received {
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
        }
    }
}
