//! The end of a guest that would not end.

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
/// Loops, and looks at its memory; it calls nobody, so that it can be stopped anywhere.
const SPIN: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $for_ever (br_if $for_ever (i32.eqz (i32.load (i32.const 0)))))))"#;
/// Long enough for a machine under load; only a hang takes it whole.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_guest_that_computes_ends_when_the_interrupt_is_raised() {
    let attempt = Attempt::of_text(SPIN);
    let interrupt = attempt.interrupt();
    let (ended, ends) = channel();
    thread::scope(|scope| {
        scope.spawn(|| ended.send(run(&attempt.plan, &interrupt)).unwrap());
        // It takes about a millisecond to begin.
        assert!(ends.recv_timeout(Duration::from_millis(100)).is_err());
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
    let attempt = Attempt::of_text(SPIN);
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
               (loop $for_ever (br_if $for_ever (i32.eqz (i32.load (i32.const 0)))))))"#,
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
