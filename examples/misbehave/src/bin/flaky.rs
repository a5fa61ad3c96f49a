//! Fails twice, then succeeds.

use std::process::ExitCode;

fn main() -> ExitCode {
    let run = stint_sdk::try_number();
    if run < 3 {
        eprintln!("try {run}: failing");
        return ExitCode::from(42);
    }
    println!("try {run}: fine");
    ExitCode::SUCCESS
}
