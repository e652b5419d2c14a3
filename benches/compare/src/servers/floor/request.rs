//! Requests: the part of HTTP/1.1 with a content-length that the load uses. Topic names are not percent-encoded in
//! paths.

use httparse::{EMPTY_HEADER, Header, Status};

use super::encode::Wire;

const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// Maximum bytes of a body.
const MAX_BODY: usize = 8 << 20;

#[derive(Debug)]
pub(super) enum Request<'a> {
    Listen(Listen<'a>),
    Publish {
        topic: &'a str,
        data: &'a str,
    },
    /// Lines of `{"topic":…,"data":…}`.
    PublishLines(&'a str),
    Health,
    Unknown,
}

#[derive(Debug)]
pub(super) struct Listen<'a> {
    pub(super) topics: Vec<String>,
    /// Cursor: messages after it, or from now on without one.
    pub(super) cursor: Option<u64>,
    pub(super) wire: Wire,
    /// `Sec-WebSocket-Key`.
    pub(super) key: &'a [u8],
    /// Maximum wait of a poll, in seconds.
    pub(super) wait: u32,
}

/// Returns the first request of the input and its size, `None` if it is not complete, or the status to refuse it with.
pub(super) fn parse(input: &[u8]) -> Result<Option<(Request<'_>, usize)>, &'static [u8]> {
    let mut headers = [EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let Status::Complete(head_size) = head.parse(input).map_err(|_| BAD)? else { return Ok(None) };
    let (Some(method), Some(target)) = (head.method, head.path) else { return Err(BAD) };
    let size = match value(head.headers, "content-length") {
        Some(size) => number(size).filter(|&size| size <= MAX_BODY).ok_or(BAD)?,
        None if value(head.headers, "transfer-encoding").is_some() => return Err(BAD),
        None => 0,
    };
    let Some(body) = input[head_size..].get(..size) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let text = || std::str::from_utf8(body).map_err(|_| BAD);
    let request = match (method, path) {
        ("GET", "/events") => Request::Listen(listen(query, head.headers).ok_or(BAD)?),
        ("GET", "/healthz") => Request::Health,
        ("POST", "/publish") => Request::PublishLines(text()?),
        ("POST", _) => match path.strip_prefix("/publish/") {
            Some(topic) => Request::Publish { topic, data: text()? },
            None => Request::Unknown,
        },
        _ => Request::Unknown,
    };
    Ok(Some((request, head_size + size)))
}

fn listen<'a>(query: &str, headers: &[Header<'a>]) -> Option<Listen<'a>> {
    let (mut topics, mut cursor) = (Vec::<String>::new(), None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "topic" if topics.iter().all(|topic| *topic != value) => topics.push(value.into_owned()),
            "cursor" => cursor = value.parse().ok(),
            _ => {}
        }
    }
    let key = value(headers, "sec-websocket-key").filter(|_| value(headers, "upgrade").is_some());
    let wire = match (key, value(headers, "accept")) {
        (Some(_), _) => Wire::WebSocket,
        (None, Some(b"text/event-stream")) => Wire::Sse,
        (None, Some(b"application/x-ndjson")) => Wire::Lines,
        _ => Wire::Poll,
    };
    let wait = value(headers, "prefer").and_then(|prefer| number(prefer.strip_prefix(b"wait=")?));
    let wait = wait.and_then(|wait| u32::try_from(wait).ok()).unwrap_or(0);
    (!topics.is_empty()).then(|| Listen { topics, cursor, wire, key: key.unwrap_or_default(), wait })
}

fn value<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
