//! The command line.

use crate::contender::Contender;

/// Text of `--help`.
pub(crate) const HELP: &str = "\
compare: the cost of a delivery, of tidings and of servers written by hand

usage: cargo run --release -p compare [-- OPTION…]

  --rounds N     measurements of each server on each workload (default 5)
  --only TEXT    only workloads with this text in their name, in upper or lower case
  --servers A,B  only these of: floor, floor-batch, axum, tuned, tidings
  --quick        one round of small workloads: checks the deliveries, and prints no figures
  --no-write     do not write the files
  --help         print this text

It builds the relay, which stands for tidings, prints the tables, and writes them to benches/compare/RESULTS.md and
docs/compare.svg; with --only, --servers or --quick it writes nothing. It needs two CPUs: the server runs on one, the
client on the other.";

/// Options of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// In lower case.
    pub(crate) only: Option<String>,
    pub(crate) servers: Vec<Contender>,
    pub(crate) quick: bool,
    write: bool,
}

/// Result of reading the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Help,
    Run(Options),
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Parsed, String> {
        let mut options = Self { rounds: 5, only: None, servers: Contender::ALL.to_vec(), quick: false, write: true };
        let mut args = args.iter();
        let mut rounds = None;
        while let Some(option) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{option} takes a value; --help says which"));
            match option.as_str() {
                "--help" | "-h" => return Ok(Parsed::Help),
                "--rounds" => rounds = Some(count(value()?)?),
                "--only" => options.only = Some(value()?.to_lowercase()),
                "--servers" => options.servers = servers(value()?)?,
                "--quick" => options.quick = true,
                "--no-write" => options.write = false,
                other => return Err(format!("there is no option '{other}'; --help lists them")),
            }
        }
        options.rounds = rounds.unwrap_or(if options.quick { 1 } else { options.rounds });
        Ok(Parsed::Run(options))
    }

    /// Files are written for complete tables only.
    pub(crate) fn writes(&self) -> bool {
        self.write && !self.quick && self.only.is_none() && self.servers.len() == Contender::ALL.len()
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("--rounds: '{text}' is no number above 0")),
    }
}

/// In the order of the tables, for any order of the options.
fn servers(list: &str) -> Result<Vec<Contender>, String> {
    if let Some(stranger) = list.split(',').find(|name| Contender::named(name).is_none()) {
        let names: Vec<_> = Contender::ALL.iter().map(|one| one.name()).collect();
        return Err(format!("--servers: there is no '{stranger}'; they are {}", names.join(", ")));
    }
    Ok(Contender::ALL.into_iter().filter(|one| list.split(',').any(|name| name == one.name())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Parsed, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn options(line: &str) -> Options {
        match parse(line) {
            Ok(Parsed::Run(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_run_writes_and_a_partial_one_does_not() {
        assert!(options("").writes());
        assert!(options("--rounds 2").writes());
        assert!(options("--servers tidings,axum,floor,tuned,floor-batch").writes());
        for partial in ["--quick", "--only sse", "--servers axum,tidings", "--no-write"] {
            assert!(!options(partial).writes(), "{partial}");
        }
    }

    #[test]
    fn options_are_taken_in_any_order() {
        let one = options("--only SSE --rounds 3 --servers tidings,floor --quick");
        assert_eq!(one, options("--quick --servers floor,tidings --rounds 3 --only sse"));
        assert_eq!((one.rounds, one.only.as_deref()), (3, Some("sse")));
        assert_eq!(one.servers, [Contender::Floor, Contender::Tidings]);
        assert_eq!((options("").rounds, options("--quick").rounds), (5, 1));
        assert_eq!(parse("--quick --help"), Ok(Parsed::Help));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let unknown = [
            ("--fast", "--fast"),
            ("sse", "sse"),
            ("--rounds 0", "0"),
            ("--rounds x", "x"),
            ("--only", "--only"),
            ("--servers axum,nginx", "nginx"),
        ];
        for (line, named) in unknown {
            assert!(parse(line).is_err_and(|error| error.contains(named)), "{line}");
        }
    }
}
