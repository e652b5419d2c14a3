use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::accept::AcceptWeights;
use super::entity_tag::HeldCursor;
use super::prefer;
use super::upgrade_request;
use crate::endpoint::reject::refusal::Refusal;

/// Headers of a request that an endpoint uses, read in one pass without a copy.
#[derive(Debug, Default)]
pub(crate) struct RequestHead<'a> {
    pub(crate) host: SingleHeader<'a>,
    pub(crate) origin: SingleHeader<'a>,
    /// `Sec-Fetch-Site`.
    pub(crate) site: SingleHeader<'a>,
    pub(crate) last_event_id: LastEventId<'a>,
    /// `If-None-Match`.
    pub(crate) held: HeldCursor,
    /// Weights of `Accept`.
    pub(crate) accepted: AcceptWeights,
    /// `Prefer: wait=N`.
    pub(crate) wait: Option<Duration>,
    /// Set if there is an `Upgrade: websocket` on HTTP/1.1.
    pub(crate) upgrades: bool,
    /// Set if there is a `Sec-WebSocket-Key`.
    pub(crate) has_key: bool,
    /// Sum of the lengths of all names and values, in bytes.
    len: usize,
}

/// Header that must not be repeated.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum SingleHeader<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Repeated,
}

/// Error of a header that is repeated.
pub(crate) struct Repeated;

/// Header that may be repeated if each copy has the same value. An empty value counts as absent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum LastEventId<'a> {
    #[default]
    Absent,
    Is(&'a [u8]),
    /// There are two different values.
    Unclear,
}

impl<'a> RequestHead<'a> {
    #[inline]
    pub(crate) fn of(parts: &'a Parts) -> Self {
        Self::read(&parts.headers, parts.version)
    }

    // Inlined because the result is large.
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
                "upgrade" => {
                    head.upgrades |= version == Version::HTTP_11 && upgrade_request::has_item(value, "websocket")
                }
                "sec-websocket-key" => head.has_key = true,
                _ => {}
            }
        }
        head
    }

    /// Checks that the target and the names and values of the headers are at most `max` bytes together.
    ///
    /// The HTTP stack has read them under its own limit. This limit bounds the publisher's work with them, and the copy
    /// that the session of a WebSocket keeps.
    ///
    /// # Errors
    ///
    /// Returns a 414 if the target alone is larger, else a 431 (RFC 6585 §5).
    pub(crate) fn check(&self, parts: &Parts, max: usize) -> Result<(), Refusal> {
        let target = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
        let refuse = |status, part| {
            Err(Refusal::new(status, format!("request {part} is too large: max_request_head is {max} bytes")))
        };
        if target > max {
            return refuse(StatusCode::URI_TOO_LONG, "target");
        }
        match target + self.len > max {
            true => refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head"),
            false => Ok(()),
        }
    }
}

impl<'a> SingleHeader<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }

    /// Returns the value, if there is one.
    pub(crate) fn once(self) -> Result<Option<&'a HeaderValue>, Repeated> {
        match self {
            Self::Absent => Ok(None),
            Self::Once(value) => Ok(Some(value)),
            Self::Repeated => Err(Repeated),
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
