//! What a task says of itself while it runs.

use std::env;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

/// Says how far this task is, from 0 to 1, and what it does.
///
/// `stint status` and `stint events` show the latest, within seconds. It goes to the file
/// that `STINT_EVENTS` names; where there is none, nothing happens. Nothing that goes
/// wrong here is worth a task's failure, so nothing is returned.
pub fn progress(done: f64, message: &str) {
    if done.is_finite() {
        append(&format!(
            r#"{{"progress": {done}, "message": {}}}"#,
            quoted(message)
        ));
    }
}

/// Says the latest value of something that this task measures, for example a loss.
///
/// A node passes on up to 32 metrics of a task, with names of up to 64 bytes.
pub fn metric(name: &str, value: f64) {
    if value.is_finite() {
        append(&format!(
            r#"{{"metric": {}, "value": {value}}}"#,
            quoted(name)
        ));
    }
}

fn append(line: &str) {
    let Some(path) = env::var_os("STINT_EVENTS") else {
        return;
    };
    if let Ok(mut file) = File::options().create(true).append(true).open(path) {
        // One write, so that no half of a line is read.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// As a string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
