//! What a delivery and a connection cost: tidings beside servers written by hand.

mod servers;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("serve") => servers::run(arguments),
        _ => Err(format!("usage: compare serve {}", servers::USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(mistake) => {
            eprintln!("compare: {mistake}");
            ExitCode::FAILURE
        }
    }
}
