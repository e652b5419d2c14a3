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
use tidings::{Event, Topic};

use crate::Relay;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::problem::Problem;

/// Room for so many bytes of a body before they have come.
const AT_ONCE: usize = 16 * 1024;

/// Parts of an event besides its payload.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    pub(crate) event: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) ttl: Option<u64>,
}

/// Declared kind of a body.
pub(crate) enum Kind {
    Text,
    Json,
    Binary,
}

/// The topic that the path after `/publish/` is.
pub(crate) fn topic(uri: &Uri) -> Result<Topic, Problem> {
    let path = uri.path().strip_prefix("/publish/").unwrap_or_default();
    let topic = percent_decode_str(path).decode_utf8().map_err(|error| Problem::bad(error.to_string()).at("topic"))?;
    Topic::new(topic.as_ref()).map_err(|error| Problem::bad(error.to_string()).at("topic"))
}

/// Returns the names and values of the query, decoded. A lossy decoder would make two keys one, so one that is not UTF-8
/// is refused.
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

/// Refuses a compressed body: it would be published as it is, and its readers could make nothing of it.
pub(crate) fn only_identity(headers: &HeaderMap) -> Result<(), Problem> {
    let is_identity = |coding: &str| coding.trim().is_empty() || coding.trim().eq_ignore_ascii_case("identity");
    let mut lines = headers.get_all(header::CONTENT_ENCODING).iter();
    match lines.all(|line| line.to_str().is_ok_and(|line| line.split(',').all(is_identity))) {
        true => Ok(()),
        false => Err(Problem::encoded()),
    }
}

/// Returns the whole body, if it has no more than `max` bytes, comes in time, and there is room for it.
///
/// Copies what comes: it is in the connection's read buffer, which history would hold on to.
pub(crate) async fn body(relay: &Relay, peer: &Peer, mut body: Incoming, max: usize) -> Result<Bytes, Problem> {
    let mut charge = relay.bodies.charge(peer);
    // Asks for the time only where the body is not there with the head, as a small one is.
    let mut late = None;
    // As much as is announced, in reason: it may never come.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(max);
    let mut whole = Vec::with_capacity(announced.min(AT_ONCE));
    while !body.is_end_stream() {
        let Some(frame) = next(&mut body, relay, &mut late).await? else { break };
        let frame = frame.map_err(|error| Problem::bad(error.to_string()).at("body"))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max - whole.len() {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("body: at most {max} bytes")));
        }
        charge.grow(whole.len() + data.len())?;
        whole.extend_from_slice(&data);
        if let Some(late) = &mut late {
            late.received(data.len(), relay);
        }
    }
    Ok(whole.into_boxed_slice().into())
}

/// A wait for a body that is late.
struct Late {
    pace: Pace,
    sleep: Pin<Box<dyn Sleep>>,
}

impl Late {
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

/// Returns the next frame of a body, if it comes in time.
async fn next(
    body: &mut Incoming,
    relay: &Relay,
    late: &mut Option<Late>,
) -> Result<Option<Result<Frame<Bytes>, hyper::Error>>, Problem> {
    poll_fn(|cx| {
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(Ok(frame));
        }
        let late = late.get_or_insert_with(|| Late::begin(relay));
        let ended = late.sleep.as_mut().poll(cx);
        ended.map(|()| Err(Problem::new(StatusCode::REQUEST_TIMEOUT, late.pace.fault())))
    })
    .await
}

impl Labels {
    /// Those in the query.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        let mut labels = Self::default();
        for (name, value) in parameters(uri)? {
            match &*name {
                "event" => labels.event = Some(value),
                "key" => labels.key = Some(value),
                "ttl" => {
                    let wrong = |_| Problem::bad(format!("takes milliseconds, not '{value}'")).at("ttl");
                    labels.ttl = Some(value.parse().map_err(wrong)?);
                }
                _ => return Err(Problem::bad(format!("there is no parameter '{name}': event, key and ttl are there"))),
            }
        }
        Ok(labels)
    }

    /// The event with these labels.
    pub(crate) fn put_on(self, event: Event) -> Result<Event, Problem> {
        let event = match self.event {
            Some(name) => event.with_name(&name).map_err(|error| Problem::bad(error.to_string()).at("event"))?,
            None => event,
        };
        let event = match self.key {
            Some(key) => event.with_key(&key).map_err(|error| Problem::bad(error.to_string()).at("key"))?,
            None => event,
        };
        Ok(match self.ttl {
            Some(ttl) => event.with_ttl(Duration::from_millis(ttl)),
            None => event,
        })
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
        // The last of the texts is what `curl -d` says of any body, unless told otherwise.
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

/// The value of a parameter that is the charset.
fn charset(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.trim().split_once('=')?;
    name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"'))
}
