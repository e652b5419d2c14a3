use crate::conformance::clients::BoxFuture;
use crate::conformance::run::{AdapterUnderTest, Capabilities, CaseContext, CaseOptions, CaseResult};
use crate::contract::EventRef;
use crate::model::Overflow;

/// Function of a case.
pub(in crate::conformance) type RunCase = for<'a> fn(CaseContext<'a>) -> BoxFuture<'a, CaseResult>;

/// Test over one or two rows.
pub(in crate::conformance) struct Case {
    pub(in crate::conformance) name: &'static str,
    pub(in crate::conformance) options: CaseOptions,
    pub(in crate::conformance) rows: Rows,
    pub(in crate::conformance) needs: &'static [Ability],
    pub(in crate::conformance) run: RunCase,
}

/// Rows of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) enum Rows {
    Every,
    /// Rows whose clients have cursors.
    Resuming,
    /// Rows whose clients stay subscribed between reads.
    Live,
    /// Ordered pairs of rows whose clients have cursors.
    Pairs,
}

/// Ability of a hub that a case needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) enum Ability {
    Ends,
    Keyed,
    Exact,
    Restarts,
    Prompt,
}

impl Case {
    pub(in crate::conformance) const fn new(name: &'static str, retain: usize, rows: Rows, run: RunCase) -> Self {
        let options = CaseOptions { retain, overflow: Overflow::Gap, filter: None };
        Self { name, options, rows, needs: &[], run }
    }

    pub(in crate::conformance) const fn overflow(mut self, overflow: Overflow) -> Self {
        self.options.overflow = overflow;
        self
    }

    pub(in crate::conformance) const fn filter(mut self, filter: fn(&EventRef<'_>) -> bool) -> Self {
        self.options.filter = Some(filter);
        self
    }

    pub(in crate::conformance) const fn needs(mut self, needs: &'static [Ability]) -> Self {
        self.needs = needs;
        self
    }
}

impl Ability {
    /// Returns the name if a hub lacks the ability.
    pub(in crate::conformance) fn lacks(self, of: Capabilities) -> Option<&'static str> {
        let (has, name) = match self {
            Self::Ends => (of.ends, "topic ends"),
            Self::Keyed => (of.keyed, "keyed topics"),
            Self::Exact => (of.exact, "exact eviction"),
            Self::Restarts => (of.restarts, "restarts"),
            Self::Prompt => (!of.late, "prompt events"),
        };
        (!has).then_some(name)
    }
}

impl Rows {
    /// Returns the rows of each run. With `cycle`, each row is the first of one pair.
    pub(in crate::conformance) fn choose(
        self,
        rows: &[Box<dyn AdapterUnderTest>],
        cycle: bool,
    ) -> Vec<Vec<&dyn AdapterUnderTest>> {
        let rows = rows.iter().map(|row| &**row);
        match self {
            Self::Every => rows.map(|row| vec![row]).collect(),
            Self::Resuming => rows.filter(|row| row.resumes()).map(|row| vec![row]).collect(),
            Self::Live => rows.filter(|row| row.is_live()).map(|row| vec![row]).collect(),
            Self::Pairs => {
                let rows: Vec<_> = rows.filter(|row| row.resumes()).collect();
                if cycle {
                    let next = rows.iter().cycle().skip(1);
                    return rows.iter().zip(next).map(|(from, to)| vec![*from, *to]).collect();
                }
                rows.iter().flat_map(|from| rows.iter().map(|to| vec![*from, *to])).collect()
            }
        }
    }
}
