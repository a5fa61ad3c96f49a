//! The keeper as the process that it is, with real workers and compilers, seen
//! from a node's end of its socket.
//!
//! This binary is keeper, worker and compiler too, entered before any thread
//! exists; that is why it has a `main` of its own instead of the usual harness.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod attempts;
mod bursting;
mod compiling;
mod jailed;
mod leaving;
mod node;
mod priming;
mod readopting;
mod sharing;
mod site;
mod strangers;
mod warming;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

/// Longest that one test may take; most take a tenth of a second.
const TEST_BOUND: Duration = Duration::from_secs(60);

macro_rules! tests {
    ($($module:ident::{$($name:ident),* $(,)?})*) => {
        &[$($((stringify!($name), || complete($module::$name()))),*),*]
    };
}

type Test = (&'static str, fn());

const TESTS: &[Test] = tests! {
    attempts::{
        an_attempt_is_told_of_from_start_to_end,
        without_cgroups_it_runs_and_says_so,
        an_exit_code_is_told_exactly,
        a_start_that_is_repeated_changes_nothing,
        a_killed_attempt_ends_with_the_reason_that_was_given,
        a_guest_that_computes_past_its_deadline_traps,
        a_guest_that_sits_in_a_host_call_past_its_deadline_is_killed,
        a_guest_that_stands_still_is_killed_at_its_deadline_all_the_same,
        a_worker_that_is_killed_is_lost,
        nothing_starts_without_a_lease,
        everything_ends_with_the_lease,
        a_plan_that_cannot_be_run_fails_to_start,
        stopping_all_ends_each_with_the_reason,
        a_hundred_slots_at_once_are_served,
    }
    jailed::{
        workers_are_in_the_jail_that_their_keeper_tells_of,
        workers_that_are_born_for_an_attempt_are_in_that_jail_too,
        a_worker_that_waits_is_jailed_before_it_knows_of_a_job,
        an_outcome_says_what_stood_between_the_attempt_and_the_machine,
        what_a_job_may_write_to_belongs_to_its_own_user,
    }
    compiling::{
        a_good_module_is_compiled_and_runs,
        a_bad_module_is_refused_with_its_reason,
        a_compiler_that_is_killed_is_told_of,
    }
    readopting::{
        attempts_outlive_the_connection_and_are_told_of_again,
        what_ended_while_no_node_was_there_waits_in_the_spool,
        a_newer_connection_replaces_the_older,
        a_killed_keeper_takes_its_workers_and_the_next_clears_up,
        a_keeper_that_is_killed_at_any_moment_leaves_nothing_for_long,
        a_directory_has_one_keeper,
    }
    leaving::{
        with_its_node_it_goes_as_soon_as_the_connection_closes,
        a_keeper_with_nothing_left_to_keep_goes,
        a_keeper_that_nobody_talks_to_goes,
        a_keeper_that_keeps_stays_until_the_lease_is_over,
        told_to_exit_it_ends_what_runs_first,
        a_signal_ends_it_in_order,
    }
    sharing::{
        nothing_of_an_attempt_is_visible_to_the_next,
        a_worker_is_shared_within_its_grant_only,
        after_a_failure_the_next_gets_another_worker,
        a_kept_worker_that_dies_is_not_missed,
    }
    warming::{
        a_start_takes_a_worker_that_waits,
        without_cgroups_workers_wait_too,
        a_zygote_that_is_killed_is_replaced,
        a_worker_that_is_killed_at_its_berth_is_not_missed,
        a_worker_that_is_killed_while_it_is_assigned_is_replaced,
        nobody_waits_without_a_lease,
        a_thousand_starts_leave_nothing_behind,
    }
    bursting::{
        where_nobody_waits_a_worker_is_born_for_the_attempt,
        an_attempt_can_be_killed_before_its_worker_is_born,
        a_zygote_that_dies_while_it_bears_is_not_missed,
        a_zygote_that_stands_still_is_replaced,
        a_worker_that_is_done_before_it_is_heard_has_run_once,
    }
    priming::{
        a_module_in_demand_is_loaded_by_a_worker_that_waits,
        an_attempt_finds_nothing_but_its_module_in_a_worker_that_has_it,
        a_worker_with_a_module_that_is_killed_is_not_missed,
    }
    strangers::{
        garbage_is_cut_off_and_disturbs_nobody,
        a_plan_that_is_garbage_starts_nothing,
        a_node_of_another_version_is_told_which_this_is,
        orders_before_hello_are_not_obeyed,
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
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let done = tokio::time::timeout(TEST_BOUND, test).await;
            done.expect("the test takes too long");
        });
}
