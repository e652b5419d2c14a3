use crate::conformance::adapters::own_adapters;
use crate::conformance::run::{AdapterUnderTest, CaseHub, Failures, LocalHubs, Report, Table};

/// Tests adapters over a [`LocalHub`](crate::LocalHub) under virtual time: each alone, and each pair of them and of the adapters of
/// this crate. In a pair, a client is cut on one adapter and resumes on the other.
///
/// An adapter comes with a client that reads its bytes. The readers in [`clients`](crate::conformance::clients) are for adapters
/// whose wire format is one of this crate.
///
/// ```
/// use std::future::poll_fn;
/// use std::pin::Pin;
///
/// use futures_core::Stream;
/// use tidings::conformance::clients::{BoxFuture, Client, ClientEnd, Inbox, NdjsonWire, Seen, Wire};
/// use tidings::conformance::{AdapterUnderTest, CaseHub, Failures, adapters};
/// use tidings::subscriber::{BoxSubscriber, SubscriptionEnd};
/// use tidings::transport::chunked::ChunkedStream;
///
/// /// In place of an adapter of your own.
/// struct Lines;
///
/// struct LinesClient {
///     lines: ChunkedStream<BoxSubscriber>,
///     wire: NdjsonWire,
///     inbox: Inbox,
/// }
///
/// impl LinesClient {
///     /// Reads the next line. Returns `false` at the end.
///     async fn read(&mut self) -> Result<bool, String> {
///         match poll_fn(|cx| Pin::new(&mut self.lines).poll_next(cx)).await {
///             Some(line) => self.wire.read(&line, &mut self.inbox).map(|()| true),
///             None => self.wire.end().map(|()| false),
///         }
///     }
/// }
///
/// impl Client for LinesClient {
///     fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
///         Box::pin(async move {
///             loop {
///                 if let Some(seen) = self.inbox.take() {
///                     return Ok(seen);
///                 }
///                 if !self.read().await? {
///                     let is_behind = self.lines.end() == Some(SubscriptionEnd::TooSlow);
///                     return Ok(Seen::End(if is_behind { ClientEnd::Later } else { ClientEnd::Finished }));
///                 }
///             }
///         })
///     }
///
///     fn cursor(&self) -> Option<&str> {
///         self.inbox.cursor()
///     }
/// }
///
/// impl AdapterUnderTest for Lines {
///     fn name(&self) -> String {
///         "lines".into()
///     }
///
///     fn connect<'a>(
///         &'a self,
///         hub: &'a CaseHub,
///         topics: &'a [&'a str],
///         cursor: Option<&'a str>,
///     ) -> BoxFuture<'a, Result<Box<dyn Client>, String>> {
///         Box::pin(async move {
///             let subscriber = hub.subscribe_after(topics, cursor).map_err(|error| error.to_string())?;
///             let lines = ChunkedStream::new(subscriber, hub.timer());
///             let mut client = LinesClient { lines, wire: NdjsonWire::default(), inbox: Inbox::after(cursor) };
///             client.read().await?; // the hello, with the first cursor
///             Ok(Box::new(client) as Box<dyn Client>)
///         })
///     }
///
///     fn shows(&self, seen: Seen) -> Seen {
///         match seen {
///             // The stream ends in the same way after the end of the last topic.
///             Seen::End(ClientEnd::AllEnded) => Seen::End(ClientEnd::Finished),
///             seen => seen,
///         }
///     }
/// }
///
/// fn main() -> Result<(), Failures> {
///     println!("{}", adapters(vec![Box::new(Lines)])?);
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// Returns the failures.
pub fn adapters(adapters: Vec<Box<dyn AdapterUnderTest>>) -> Result<Report, Failures> {
    let (table, hub) = (Table::new(), CaseHub::new(LocalHubs));
    table.drive(&hub, &adapters.into_iter().chain(own_adapters()).collect::<Vec<_>>());
    table.report()
}
