//! Counts what the test programs say, while a person reads it as it comes.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command::line;

/// Tests by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Counts {
    /// Adds what one line of a test program says, if it is its last.
    ///
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
    fn read(&mut self, said: &str) {
        let Some(result) = said.strip_prefix("test result: ") else {
            return;
        };
        for part in result.split([';', '.']) {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Runs a command of tests to its end, its output being ours, and adds to `counts`.
///
/// # Errors
/// It cannot be started or does not succeed.
pub(super) fn run(command: &mut Command, counts: &mut Counts) -> Result<()> {
    let typed = line(command);
    println!("$ {typed}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{typed}`"))?;
    if let Some(stdout) = child.stdout.take() {
        for said in BufReader::new(stdout).split(b'\n') {
            let said = said?;
            let said = String::from_utf8_lossy(&said);
            println!("{said}");
            counts.read(&said);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{typed}` failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn results_add_up_and_nothing_else_counts() {
        let mut counts = Counts::default();
        for said in [
            "test a_test ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.42s",
            "test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.5s",
            "9 passed; 9 failed",
        ] {
            counts.read(said);
        }
        let expected = Counts {
            passed: 8,
            failed: 2,
            ignored: 1,
        };
        assert_eq!(counts, expected);
    }
}
