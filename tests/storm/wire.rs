use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tidings::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A connection to a server whose bytes are read and written directly: an end is seen as it was sent.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: BytesMut,
}

/// Head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// In lower case.
    text: String,
}

impl Head {
    pub(crate) fn header<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let line = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|value| value.trim().parse().ok())
    }

    /// Returns the retry time of the response.
    pub(crate) fn retry(&self) -> Option<Duration> {
        let exact = self.header("tidings-retry-ms").map(Duration::from_millis);
        exact.or_else(|| self.header("retry-after").map(Duration::from_secs))
    }
}

/// Returns the request for a topic's events. Long polls have the longest hold.
pub(crate) fn request(transport: Transport, topic: &str, cursor: Option<&str>) -> String {
    let more = match transport {
        Transport::ShortPoll => "",
        Transport::LongPoll => "Prefer: wait=50\r\n",
        Transport::Chunked => "Accept: application/x-ndjson\r\n",
        Transport::Sse => "Accept: text/event-stream\r\n",
        _ => {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tidings.v1\r\n"
        }
    };
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    format!("GET /events?topic={topic}{cursor} HTTP/1.1\r\nHost: storm\r\n{more}\r\n")
}

impl Wire {
    pub(crate) async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: BytesMut::new() })
    }

    /// Connects with a small receive buffer.
    pub(crate) async fn connect_narrow(address: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let address = address.parse().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        let stream = socket.connect(address).await?;
        Ok(Self { stream, unread: BytesMut::new() })
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Closes with a FIN. Further bytes of the server are answered by a RST.
    pub(crate) fn close(self) {
        drop(self);
    }

    /// Closes with a RST.
    pub(crate) fn reset(self) {
        drop(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
    }

    pub(crate) async fn head(&mut self) -> io::Result<Head> {
        let text = String::from_utf8_lossy(&self.through(b"\r\n\r\n").await?).to_lowercase();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Head { status: status.ok_or(ErrorKind::InvalidData)?, text })
    }

    /// Returns the next chunk of a body (RFC 9112 §7.1), or `None` for the last one. An end without it is an error.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let size = self.through(b"\r\n").await?;
        let size = std::str::from_utf8(&size).ok().and_then(|size| usize::from_str_radix(size.trim_end(), 16).ok());
        let size = size.ok_or(ErrorKind::InvalidData)?;
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }

    /// Returns the next frame of the server: opcode and payload (RFC 6455 §5.2).
    pub(crate) async fn frame(&mut self) -> io::Result<(u8, Bytes)> {
        let head = self.exactly(2).await?;
        let length = match head[1] {
            126 => self.exactly(2).await?.get_u16().into(),
            127 => self.exactly(8).await?.get_u64(),
            length => length.into(),
        };
        let length = usize::try_from(length).map_err(|_| ErrorKind::InvalidData)?;
        Ok((head[0] & 0x0f, self.exactly(length).await?))
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.unread.len() < length {
            self.fill().await?;
        }
        Ok(self.unread.split_to(length).freeze())
    }

    /// Waits for the end, by a FIN or a RST, before which no byte may come.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        match self.fill().await {
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Returns whether no byte is left in the buffer.
    pub(crate) fn is_clear(&self) -> bool {
        self.unread.is_empty()
    }

    async fn through(&mut self, mark: &[u8]) -> io::Result<Bytes> {
        loop {
            if let Some(at) = self.unread.windows(mark.len()).position(|window| window == mark) {
                return Ok(self.unread.split_to(at + mark.len()).freeze());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.unread).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Returns a frame of a client, masked with zeros.
pub(crate) fn frame(opcode: u8, is_last: bool, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(125).min(125);
    let mut frame = vec![opcode | if is_last { 0x80 } else { 0 }, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(&payload[..length.into()]);
    frame
}
