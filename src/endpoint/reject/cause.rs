/// Cause of a refusal. Each cause has its own counter in [`EndpointStats`](crate::stats::EndpointStats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCause {
    /// The origin or the host of the request is not allowed. Counter: `refused_origin`.
    Origin,
    /// The publisher rejected the request or the message, or panicked, its answer or snapshot is too large, or the
    /// authorization of a held poll was revoked. Counter: `refused_publisher`.
    Publisher,
    /// A limit was reached, a call of the publisher took too long, or the endpoint drains. Counter: `refused_busy`.
    Busy,
    /// The request or the message is malformed or too large. Counter: `refused_request`.
    Request,
    /// The endpoint lacks a driver, a spawner or a stream, or the server does not support upgrades. Counter:
    /// `refused_internal`.
    Internal,
    /// A change of [presence](crate::EndpointBuilder::presence) was not published: the closure panicked, it returned a
    /// name that is not valid, or the hub refused the event. The client is served. Counter: `refused_presence`.
    Presence,
}

impl RefusalCause {
    /// Every cause, in the order of the enum.
    pub const ALL: &'static [Self] =
        &[Self::Origin, Self::Publisher, Self::Busy, Self::Request, Self::Internal, Self::Presence];

    /// Returns the name: `origin`, `publisher`, `busy`, `request`, `internal` or `presence`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Publisher => "publisher",
            Self::Busy => "busy",
            Self::Request => "request",
            Self::Internal => "internal",
            Self::Presence => "presence",
        }
    }
}
