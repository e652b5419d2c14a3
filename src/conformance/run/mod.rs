//! Runs of cases: the hub of a case, its adapters and clients, the table and its report.

mod adapter;
pub(super) mod case;
mod case_hub;
mod context;
pub(super) mod drive;
mod hub_under_test;
pub(super) mod report;
mod table;
mod virtual_timer;

pub use adapter::AdapterUnderTest;
pub use case_hub::CaseHub;
pub(super) use case_hub::CaseOptions;
pub(super) use context::{CaseContext, CheckedClient, moved};
pub use context::{CaseResult, Problem};
pub use hub_under_test::{Capabilities, HubOptions, HubUnderTest, LocalHubs};
pub use report::{Failure, Failures, Report};
pub use table::Table;
pub use virtual_timer::VirtualTimer;
