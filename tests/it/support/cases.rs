use proptest::test_runner::Config;

/// Number of cases that proptest runs by default.
const DEFAULT: u64 = 256;

/// Returns a configuration with this many cases. `PROPTEST_CASES` scales it: with twice the default of 256, every property
/// has twice its cases.
pub(crate) fn cases(cases: u32) -> Config {
    let default = Config::default();
    let scaled = u64::from(cases) * u64::from(default.cases) / DEFAULT;
    Config { cases: u32::try_from(scaled.max(1)).unwrap_or(u32::MAX), ..default }
}
