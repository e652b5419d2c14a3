use std::collections::BTreeSet;

/// Deliveries of one subscriber.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) got: Vec<u64>,
    pub(crate) cuts: u64,
    pub(crate) moves: u64,
}

/// Sums of all ledgers.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) cuts: u64,
    pub(crate) moves: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
}

impl Audit {
    /// Adds a ledger that should have the events 1 to `last` once each, in order.
    pub(crate) fn add(&mut self, ledger: &Ledger, last: u64) {
        self.cuts += ledger.cuts;
        self.moves += ledger.moves;
        let (mut seen, mut highest) = (BTreeSet::new(), 0);
        for &number in &ledger.got {
            if !seen.insert(number) {
                self.duplicated += 1;
            } else if number < highest {
                self.out_of_order += 1;
            }
            highest = highest.max(number);
        }
        self.lost += (1..=last).filter(|number| !seen.contains(number)).count() as u64;
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.out_of_order == 0
    }
}
