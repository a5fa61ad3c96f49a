//! Prices an option by Monte Carlo, says how far it is, and goes on where it was when it
//! is killed: `stint run montecarlo.wasm --tasks 4 -- 200` does 200 chunks a task.

use std::error::Error;

use montecarlo::Sum;
use stint_sdk::{checkpoint, metric, progress, task_index};

fn main() -> Result<(), Box<dyn Error>> {
    let chunks: u32 = std::env::args().nth(1).map_or(Ok(20), |arg| arg.parse())?;
    let mut sum = match checkpoint::load()? {
        Some(state) => String::from_utf8(state)?.parse()?,
        None => Sum::default(),
    };
    let resumed_at = sum.chunks;
    while sum.chunks < chunks {
        sum.add_chunk(task_index());
        checkpoint::save(sum.to_string())?;
        let done = f64::from(sum.chunks) / f64::from(chunks);
        progress(done, &format!("chunk {} of {chunks}", sum.chunks));
        metric("price", sum.price().0);
    }
    let (price, error) = sum.price();
    stint_sdk::result(format!(
        r#"{{"price": {price}, "error": {error}, "chunks": {chunks}, "resumed_at": {resumed_at}}}"#
    ))?;
    Ok(())
}
