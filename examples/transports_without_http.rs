//! One subscription over each of the five adapters, by hand: without an endpoint, a server or a socket.
//!
//! ```text
//! cargo run --example transports_without_http --features full
//! ```
//!
//! Prints the bytes that a client receives for the same two events: the reply to a short poll, the reply to a long poll,
//! a stream of JSON lines, a stream of server-sent events, and the frames of a WebSocket. The lines with `tidings` in them
//! are the begin and the end of a stream. An application that has its own protocol or server does the same with its own
//! connection in place of `tokio::io::duplex`.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tidings::time::{Clock, TokioTimer};
use tidings::transport::chunked::ChunkedStream;
use tidings::transport::long_poll::LongPollWaiter;
use tidings::transport::short_poll::PollQueue;
use tidings::transport::sse::SseEncoder;
use tidings::transport::websocket::{Subprotocol, WebSocketConfig, WebSocketSink};
use tidings::{Event, LocalHub, Subscribe, Subscription};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Time after which a client should reconnect.
const RETRY: Duration = Duration::from_millis(1500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let (hub, timer) = (LocalHub::new(), TokioTimer::default());

    println!("short poll: one reply, at once\n");
    let subscription = subscribe(&hub)?;
    publish(&hub).await?;
    let reply = PollQueue::new(subscription).reply();
    println!("{}", String::from_utf8(reply.into_parts().concat())?);

    println!("\nlong poll: one reply, as soon as there is an event, or after 25 s\n");
    let subscription = subscribe(&hub)?;
    let poll = LongPollWaiter::new(subscription, &timer, timer.now() + Duration::from_secs(25));
    let (reply, published) = tokio::join!(poll, publish(&hub));
    published?;
    println!("{}", String::from_utf8(reply.into_parts().concat())?);

    println!("\nchunked stream: one JSON object a line\n");
    let mut lines = ChunkedStream::new(subscribe(&hub)?, &timer);
    publish(&hub).await?;
    let (mut client, mut server) = duplex(64 * 1024);
    write_ready(&mut lines, &mut server).await?;
    lines.finish(RETRY);
    write_ready(&mut lines, &mut server).await?;
    drop(server);
    print!("{}", read_text(&mut client).await?);

    println!("\nserver-sent events: one block an event\n");
    let mut blocks = SseEncoder::new(subscribe(&hub)?, &timer);
    publish(&hub).await?;
    let (mut client, mut server) = duplex(64 * 1024);
    write_ready(&mut blocks, &mut server).await?;
    blocks.finish(RETRY);
    write_ready(&mut blocks, &mut server).await?;
    drop(server);
    print!("{}", read_text(&mut client).await?);

    println!("WebSocket with the subprotocol tidings.v1: one frame an event, first its header\n");
    let (client, server) = duplex(64 * 1024);
    let config = WebSocketConfig::default();
    let sink = WebSocketSink::new(Compat(server), subscribe(&hub)?, Arc::new(timer), config);
    let connection = tokio::spawn(sink.subprotocol(Subprotocol::TidingsV1));
    publish(&hub).await?;
    hub.close();
    print_frames(client).await?;
    println!("\nthe server's end: {:?}", connection.await?);
    Ok(())
}

fn subscribe(hub: &LocalHub) -> Outcome<Subscription> {
    Ok(hub.subscribe(Subscribe::topics(["news"]))?)
}

/// Publishes a text and a JSON value with a name.
async fn publish(hub: &LocalHub) -> Outcome {
    hub.publish("news", "first").await?;
    hub.publish("news", Event::json_text(r#"{"price":42.17}"#)?.with_name("price")?).await?;
    Ok(())
}

/// Writes the items of a stream that are ready. An application waits for the next item instead, and does not stop here.
async fn write_ready(stream: &mut (impl Stream<Item = Bytes> + Unpin), connection: &mut DuplexStream) -> Outcome {
    while let Poll::Ready(Some(item)) = Pin::new(&mut *stream).poll_next(&mut Context::from_waker(Waker::noop())) {
        connection.write_all(&item).await?;
    }
    Ok(())
}

async fn read_text(client: &mut DuplexStream) -> Outcome<String> {
    let mut text = String::new();
    client.read_to_string(&mut text).await?;
    Ok(text)
}

/// Prints the frames up to the server's Close frame, and answers it (RFC 6455 §5).
async fn print_frames(mut client: DuplexStream) -> Outcome {
    const CLOSE: u8 = 0x88;
    loop {
        // None of these payloads is longer than 125 bytes.
        let (opcode, length) = (client.read_u8().await?, client.read_u8().await?);
        let mut payload = vec![0; length.into()];
        client.read_exact(&mut payload).await?;
        if opcode == CLOSE {
            let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
            println!("{opcode:02X} {length:02X}  {} {reason}", code.unwrap_or_default());
            // A client masks its frames, here with zeros.
            client.write_all(&[CLOSE, 0x82, 0, 0, 0, 0, 0x03, 0xE8]).await?;
            return Ok(());
        }
        println!("{opcode:02X} {length:02X}  {}", String::from_utf8(payload)?);
    }
}

/// Connection of tokio with the traits of futures-io, which the WebSocket adapter takes.
struct Compat(DuplexStream);

impl futures_io::AsyncRead for Compat {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl futures_io::AsyncWrite for Compat {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
