//! A month of flights: task 0 reads January, task 11 December, each from the same `/in/flights`.
//!
//! `stint run flights.wasm --tasks 12 --input flights=file:///…/flights.csv`

use std::error::Error;
use std::fs::File;
use std::io::BufReader;

/// Fewer, larger reads of a file of 18 MB.
const BUFFER_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let month = stint_sdk::task_index() + 1;
    let table = File::open(stint_sdk::input("flights")?)?;
    let summary = flights::month(BufReader::with_capacity(BUFFER_BYTES, table), month)?;
    println!("month {month}: {} flights", summary.flights());
    stint_sdk::result(summary)?;
    Ok(())
}
