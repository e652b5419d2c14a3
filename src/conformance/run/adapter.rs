use crate::conformance::clients::{BoxFuture, Client, Seen};
use crate::conformance::run::CaseHub;

/// Adapter that the kit tests, with a client for it.
///
/// [`adapters`](crate::conformance::adapters) has an example.
pub trait AdapterUnderTest: Send + Sync {
    /// Returns the name, for the report.
    fn name(&self) -> String;

    /// Connects a client that follows these topics of the hub: after the cursor, or, without one, from now on.
    ///
    /// # Errors
    ///
    /// Returns a description of what prevents the connection. The case fails with it.
    fn connect<'a>(
        &'a self,
        hub: &'a CaseHub,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Client>, String>>;

    /// Returns the part of an item that the wire format can express. Default: everything.
    fn shows(&self, seen: Seen) -> Seen {
        seen
    }

    /// Returns whether the clients have cursors. Default: `true`.
    fn resumes(&self) -> bool {
        true
    }

    /// Returns whether the clients stay subscribed between reads. Default: `true`.
    fn is_live(&self) -> bool {
        true
    }
}
