use bytes::BytesMut;
use hyper::StatusCode;
use hyper::ext::Protocol;
use hyper::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::{BoxFuture, Client, Connection, Http, Inbox, Seen, WebSocketWire, Wire};

/// A client with a WebSocket: an upgrade on HTTP/1.1, an extended CONNECT on HTTP/2.
pub(super) struct WebSocketClient {
    /// On HTTP/2 the connection carries the socket.
    _connection: Connection,
    io: TokioIo<Upgraded>,
    buffer: BytesMut,
    frames: WebSocketWire,
    inbox: Inbox,
}

impl WebSocketClient {
    pub(super) async fn open(
        mut connection: Connection,
        target: &str,
        subprotocol: Option<&str>,
        cursor: Option<&str>,
        frames: WebSocketWire,
    ) -> Result<Self, String> {
        let key = generate_key();
        let (request, expected, accept) = match connection.http() {
            Http::One => {
                let request = connection.request("GET", target).header("upgrade", "websocket");
                let request = request.header("connection", "Upgrade").header("sec-websocket-key", &key);
                (request, StatusCode::SWITCHING_PROTOCOLS, Some(derive_accept_key(key.as_bytes())))
            }
            Http::Two => {
                let request = connection.request("CONNECT", target).extension(Protocol::from_static("websocket"));
                (request, StatusCode::OK, None)
            }
        };
        let request = request.header("sec-websocket-version", "13");
        let request =
            subprotocol.into_iter().fold(request, |request, offer| request.header(SEC_WEBSOCKET_PROTOCOL, offer));
        let response = connection.send(request, "").await?;
        let header = |name| response.headers().get(name).map(|value| value.as_bytes());
        let is_accepted = header(SEC_WEBSOCKET_PROTOCOL) == subprotocol.map(str::as_bytes);
        if response.status() != expected
            || !is_accepted
            || header(SEC_WEBSOCKET_ACCEPT) != accept.as_deref().map(str::as_bytes)
        {
            return Err(format!("{} with {:?}", response.status(), response.headers()));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| error.to_string())?;
        let (io, inbox) = (TokioIo::new(upgraded), Inbox::after(cursor));
        let mut this = Self { _connection: connection, io, buffer: BytesMut::with_capacity(4096), frames, inbox };
        while this.frames.has_hello() && !this.inbox.has_begun() && this.inbox.is_empty() {
            this.read().await?;
        }
        Ok(this)
    }

    async fn read(&mut self) -> Result<(), String> {
        self.buffer.clear();
        let read = self.io.read_buf(&mut self.buffer).await.map_err(|error| error.to_string())?;
        if read == 0 {
            self.frames.end()?;
            return Err("a read after the end".into());
        }
        self.frames.read(&self.buffer, &mut self.inbox)?;
        self.io.write_all(&self.frames.take_answers()).await.map_err(|error| error.to_string())
    }

    async fn read_item(&mut self) -> Result<Seen, String> {
        loop {
            if let Some(seen) = self.inbox.take() {
                return Ok(seen);
            }
            self.read().await?;
        }
    }
}

impl Client for WebSocketClient {
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
        Box::pin(self.read_item())
    }

    fn cursor(&self) -> Option<&str> {
        self.inbox.cursor()
    }
}
