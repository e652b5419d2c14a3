use std::fmt;

use http::request::Parts;
use http::{Extensions, Method, StatusCode};

use super::reject::RefusalCause;
use super::reject::shorten::shorten;
use super::request::SubscribeRequest;
use super::session::Session;
use crate::contract::Transport;

/// Hook that was set by [`EndpointBuilder::on_refusal`](crate::EndpointBuilder::on_refusal).
pub(crate) type Hook = Box<dyn Fn(&Refused<'_>) + Send + Sync>;

/// Refusal of a request, a message or a call for a snapshot: the argument of the hook that
/// [`EndpointBuilder::on_refusal`](crate::EndpointBuilder::on_refusal) sets.
///
/// `Display` and `Debug` write one line for a log. Text of the client is escaped and cut after 128 bytes. The query
/// string is left out because it may contain a token.
///
/// ```
/// use tidings::{Endpoint, LocalHub};
///
/// # fn endpoint() -> Endpoint {
/// tidings::EndpointBuilder::public(&LocalHub::new(), ["news"])
///     .on_refusal(|refused| eprintln!("{} {:?}: {}", refused.cause().as_str(), refused.status(), refused.text()))
///     .build()
/// # }
/// ```
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

    /// Returns the HTTP status that was sent. It is 200 for a soft reject of an `EventSource`. `None` for a soft reject
    /// of a page's WebSocket, for a WebSocket message, and for a snapshot.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the close code of the WebSocket that the refusal closed: 1002, 1007, 1008, 1009, 1011 or 1013. `None` if
    /// no WebSocket was closed, such as for a rejected message that leaves its WebSocket open.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Returns the reason, unescaped: the text that the client gets, or a more exact one for the operator, such as the
    /// text of [`Rejection::Internal`](crate::Rejection::Internal). It may contain text of the client.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text
    }

    /// Returns the request's method. `None` for a snapshot, and for a WebSocket client that violated the protocol.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.method
    }

    /// Returns the request's path, percent-encoded and without the query. `None` in the cases of
    /// [`method`](Self::method).
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path
    }

    /// Returns the transport. `None` if the request was refused before its transport was known.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Returns the session that sent the message or has the gap. `None` for a refused request.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session
    }

    /// Returns a value from the request's extensions that a layer before the endpoint put there, such as the user or
    /// the peer's address.
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

/// Text of a client for a log: quoted, escaped, and cut.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = shorten(self.0);
        write!(f, "{short:?}{}", if short.len() < self.0.len() { "…" } else { "" })
    }
}

/// Copy of the parts of a request that a refusal shows. Made only if a hook is set, or events of refusals are recorded.
pub(crate) struct Caller {
    method: Method,
    path: Box<str>,
    transport: Option<Transport>,
    extensions: Extensions,
}

impl Caller {
    pub(crate) fn of(parts: &Parts, transport: Option<Transport>) -> Self {
        let mut extensions = parts.extensions.clone();
        // A second handle to the connection would delay its end.
        extensions.remove::<hyper::upgrade::OnUpgrade>();
        Self { method: parts.method.clone(), path: parts.uri.path().into(), transport, extensions }
    }
}
