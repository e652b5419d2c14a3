use std::fmt::Display;

use crate::model::Event;

/// Item of a run's stream: an [`Event`], a `String`, a `&'static str`, or a `Result` of one of these.
///
/// A text becomes a [text event](Event::text). An error ends the run as [failed](crate::EndReason::Failed); its text goes to
/// [`RunsBuilder::on_failure`](crate::runs::RunsBuilder::on_failure) only, by `{error:#}`, which for `anyhow::Error` includes
/// the causes.
pub trait RunItem: sealed::Sealed {
    /// Returns the event, or the text of the error.
    #[doc(hidden)]
    fn into_event(self) -> Result<Event, String>;
}

impl RunItem for Event {
    fn into_event(self) -> Result<Event, String> {
        Ok(self)
    }
}

impl RunItem for String {
    fn into_event(self) -> Result<Event, String> {
        Ok(Event::text(self))
    }
}

impl RunItem for &'static str {
    fn into_event(self) -> Result<Event, String> {
        Ok(Event::text(self))
    }
}

impl<T: RunItem, E: Display> RunItem for Result<T, E> {
    fn into_event(self) -> Result<Event, String> {
        self.map_err(|error| format!("{error:#}"))?.into_event()
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Sealed {}

    impl Sealed for super::Event {}
    impl Sealed for String {}
    impl Sealed for &'static str {}
    impl<T: Sealed, E> Sealed for Result<T, E> {}
}
