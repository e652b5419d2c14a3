use tidings::conformance::{self, LocalHubs};

#[test]
fn local_hub_conforms() {
    let report = conformance::hub(LocalHubs::default()).unwrap();
    assert!(report.skipped().all(|case| case.contains("restart")), "{report}");
}

#[test]
fn every_adapter_conforms() {
    let report = conformance::adapters(Vec::new()).unwrap();
    assert!(report.skipped().all(|case| case.contains("restart")), "{report}");
}
