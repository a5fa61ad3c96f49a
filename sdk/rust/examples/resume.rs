//! Counts its own attempts, by a checkpoint; the tests run it as a process.

use stint_sdk::checkpoint;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let before = checkpoint::load()?.map_or(0, |state| state.len());
    stint_sdk::progress(0.5, "a \"half\"\n");
    stint_sdk::metric("runs", before as f64 + 1.0);
    checkpoint::save("x".repeat(before + 1))?;
    println!("{before} -> {}", before + 1);
    Ok(())
}
