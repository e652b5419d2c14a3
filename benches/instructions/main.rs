//! Counts instructions: runs one scenario for so many rounds and stops, for callgrind to watch. `benches/instructions/run`
//! runs each scenario at two lengths and prints the difference per delivery.

mod hub;
mod mounted;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [scenario, burst, rounds] = args.as_slice() else {
        // `cargo bench` and `cargo test` run every bench: say how this one is run, and succeed.
        println!("instructions: run benches/instructions/run");
        return ExitCode::SUCCESS;
    };
    let (Ok(burst), Ok(rounds)) = (burst.parse(), rounds.parse()) else {
        return ExitCode::FAILURE;
    };
    let deliveries = match scenario.as_str() {
        "hub-reference" => hub::by_reference(burst, rounds),
        "hub-encoded" => hub::encoded(burst, rounds),
        "hub-merged" => hub::merged(burst, rounds),
        "sse" => mounted::run(mounted::SSE, burst, rounds),
        "chunked" => mounted::run(mounted::CHUNKED, burst, rounds),
        "websocket" => mounted::run(mounted::WEBSOCKET, burst, rounds),
        _ => return ExitCode::FAILURE,
    };
    println!("{deliveries}");
    ExitCode::SUCCESS
}
