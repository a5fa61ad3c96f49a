//! Says a line a second, for as many seconds as its argument says; returns how many.

use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds: u64 = std::env::args()
        .nth(1)
        .ok_or("usage: steady SECONDS")?
        .parse()?;
    for second in 1..=seconds {
        sleep(Duration::from_secs(1));
        println!("second {second} of {seconds}");
    }
    stint_sdk::result(format!(r#"{{"seconds":{seconds}}}"#))?;
    Ok(())
}
