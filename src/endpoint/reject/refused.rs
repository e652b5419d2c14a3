use std::fmt;

use http::request::Parts;
use http::{Extensions, Method, StatusCode};

use crate::contract::Transport;
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::session::Session;

/// Function that [`EndpointBuilder::on_refusal`](crate::EndpointBuilder::on_refusal) was given.
pub(crate) type Hook = Box<dyn Fn(&Refused<'_>) + Send + Sync>;

/// Longest client text that is shown, in bytes. The rest is cut.
const SHOWN: usize = 128;

/// Cause of a refusal. Each has its own counter in [`EndpointStats`](crate::stats::EndpointStats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCause {
    /// The origin or the host of the request is not allowed: `refused_origin`.
    Origin,
    /// The publisher rejected the request or the message, or panicked, or its answer or snapshot is too large, or an
    /// authorization was revoked while a poll was held: `refused_publisher`.
    Publisher,
    /// A limit was reached, a call of the publisher took too long, or the endpoint drains: `refused_busy`.
    Busy,
    /// The request or the message is malformed or too large: `refused_request`.
    Request,
    /// The endpoint lacks a driver or a spawner, or the server does not hand over its connections: `refused_internal`.
    Internal,
}

impl RefusalCause {
    /// Every cause, in the order of the enum.
    pub const ALL: [Self; 5] = [Self::Origin, Self::Publisher, Self::Busy, Self::Request, Self::Internal];

    /// Returns the name: `origin`, `publisher`, `busy`, `request` or `internal`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Publisher => "publisher",
            Self::Busy => "busy",
            Self::Request => "request",
            Self::Internal => "internal",
        }
    }
}

/// Refusal of a request, of a message, or of a call for a snapshot, as
/// [`EndpointBuilder::on_refusal`](crate::EndpointBuilder::on_refusal) gets it.
///
/// `Display` and `Debug` write one line for a log: text of the client is escaped and cut after 128 bytes, and the query
/// string is left out, since it may contain a token.
pub struct Refused<'a> {
    pub(crate) cause: RefusalCause,
    pub(crate) status: Option<StatusCode>,
    pub(crate) close_code: Option<u16>,
    pub(crate) text: &'a str,
    pub(crate) method: Option<&'a Method>,
    pub(crate) path: Option<&'a str>,
    pub(crate) transport: Option<Transport>,
    pub(crate) session: Option<&'a Session>,
    pub(crate) extensions: Option<&'a Extensions>,
}

impl<'a> Refused<'a> {
    pub(crate) fn new(cause: RefusalCause, text: &'a str) -> Self {
        Self {
            cause,
            text,
            status: None,
            close_code: None,
            method: None,
            path: None,
            transport: None,
            session: None,
            extensions: None,
        }
    }

    pub(crate) fn status_is(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    pub(crate) fn close_code_is(self, code: u16) -> Self {
        Self { close_code: Some(code), ..self }
    }

    pub(crate) fn of_parts(self, parts: &'a Parts) -> Self {
        let (method, path) = (Some(&parts.method), Some(parts.uri.path()));
        Self { method, path, extensions: Some(&parts.extensions), ..self }
    }

    pub(crate) fn of_request(self, request: &'a SubscribeRequest) -> Self {
        let (method, path) = (Some(request.method()), Some(request.path()));
        let (transport, extensions) = (Some(request.transport()), Some(request.extensions()));
        Self { method, path, transport, extensions, ..self }
    }

    pub(crate) fn of_caller(self, caller: &'a Caller) -> Self {
        let (method, path) = (Some(&caller.method), Some(&*caller.path));
        Self { method, path, transport: caller.transport, extensions: Some(&caller.extensions), ..self }
    }

    pub(crate) fn of_session(self, session: &'a Session) -> Self {
        Self { session: Some(session), transport: Some(session.transport()), ..self }
    }

    /// Returns the cause.
    #[must_use]
    pub fn cause(&self) -> RefusalCause {
        self.cause
    }

    /// Returns the HTTP status that was sent: 200 for a soft reject of an `EventSource`. `None` for a page's WebSocket
    /// that was opened and closed, for a WebSocket message, and for a snapshot.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the close code of the WebSocket that was closed for it: 1002, 1007, 1008, 1009, 1011 or 1013. `None` if a
    /// message was rejected and its WebSocket stays open.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Returns the reason, as it is: the text that the client was told, or the more exact one that it was not told, such
    /// as the text of [`Rejection::Internal`](crate::Rejection::Internal). It may contain text of the client.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text
    }

    /// Returns the request's method. `None` for a snapshot, and where a WebSocket client broke the protocol.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.method
    }

    /// Returns the request's path, as it came (percent-encoded), without the query. `None` like [`method`](Self::method).
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path
    }

    /// Returns the transport, where it was known by then.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Returns the session that sent the message or has the gap.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session
    }

    /// Returns a value that a layer before the endpoint put into the request's extensions: the user, the peer's address.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions?.get()
    }
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused ({})", self.cause.as_str())?;
        if let Some(method) = self.method {
            write!(f, " {}", shorten(method.as_str()))?;
        }
        if let Some(path) = self.path {
            write!(f, " {}", Escaped(path))?;
        }
        if let Some(transport) = self.transport {
            write!(f, " by {}", transport.as_str())?;
        }
        if let Some(session) = self.session {
            write!(f, " in session {}", session.id())?;
        }
        if let Some(status) = self.status {
            write!(f, " with status {}", status.as_u16())?;
        }
        if let Some(code) = self.close_code {
            write!(f, " with close code {code}")?;
        }
        write!(f, ": {}", Escaped(self.text))
    }
}

impl fmt::Debug for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({self})")
    }
}

/// Text of a client as it stands in a log: quoted, escaped, and cut.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = shorten(self.0);
        write!(f, "{short:?}{}", if short.len() < self.0.len() { "…" } else { "" })
    }
}

/// Returns the first 128 bytes at most, up to the end of a character.
pub(crate) fn shorten(text: &str) -> &str {
    let end = (0..=SHOWN.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Part of a request that a refusal shows, copied while the request is answered. Made only for a hook.
pub(crate) struct Caller {
    method: Method,
    path: Box<str>,
    transport: Option<Transport>,
    extensions: Extensions,
}

impl Caller {
    pub(crate) fn of(parts: &Parts, transport: Option<Transport>) -> Self {
        let mut extensions = parts.extensions.clone();
        // A second handle to the connection.
        extensions.remove::<hyper::upgrade::OnUpgrade>();
        Self { method: parts.method.clone(), path: parts.uri.path().into(), transport, extensions }
    }
}
