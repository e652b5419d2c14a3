//! Tests for hubs, subscribers and adapters of your own.
//!
//! The kit is a dev-dependency with the feature `conformance`. It checks the promises that an endpoint and its clients rely on: order,
//! each event once, cursors that resume anywhere, and a gap in place of each missing event.
//!
//! | function | tests | you implement |
//! |---|---|---|
//! | [`hub`] | a [`Hub`](crate::Hub), by its subscriptions and by clients of each adapter of this crate | [`HubUnderTest`] |
//! | `engine` (feature `engine`) | an [`Engine`](crate::engine), and hubs of two nodes on its log | `EngineUnderTest` |
//! | [`subscriber`] | a [`Subscriber`](crate::Subscriber) | [`SourceUnderTest`] |
//! | [`adapters`] | adapters, alone and beside those of this crate | [`AdapterUnderTest`] |
//!
//! Each returns a [`Report`], or the [`Failures`] with the name of each failed case, and what was expected and seen. A test is a few
//! lines:
//!
//! ```
//! use std::error::Error;
//! use tidings::LocalHub;
//! use tidings::conformance::{self, HubOptions, HubUnderTest};
//!
//! struct Hubs; // opens hubs of your own in place of a `LocalHub`
//!
//! impl HubUnderTest for Hubs {
//!     type Hub = LocalHub;
//!
//!     async fn open(&self, options: &HubOptions) -> Result<LocalHub, Box<dyn Error + Send + Sync>> {
//!         Ok(LocalHub::builder().retain(options.retention()).build())
//!     }
//!
//!     async fn close(&self, hub: LocalHub) {
//!         hub.close();
//!     }
//! }
//!
//! # /*
//! #[test]
//! # */
//! fn hub_conforms() {
//!     println!("{}", conformance::hub(Hubs).unwrap());
//! }
//! # hub_conforms();
//! ```
//!
//! The report also names the cases that were left out because the hub does not have their [capabilities](Capabilities): the ends of
//! topics, states of keyed topics, or a history that outlives the hub. The example `conformance_hub` in the repository has a hub with
//! planted faults, and prints the cases that find them.
//!
//! # Time and threads
//!
//! A function runs its cases on the calling thread, without a runtime. The time of the adapters is that of a [`VirtualTimer`]: it passes
//! when a case waits and nothing is ready. A hub with threads or a server is waited for: a run fails after 60 s without progress. A hub
//! whose [replies are immediate](Capabilities::with_immediate_replies) is not waited for, so that its tests take milliseconds.
//!
//! [`Table`] is for adapters that need a runtime, such as those over real sockets.

mod adapters;
mod beside;
mod cases;
pub mod clients;
#[cfg(feature = "engine")]
mod engines;
mod hub;
mod run;
mod subscriber;

pub use adapters::own_adapters;
pub use beside::adapters;
#[cfg(feature = "engine")]
#[cfg_attr(docsrs, doc(cfg(feature = "engine")))]
pub use engines::{EngineUnderTest, engine};
pub use hub::hub;
pub use run::{
    AdapterUnderTest, Capabilities, CaseHub, CaseResult, Failure, Failures, HubOptions, HubUnderTest, LocalHubs,
    Problem, Report, Table, VirtualTimer,
};
pub use subscriber::{SourceUnderTest, subscriber};
