//! Tests for hubs, subscribers and adapters of your own.

mod adapters;
mod beside;
mod cases;
pub mod clients;
mod hub;
mod run;
mod subscriber;

pub use adapters::own_adapters;
pub use beside::adapters;
pub use hub::hub;
pub use run::{
    AdapterUnderTest, Capabilities, CaseHub, CaseResult, Failure, Failures, HubOptions, HubUnderTest, LocalHubs,
    Problem, Report, Table, VirtualTimer,
};
pub use subscriber::{SourceUnderTest, subscriber};
