//! The guest's memory: what it may have, and what is said when that is not enough.

use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;

use crate::{Attempt, MEBI};

const PAGE: u64 = 64 << 10;

/// Asked, limit and peak, then code and trap, of an attempt that ended for want of memory.
#[track_caller]
fn short(outcome: Outcome) -> ([u64; 3], Option<u32>, Option<String>) {
    match outcome {
        Outcome::GuestMemoryLimit {
            asked,
            limit,
            peak,
            code,
            trap,
        } => ([asked.0, limit.0, peak.0], code, trap),
        other => panic!("{other}"),
    }
}

#[test]
fn a_guest_that_traps_for_want_of_memory_reached_its_limit() {
    let ran = Attempt::of("memory-hog").memory(16 * MEBI).run();
    let peak = 15 * MEBI + PAGE;
    assert_eq!(ran.peak_guest_memory, Bytes(peak));
    assert_eq!(ran.refused_growth, Bytes(peak + MEBI));
    let (sizes, code, trap) = short(ran.outcome);
    assert_eq!(sizes, [peak + MEBI, 16 * MEBI, peak]);
    assert_eq!((code, trap.as_deref()), (None, Some("unreachable")));
}

#[test]
fn a_guest_that_exits_for_want_of_memory_reached_its_limit_and_keeps_its_code() {
    let ran = Attempt::of("memory-hog-exit").memory(16 * MEBI).run();
    let (_, code, trap) = short(ran.outcome);
    assert_eq!((code, trap), (Some(9), None));
}

#[test]
fn tables_are_memory_too() {
    let ran = Attempt::of("table-hog").memory(16 * MEBI).run();
    let (sizes, _, trap) = short(ran.outcome);
    assert_eq!(sizes[1], 16 * MEBI);
    assert!(sizes[2] > 15 * MEBI && sizes[2] <= 16 * MEBI, "{sizes:?}");
    assert_eq!(trap.as_deref(), Some("unreachable"));
}

#[test]
fn memories_and_tables_are_limited_together() {
    // Each has room for 6 MiB more, both have not: the first that asks gets it.
    let ran = Attempt::of_text(
        r#"(module
             (memory (export "memory") 64)
             (memory $other 0)
             (table $table 1 funcref)
             (func (export "_start")
               (if (i32.eq (memory.grow $other (i32.const 64)) (i32.const -1))
                 (then (return)))
               (if (i32.ne (table.grow $table (ref.null func) (i32.const 262144)) (i32.const -1))
                 (then (return)))
               unreachable))"#,
    )
    .memory(9 * MEBI)
    .run();
    let (sizes, ..) = short(ran.outcome);
    assert_eq!(sizes, [10 * MEBI + 8, 9 * MEBI, 8 * MEBI + 8]);
}

#[test]
fn a_growth_that_succeeds_forgives_the_refusal_before() {
    let ran = Attempt::of("memory-polite").run();
    assert_eq!(ran.outcome, Outcome::Exited { code: 3 });
    assert_eq!(ran.refused_growth, Bytes((1 << 30) + PAGE));
    assert_eq!(ran.peak_guest_memory, Bytes(2 * PAGE));
}

#[test]
fn a_guest_that_makes_do_without_has_succeeded() {
    let ran = Attempt::of("memory-refused-ok").run();
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert_eq!(ran.refused_growth, Bytes((1 << 30) + PAGE));
}

#[test]
fn memory_that_a_module_has_from_the_start_is_limited_too() {
    let ran = Attempt::of("big-memory").memory(16 * MEBI).run();
    let (sizes, code, trap) = short(ran.outcome);
    assert_eq!(sizes, [1 << 30, 16 * MEBI, 0]);
    assert_eq!((code, trap), (None, None));
}

#[test]
fn where_addresses_end_before_the_limit_that_is_the_reason() {
    let ran = Attempt::of("address-space").memory(5 << 30).run();
    assert_eq!(ran.outcome, Outcome::AddressSpace);
    assert_eq!(ran.peak_guest_memory, Bytes(4 << 30));
    let ran = Attempt::of("address-space").memory(1 << 30).run();
    assert_eq!(ran.outcome.reason(), "guest-memory-limit");
}

#[test]
fn a_modules_own_maximum_is_not_our_limit() {
    let ran = Attempt::of_text(
        r#"(module (memory (export "memory") 1 2)
             (func (export "_start")
               (if (i32.eq (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))))"#,
    )
    .run();
    assert_eq!(ran.outcome.reason(), "trapped");
    assert_eq!(ran.refused_growth, Bytes(0));
}

#[test]
fn exceptions_that_are_kept_are_memory_too() {
    // Throws and keeps each exception in a table, until there is no room for another.
    let ran = Attempt::of_text(
        r#"(module
             (tag $t (param i64 i64 i64 i64))
             (table $kept 1 exnref)
             (memory (export "memory") 1)
             (func (export "_start") (local $exception exnref)
               (loop $more
                 (local.set $exception
                   (block $caught (result i64 i64 i64 i64 exnref)
                     (try_table (catch_ref $t $caught)
                       (throw $t (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
                     unreachable))
                 drop drop drop drop
                 (drop (table.grow $kept (local.get $exception) (i32.const 1)))
                 (br $more))))"#,
    )
    .memory(4 * MEBI)
    .run();
    assert!(ran.peak_guest_memory.0 <= 4 * MEBI, "{ran:?}");
    let (sizes, ..) = short(ran.outcome);
    assert_eq!(sizes[1], 4 * MEBI);
}
