use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client of one connection that sends and reads bytes.
pub(crate) struct RawClient<T = TcpStream> {
    pub(crate) stream: T,
    read: Vec<u8>,
}

/// A frame of the server: first byte and payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame(pub(crate) u8, pub(crate) Vec<u8>);

impl RawClient {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> RawClient<T> {
    pub(crate) fn over(stream: T) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Returns everything up to and including this text.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end.as_bytes()) {
                let rest = self.read.split_off(at + end.len());
                return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
            }
            assert!(
                self.more().await > 0,
                "connection ended before {end:?}: {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Returns everything up to the end of the connection.
    pub(crate) async fn until_end(&mut self) -> String {
        while self.more().await > 0 {}
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    /// Returns the head of the response, in lower case.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await.to_ascii_lowercase()
    }

    /// Returns the next frame, which is not masked.
    pub(crate) async fn frame(&mut self) -> Frame {
        while self.read.len() < 2 {
            assert!(self.more().await > 0, "connection ended before a frame");
        }
        assert_eq!(self.read[1] & 0x80, 0);
        let (start, len) = match self.read[1] {
            126 => {
                while self.read.len() < 4 {
                    assert!(self.more().await > 0);
                }
                (4, usize::from(u16::from_be_bytes([self.read[2], self.read[3]])))
            }
            len => (2, usize::from(len)),
        };
        while self.read.len() < start + len {
            assert!(self.more().await > 0, "connection ended inside a frame");
        }
        let rest = self.read.split_off(start + len);
        let frame = std::mem::replace(&mut self.read, rest);
        Frame(frame[0], frame[start..].to_vec())
    }

    async fn more(&mut self) -> usize {
        self.stream.read_buf(&mut self.read).await.unwrap_or(0)
    }
}

/// Returns a frame of a client, masked with zeros.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(short @ ..126) => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

impl Frame {
    pub(crate) fn text(text: &str) -> Self {
        Self(0x81, text.into())
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        Self(0x88, payload)
    }
}
