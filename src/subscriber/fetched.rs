use crate::contract::{EncodedBatch, EncodedDelivery};

/// [`EncodedDelivery`] of a subscriber that wraps another one. Everything but events is boxed: it is rare and large, and
/// events are then moved in registers.
pub(crate) enum Fetched {
    Events(EncodedBatch),
    Other(Box<EncodedDelivery>),
}

impl Fetched {
    pub(crate) fn into_delivery(self) -> EncodedDelivery {
        match self {
            Self::Events(events) => EncodedDelivery::Events(events),
            Self::Other(other) => *other,
        }
    }

    #[cfg(feature = "http")]
    pub(crate) fn into_box(self) -> Box<EncodedDelivery> {
        match self {
            Self::Events(events) => Box::new(EncodedDelivery::Events(events)),
            Self::Other(other) => other,
        }
    }
}
