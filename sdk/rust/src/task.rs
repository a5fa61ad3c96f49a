//! Which part of the job this process is.

use std::env;

/// The index of this task within its job, from 0.
pub fn task_index() -> u32 {
    number("STINT_TASK_INDEX", 0)
}

/// How many tasks the job has; at least 1.
pub fn task_count() -> u32 {
    number("STINT_TASK_COUNT", 1).max(1)
}

/// Which start of this task this is on its node, from 1. Above 1 after a retry.
pub fn try_number() -> u32 {
    number("STINT_TRY", 1)
}

/// A variable that is absent or not a number counts as absent: the program then
/// runs as the only task of its job.
fn number(variable: &str, absent: u32) -> u32 {
    env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(absent)
}
