use crate::conformance::adapters::own_adapters;
use crate::conformance::cases::CASES;
use crate::conformance::run::{CaseHub, Failures, HubUnderTest, Report, Table};

/// Tests a hub over the adapters of this crate, under virtual time.
///
/// # Errors
///
/// Returns the failures.
pub fn hub(hub: impl HubUnderTest) -> Result<Report, Failures> {
    let (table, hub) = (Table::of(CASES, true), CaseHub::new(hub));
    table.drive(&hub, &own_adapters());
    table.report()
}
