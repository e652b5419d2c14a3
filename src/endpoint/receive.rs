use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

use super::body::Body;
use super::reject::refusal::Refusal;
use super::request::negotiate::MessageParams;
use super::response::headers::JSON;
use super::shared::Shared;
use crate::contract::{Message, Rejection, Transport};
use crate::endpoint::request::SubscribeRequest;
use crate::time::Timer;
use crate::transport::object::write_answer;

impl Shared {
    /// Passes the message of a POST to the publisher. Returns 204, or 200 with the publisher's answer.
    pub(crate) async fn receive<B>(
        self: Arc<Self>,
        parts: Parts,
        body: B,
        params: MessageParams,
    ) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body + Send,
        B::Data: Buf,
    {
        let message = self.read(&parts.headers, body).await?;
        let MessageParams { topics, start, name } = params;
        let request = SubscribeRequest::new(parts, topics, start, Transport::ShortPoll);
        let key = self.key(&request);
        let permit = self.messages.try_enter(key.as_ref()).map_err(|full| self.full(full))?;
        // The handle has no data, because the session was accepted with another request.
        let session = key.clone().zip(name).and_then(|label| self.sessions.newest(&label));
        let session = session.map(|session| session.of_request(None, session.topics().to_vec()));
        let request = request.of(session);
        let received = self.publisher.receive(&request, message).await;
        drop(permit);
        let answer = received.map_err(|rejection| self.refused_by_publisher(rejection))?;
        let Some(event) = answer else { return Ok(no_content()) };
        let mut object = BytesMut::new();
        write_answer(&event, &mut object);
        self.check_answer(object.len()).map_err(|rejection| self.refused_by_publisher(rejection))?;
        let mut response = Response::new(Body::whole(object.freeze()));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        Ok(response)
    }

    /// Rejects an answer that is larger than `max_event`. The header of a WebSocket frame does not count.
    pub(crate) fn check_answer(&self, bytes: usize) -> Result<(), Rejection> {
        let max = self.config.max_event;
        if bytes <= max {
            return Ok(());
        }
        Err(Rejection::internal(format!("answer has {bytes} bytes: max_event is {max}")))
    }

    async fn read<B>(&self, headers: &HeaderMap, body: B) -> Result<Message, Refusal>
    where
        B: http_body::Body + Send,
        B::Data: Buf,
    {
        let max = self.config.max_message;
        let too_large =
            || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("message is too large: max_message is {max} bytes"));
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > max as u64) {
            return Err(too_large());
        }
        let wheel = &self.runtime.wheel;
        let mut deadline = wheel.sleep_until(wheel.after(self.config.message_timeout));
        let (mut body, mut bytes) = (pin!(body), BytesMut::new());
        let read = poll_fn(|cx| {
            let read = poll_read(body.as_mut(), &mut bytes, max, cx);
            if read.is_pending() && deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(ReadError::TooSlow));
            }
            read
        });
        match read.await {
            Ok(()) if is_text(headers) => match String::from_utf8(bytes.into()) {
                Ok(text) => Ok(Message::Text(text)),
                Err(_) => Err(Refusal::bad("text is not UTF-8")),
            },
            Ok(()) => Ok(Message::Binary(Bytes::from(bytes))),
            Err(ReadError::TooLarge) => Err(too_large()),
            Err(ReadError::TooSlow) => Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("body timed out after {:?} (message_timeout)", self.config.message_timeout),
            )),
            Err(ReadError::Broken) => Err(Refusal::bad("body broke off: send it again")),
        }
    }
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Error of reading a message body.
enum ReadError {
    TooLarge,
    TooSlow,
    Broken,
}

/// Reads a body to its end, or up to `max` bytes.
fn poll_read<B>(
    mut body: Pin<&mut B>,
    bytes: &mut BytesMut,
    max: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<(), ReadError>>
where
    B: http_body::Body,
    B::Data: Buf,
{
    while let Some(frame) = std::task::ready!(body.as_mut().poll_frame(cx)) {
        // Trailers are ignored.
        let Ok(data) = frame.map_err(|_| ReadError::Broken)?.into_data() else { continue };
        if data.remaining() > max - bytes.len() {
            return Poll::Ready(Err(ReadError::TooLarge));
        }
        bytes::BufMut::put(bytes, data);
    }
    Poll::Ready(Ok(()))
}

/// Returns whether a message is text, by its content type: `text/*` or `application/json`. Text must be UTF-8, whatever
/// charset the header names.
fn is_text(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media.starts_with("text/") || media == "application/json"
}
