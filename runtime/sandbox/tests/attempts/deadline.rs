//! The end of a guest that would not end.

use std::fs;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use stint_api::outcome::{DeadlineScope, Outcome};
use stint_sandbox::{Interrupt, Profile};

use crate::{Attempt, run};

const DEADLINE: Outcome = Outcome::Deadline {
    scope: DeadlineScope::Attempt,
};
/// Says "hello" and then loops: whoever waits for the word knows that it runs.
const HELLO_THEN_SPIN: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop $for_ever (br $for_ever))))"#;
/// Long enough for a machine under load; only a hang takes it whole.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_guest_that_computes_ends_when_the_interrupt_is_raised() {
    let attempt = Attempt::of_text(HELLO_THEN_SPIN);
    let interrupt = attempt.interrupt();
    let (ended, ends) = channel();
    thread::scope(|scope| {
        scope.spawn(|| ended.send(run(&attempt.plan, &interrupt)).unwrap());
        while !fs::read(&attempt.plan.stdout).is_ok_and(|said| said == b"hello\n") {
            thread::yield_now();
        }
        assert!(ends.try_recv().is_err(), "it ended by itself");
        interrupt.raise();
        let ran = ends.recv_timeout(PATIENCE).unwrap();
        assert_eq!(ran.outcome, DEADLINE);
        assert!(ran.peak_guest_memory.0 > 0);
    });
}

#[test]
fn an_interrupt_that_came_before_the_start_is_not_lost() {
    let attempt = Attempt::of("spin");
    let interrupt = attempt.interrupt();
    interrupt.raise();
    assert!(interrupt.is_raised());
    assert_eq!(run(&attempt.plan, &interrupt).outcome, DEADLINE);
}

#[test]
fn an_interrupt_may_come_at_any_moment() {
    let attempt = Attempt::of("spin");
    for micros in (0..2_000).step_by(50) {
        let interrupt = attempt.interrupt();
        thread::scope(|scope| {
            scope.spawn(|| {
                let start = std::time::Instant::now();
                while start.elapsed() < Duration::from_micros(micros) {
                    std::hint::spin_loop();
                }
                interrupt.raise();
            });
            assert_eq!(run(&attempt.plan, &interrupt).outcome, DEADLINE);
        });
    }
}

#[test]
fn a_deadline_goes_before_memory_that_was_refused() {
    let attempt = Attempt::of_text(
        r#"(module (memory (export "memory") 1)
             (func (export "_start")
               (drop (memory.grow (i32.const 65535)))
               (loop $for_ever (br $for_ever))))"#,
    );
    let interrupt = attempt.interrupt();
    thread::scope(|scope| {
        scope.spawn(|| interrupt.raise());
        assert_eq!(run(&attempt.plan, &interrupt).outcome, DEADLINE);
    });
}

#[test]
fn an_interrupt_can_stand_where_a_signal_handler_finds_it() {
    static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();
    let interrupt = INTERRUPT.get_or_init(|| Interrupt::new(Profile::Plain).unwrap());
    assert_eq!(interrupt.profile(), Profile::Plain);
    assert!(!interrupt.is_raised());
}
