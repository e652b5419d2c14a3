//! Parts of a request to publish. If one is wrong, the result is a [`Problem`].

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::{HeaderMap, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use tidings::time::{Clock, Sleep, Timer};
use tidings::{Event, EventError, Topic};

use crate::Relay;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::problem::Problem;

/// Maximum bytes that are allocated for a body before they arrive.
const MAX_PREALLOCATED: usize = 16 * 1024;

/// Parts of an event besides its payload.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    pub(crate) event: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) ttl: Option<u64>,
}

/// Declared kind of a body.
pub(crate) enum Kind {
    Text,
    Json,
    Binary,
}

/// Returns the topic that follows `page` in the path.
pub(crate) fn topic(uri: &Uri, page: &str) -> Result<Topic, Problem> {
    let path = uri.path().strip_prefix(page).unwrap_or_default();
    let topic = percent_decode_str(path).decode_utf8().map_err(|error| Problem::bad(error.to_string()).at("topic"))?;
    Topic::new(topic.as_ref()).map_err(|error| Problem::bad(error.to_string()).at("topic"))
}

/// Returns the names and values of the query, decoded. Refuses text that is not UTF-8, since a lossy decoder could make two
/// keys one.
pub(crate) fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned).map_err(|error| Problem::bad(error.to_string()))
    };
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| {
            let name = decode(name).map_err(|problem| problem.at("query"))?;
            let value = decode(value).map_err(|problem| problem.at(&name))?;
            Ok((name, value))
        })
        .collect()
}

/// Refuses a compressed body: it would be published unchanged, and its readers could not decode it.
pub(crate) fn only_identity(headers: &HeaderMap) -> Result<(), Problem> {
    let is_identity = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    let mut lines = headers.get_all(header::CONTENT_ENCODING).iter();
    match lines.all(|line| line.to_str().is_ok_and(|line| line.split(',').all(is_identity))) {
        true => Ok(()),
        false => Err(Problem::encoded()),
    }
}

/// Returns the complete body, if it has at most `max` bytes, arrives in time, and there is room for it.
///
/// The bytes are copied: otherwise history would keep the connection's read buffer in memory.
pub(crate) async fn body(relay: &Relay, peer: &Peer, mut body: Incoming, max: usize) -> Result<Bytes, Problem> {
    let mut charge = relay.bodies.charge(peer);
    // The clock is read only if the body does not arrive with the head, as a small one does.
    let mut wait = None;
    // Allocates the announced length, up to a limit, since the bytes may never arrive.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(max);
    let mut whole = Vec::with_capacity(announced.min(MAX_PREALLOCATED));
    while !body.is_end_stream() {
        let Some(frame) = next(&mut body, relay, &mut wait).await? else { break };
        let frame = frame.map_err(|error| Problem::bad(error.to_string()).at("body"))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max - whole.len() {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("body: at most {max} bytes")));
        }
        charge.grow(whole.len() + data.len())?;
        whole.extend_from_slice(&data);
        if let Some(wait) = &mut wait {
            wait.received(data.len(), relay);
        }
    }
    Ok(whole.into_boxed_slice().into())
}

/// A wait for further bytes of a body.
struct Wait {
    pace: Pace,
    sleep: Pin<Box<dyn Sleep>>,
}

impl Wait {
    fn begin(relay: &Relay) -> Self {
        let timer = relay.events.timer();
        let pace = Pace::begin(timer.now());
        Self { sleep: timer.sleep_until(pace.deadline()), pace }
    }

    fn received(&mut self, bytes: usize, relay: &Relay) {
        self.pace.received(bytes, relay.events.timer().now());
        self.sleep.as_mut().reset(self.pace.deadline());
    }
}

/// Returns the next frame of a body, if it arrives in time.
async fn next(
    body: &mut Incoming,
    relay: &Relay,
    wait: &mut Option<Wait>,
) -> Result<Option<Result<Frame<Bytes>, hyper::Error>>, Problem> {
    poll_fn(|cx| {
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(Ok(frame));
        }
        let wait = wait.get_or_insert_with(|| Wait::begin(relay));
        let ended = wait.sleep.as_mut().poll(cx);
        ended.map(|()| Err(Problem::new(StatusCode::REQUEST_TIMEOUT, wait.pace.fault())))
    })
    .await
}

impl Labels {
    /// Returns the labels in the query.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        let mut labels = Self::default();
        for (name, value) in parameters(uri)? {
            match &*name {
                "event" => labels.event = Some(value),
                "key" => labels.key = Some(value),
                "tag" => labels.tag = Some(value),
                "ttl" => {
                    let wrong = |_| Problem::bad(format!("takes milliseconds, not '{value}'")).at("ttl");
                    labels.ttl = Some(value.parse().map_err(wrong)?);
                }
                _ => return Err(Problem::bad(format!("unknown parameter '{name}': use event, key, tag and ttl"))),
            }
        }
        Ok(labels)
    }

    /// Returns the event that removes the key.
    pub(crate) fn into_removal(self) -> Result<Event, Problem> {
        if self.event.is_some() || self.ttl.is_some() {
            return Err(Problem::bad("a removal takes key and tag only"));
        }
        let key = self.key.ok_or_else(|| Problem::bad("name the key to remove").at("key"))?;
        let removal = Event::removal(&key).map_err(|error| Problem::bad(error.to_string()).at("key"))?;
        put(removal, self.tag, "tag", Event::with_tag)
    }

    /// Adds the labels to an event.
    pub(crate) fn put_on(self, event: Event) -> Result<Event, Problem> {
        let event = put(event, self.event, "event", Event::with_name)?;
        let event = put(event, self.key, "key", Event::with_key)?;
        let event = put(event, self.tag, "tag", Event::with_tag)?;
        Ok(match self.ttl {
            Some(ttl) => event.with_ttl(Duration::from_millis(ttl)),
            None => event,
        })
    }
}

/// Adds a label to an event, if there is one.
fn put(
    event: Event,
    label: Option<String>,
    name: &str,
    with: fn(Event, &str) -> Result<Event, EventError>,
) -> Result<Event, Problem> {
    match label {
        Some(label) => with(event, &label).map_err(|error| Problem::bad(error.to_string()).at(name)),
        None => Ok(event),
    }
}

impl Kind {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Text) };
        let value = value.to_str().unwrap_or("");
        let mut parts = value.split(';');
        let (kind, charset) = (parts.next().unwrap_or_default().trim(), parts.find_map(charset));
        let utf8 = charset.is_none_or(|charset| {
            ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
        });
        let is = |known: &str| kind.eq_ignore_ascii_case(known);
        let is_text = || kind.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
        // The last type is the default of `curl -d` for any body.
        if is("application/octet-stream") {
            Ok(Self::Binary)
        } else if is("application/json") && utf8 {
            Ok(Self::Json)
        } else if is_text() && utf8 || is("application/x-www-form-urlencoded") {
            Ok(Self::Text)
        } else {
            let known = "text/* in UTF-8, application/json and application/octet-stream";
            let text = format!("content-type: '{value}' is none of {known}");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
    }
}

/// Returns the value of a parameter that is the charset.
fn charset(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.trim().split_once('=')?;
    name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"'))
}
