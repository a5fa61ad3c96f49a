//! What to do next, for each way an attempt can end. One table, so that the
//! same failure gets the same advice from every verb.

use stint_api::outcome::{DeadlineScope, Outcome};

/// What the user may do about `outcome`; `None` when there is nothing to do.
pub(crate) fn hint(outcome: &Outcome) -> Option<String> {
    let text = match outcome {
        Outcome::Succeeded | Outcome::Cancelled => return None,
        Outcome::Exited { code } => {
            return Some(format!(
                "the program itself ended with {code}; what it wrote to standard error may say why"
            ));
        }
        Outcome::Trapped { kind, .. } => return Some(after_trap(kind)),
        Outcome::GuestMemoryLimit { asked, .. } => {
            return Some(format!(
                "raise --memory above {asked:#}, or let the program ask for less"
            ));
        }
        Outcome::CgroupOom => {
            "the worker as a whole took more than its limit; raise --memory, or let the program \
             keep less in memory"
        }
        Outcome::AddressSpace => {
            "a 32-bit module cannot have more than 4Gi, whatever the limit; split the work over \
             more --tasks"
        }
        Outcome::Deadline { scope } => match scope {
            DeadlineScope::Attempt => "raise --timeout, or split the work over more --tasks",
            DeadlineScope::Task => "raise --task-timeout, or split the work over more --tasks",
            DeadlineScope::Job => "raise --job-timeout, or let more of it run at once",
            DeadlineScope::Queue => {
                "raise --queue-timeout or --priority, or add a node; `stint explain` says what is missing"
            }
        },
        Outcome::Stalled => {
            "the program called nothing of its host for too long: look where it loops or waits, or raise --stall"
        }
        Outcome::ScratchFull => "raise --scratch, or let the program write less",
        Outcome::OutputLimit { .. } => {
            "leave less in the result, or write large data to /out and name it with --output"
        }
        Outcome::SandboxViolation { .. } => {
            "the worker did what no module needs to do; report it with the module"
        }
        Outcome::EngineFault { .. } => {
            "the engine failed, not the program; report it with the module"
        }
        Outcome::Preempted { .. } => "raise --priority, or run it when there is more room",
        Outcome::Drained => "the node was emptied on purpose; run the job again",
        Outcome::DependencyFailed { .. } => "look at that job first: `stint status`",
        Outcome::NodeLost => "the machine went away, and no other finished the task; run it again",
        Outcome::WorkerLost { .. } => {
            "somebody or something killed the worker, and not for a limit of the job; look at the \
             node's kernel log, and run it again"
        }
        Outcome::StartFailed { .. } => "the node has a problem of its own; look at its log",
        Outcome::ModuleRejected { .. } => {
            "build for wasm32-wasip1 without what is named here, then run it again"
        }
        Outcome::CompileFailed { .. } => {
            "is the module whole? build it again with a current compiler"
        }
        Outcome::CompileLimit { .. } => "the module is too much to compile; make it smaller",
        Outcome::InputUnavailable { .. } => {
            "it must be there, and below what --allow-inputs gives to jobs; see docs/data.md"
        }
        Outcome::OutputRefused { .. } => {
            "it must be writable, and below what --allow-outputs gives to jobs; see docs/data.md"
        }
        Outcome::Unknown(_) => "this reason is from a newer version; update `stint`",
    };
    Some(text.to_owned())
}

fn after_trap(kind: &str) -> String {
    let text = if kind.contains("unreachable") {
        "the program gave up (a panic or an abort); what it wrote to standard error may say why"
    } else if kind.contains("stack") {
        "the program called itself too deeply; look for a recursion without end"
    } else if kind.contains("memory") || kind.contains("bounds") {
        "the program touched memory that it does not have: a bug in it, or in a library of it"
    } else {
        "the program did what Wasm forbids; the backtrace says where"
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use stint_api::quantity::Bytes;

    use super::*;

    #[test]
    fn a_job_that_asked_for_too_much_is_told_how_much() {
        let outcome = Outcome::GuestMemoryLimit {
            asked: Bytes::mebi(300),
            limit: Bytes::mebi(64),
            peak: Bytes::mebi(63),
            code: None,
            trap: None,
        };
        assert!(hint(&outcome).unwrap().contains("above 300Mi"));
        assert_eq!(hint(&Outcome::Succeeded), None);
    }
}
