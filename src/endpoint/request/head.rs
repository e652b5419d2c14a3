use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::accept::AcceptWeights;
use super::asked;
use super::entity_tag::HeldCursor;
use super::prefer;
use crate::endpoint::reject::refusal::Refusal;

/// Headers of a request that an endpoint uses, read in one pass without a copy.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) host: Line<'a>,
    pub(crate) origin: Line<'a>,
    /// Sec-Fetch-Site.
    pub(crate) site: Line<'a>,
    pub(crate) last_event_id: LastEventId<'a>,
    /// If-None-Match.
    pub(crate) held: HeldCursor,
    /// Weights of `Accept`.
    pub(crate) accepted: AcceptWeights,
    /// `Prefer: wait=N`.
    pub(crate) wait: Option<Duration>,
    /// Whether there is an `Upgrade: websocket`, on HTTP/1.1.
    pub(crate) upgrades: bool,
    /// Whether there is a Sec-WebSocket-Key.
    pub(crate) has_key: bool,
    /// The length of all names and values.
    len: usize,
}

/// A header that must not be there twice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Line<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Twice,
}

/// The header is there more than once.
pub(crate) struct Twice;

/// A header that may be there twice if it says the same. An empty one is absent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum LastEventId<'a> {
    #[default]
    Absent,
    Is(&'a [u8]),
    /// There are two, and they differ.
    Unclear,
}

impl<'a> Head<'a> {
    #[inline]
    pub(crate) fn of(parts: &'a Parts) -> Self {
        Self::read(&parts.headers, parts.version)
    }

    // Large, and so written where it is used.
    #[inline(always)]
    fn read(headers: &'a HeaderMap, version: Version) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            head.len += name.len() + value.len();
            match name {
                "host" => head.host.add(value),
                "origin" => head.origin.add(value),
                "sec-fetch-site" => head.site.add(value),
                "last-event-id" => head.last_event_id.add(value.as_bytes()),
                "if-none-match" => head.held.add(value.as_bytes()),
                "accept" => head.accepted.add(value),
                "prefer" => head.wait = head.wait.or_else(|| prefer::wait(value)),
                "upgrade" => head.upgrades |= version == Version::HTTP_11 && asked::has_item(value, "websocket"),
                "sec-websocket-key" => head.has_key = true,
                _ => {}
            }
        }
        head
    }

    /// Whether a request's target, and the names and values of its headers, are `max` bytes together or fewer: 431
    /// where they are more (RFC 6585 §5), 414 where the target alone is.
    ///
    /// The HTTP stack has read them by then, under its own limit. This one bounds what is done with them: a publisher's
    /// work, and the copy that a WebSocket's session keeps.
    pub(crate) fn check(&self, parts: &Parts, max: usize) -> Result<(), Refusal> {
        let target = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
        let refuse =
            |status, what| Err(Refusal::new(status, format!("a request's {what} is at most {max} bytes here")));
        if target > max {
            return refuse(StatusCode::URI_TOO_LONG, "target");
        }
        match target + self.len > max {
            true => refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head"),
            false => Ok(()),
        }
    }
}

impl<'a> Line<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Twice => Self::Twice,
        };
    }

    /// The header, if it is there.
    pub(crate) fn once(self) -> Result<Option<&'a HeaderValue>, Twice> {
        match self {
            Self::Absent => Ok(None),
            Self::Once(value) => Ok(Some(value)),
            Self::Twice => Err(Twice),
        }
    }
}

impl<'a> LastEventId<'a> {
    fn add(&mut self, id: &'a [u8]) {
        *self = match self {
            _ if id.is_empty() => return,
            Self::Absent => Self::Is(id),
            Self::Is(other) if *other == id => return,
            Self::Is(_) | Self::Unclear => Self::Unclear,
        };
    }
}
