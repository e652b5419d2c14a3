//! Counts instructions: runs one scenario for a number of rounds under callgrind. `benches/instructions/run` runs each
//! scenario at two lengths and prints the difference per delivery.

#[cfg(feature = "metrics")]
mod recorder;
#[path = "../scenarios/mod.rs"]
#[allow(dead_code, reason = "the other benches use the rest")]
mod scenarios;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args == ["--names"] {
        println!("{}", scenarios::NAMES.join("\n"));
        return ExitCode::SUCCESS;
    }
    let [scenario, burst, rounds] = args.as_slice() else {
        // `cargo bench` runs every bench, so this one prints how to run it.
        println!("instructions: run benches/instructions/run");
        return ExitCode::SUCCESS;
    };
    let (Ok(burst), Ok(rounds)) = (burst.parse(), rounds.parse()) else {
        return ExitCode::FAILURE;
    };
    #[cfg(feature = "metrics")]
    if metrics::set_global_recorder(recorder::Table::default()).is_err() {
        return ExitCode::FAILURE;
    }
    match scenarios::run(scenario, burst, rounds) {
        Some(deliveries) => println!("{deliveries}"),
        None => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}
