//! One tower service that answers every enabled transport at one URL.
