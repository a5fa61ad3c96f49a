//! Runs one kernel a few times and returns how long each run took, in seconds.
//!
//! `stint run kernels.wasm sort`, or natively `cargo run --release -p kernels sort`

use std::error::Error;
use std::time::Instant;

use kernels::KERNELS;
use serde_json::json;

/// The first run finds its memory untouched.
const RUNS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(kernel) = KERNELS.into_iter().find(|kernel| kernel.name == name) else {
        let names = KERNELS.map(|kernel| kernel.name).join(", ");
        return Err(format!("`{name}` is no kernel; there are {names}").into());
    };
    let mut run = (kernel.prepare)();
    let mut found = 0;
    let mut seconds = [0.0; RUNS];
    for slot in &mut seconds {
        let start = Instant::now();
        found = run();
        *slot = start.elapsed().as_secs_f64();
    }
    stint_sdk::result(json!({
        "kernel": name,
        "seconds": seconds,
        // As text: not every reader of JSON has whole numbers of 64 bits.
        "found": format!("{found:016x}"),
    }))?;
    Ok(())
}
