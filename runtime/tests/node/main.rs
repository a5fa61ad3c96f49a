//! A node as its scheduler sees it, over the link: the real node with a real
//! keeper and workers, and a scheduler that each test plays.
//!
//! This binary is keeper, worker and compiler too, entered before any thread
//! exists; that is why it has a `main` of its own instead of the usual harness.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod leaving;
mod linking;
mod outputs;
mod running;
mod scheduler;
mod site;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

/// Longest that one test may take; most take a few tenths of a second.
const TEST_BOUND: Duration = Duration::from_secs(60);

macro_rules! tests {
    ($($module:ident::{$($name:ident),* $(,)?})*) => {
        &[$($((stringify!($name), || complete($module::$name()))),*),*]
    };
}

type Test = (&'static str, fn());

const TESTS: &[Test] = tests! {
    running::{
        a_task_is_told_of_from_its_module_to_its_end,
        beginning_and_end_of_a_log_are_told_before_the_end,
        a_job_that_fails_is_tried_again_without_asking,
        a_module_with_other_bytes_is_never_run,
        inputs_are_there_to_read,
        too_much_on_the_disk_ends_an_attempt,
        a_stopped_grant_is_killed_with_its_reason,
    }
    outputs::{
        files_wait_for_their_commit,
        a_result_that_is_none_is_refused,
    }
    linking::{
        an_answer_that_is_lost_is_asked_for_again,
        a_scheduler_that_says_nothing_loses_the_node,
        a_refusal_ends_the_node,
    }
    leaving::{
        a_node_that_goes_gives_its_tasks_back_and_leaves_nothing,
        a_node_that_starts_anew_goes_on_with_what_runs,
    }
};

fn main() -> ExitCode {
    match stint_runtime::enter() {
        Some(code) => code,
        None => run(),
    }
}

/// What the usual harness does, one test after the other, and says as it does.
#[allow(clippy::print_stdout, reason = "a test tells how it went")]
fn run() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<_> = filters.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|it| name.contains(*it));
    let chosen: Vec<_> = TESTS.iter().filter(|(name, _)| wanted(name)).collect();
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, test) in &chosen {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed,
        TESTS.len() - chosen.len(),
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn complete(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let done = tokio::time::timeout(TEST_BOUND, test).await;
            done.expect("the test takes too long");
        });
}
