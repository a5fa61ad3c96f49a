//! How an attempt ended, and what it used. The list is closed on our side; a
//! variant that another version adds is carried through, never dropped.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::JobId;
use crate::quantity::Bytes;
use crate::time::Span;

/// How an attempt ended: exactly one true reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    tag = "reason",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
pub enum Outcome {
    /// The guest returned, or called `proc_exit(0)`.
    Succeeded,
    /// The guest called `proc_exit` with another code; any u32 is recorded as it was.
    Exited {
        /// The exit code.
        code: u32,
    },
    /// The guest trapped.
    Trapped {
        /// What kind of trap, for example `unreachable` or `stack-overflow`.
        kind: String,
        /// The Wasm frames, innermost first, one a line.
        backtrace: String,
    },
    /// The attempt failed after the limiter had refused it memory and no later growth succeeded.
    GuestMemoryLimit {
        /// Size of the guest's memories had the refused growth been granted.
        asked: Bytes,
        /// The limit that the job named.
        limit: Bytes,
        /// The most that the guest's memories ever had.
        peak: Bytes,
        /// The exit code, when the guest exited rather than trapped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u32>,
        /// The kind of trap, when the guest trapped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trap: Option<String>,
    },
    /// The kernel killed the worker at its cgroup's memory limit: guest plus engine allowance.
    CgroupOom,
    /// A 32-bit memory reached 4 GiB, whatever the limit.
    AddressSpace,
    /// Time ran out.
    Deadline {
        /// Which of the timeouts.
        scope: DeadlineScope,
    },
    /// No host call, output or progress for the job's `stall` time.
    Stalled,
    /// `/scratch` was full.
    ScratchFull,
    /// A result, output or log passed its limit.
    OutputLimit {
        /// Which, and how large it may be.
        what: String,
    },
    /// The worker made a system call that the jail forbids.
    SandboxViolation {
        /// The name of the call.
        syscall: String,
    },
    /// The engine failed, not the guest.
    EngineFault {
        /// What the engine said.
        message: String,
    },
    /// Somebody cancelled the job.
    Cancelled,
    /// A job of higher priority took the slot.
    Preempted {
        /// That job.
        by: JobId,
    },
    /// The node was drained.
    Drained,
    /// A job that this one runs after did not succeed.
    DependencyFailed {
        /// That job.
        job: JobId,
    },
    /// The node was silent past its lease, left, or came back empty.
    NodeLost,
    /// The worker died by a signal that neither the guest nor a limit explains.
    WorkerLost {
        /// The signal's number.
        signal: i32,
    },
    /// The node could not start the attempt.
    StartFailed {
        /// Which step, and what it said.
        step: String,
    },
    /// The module asks for what the host does not give, or is larger than allowed.
    ModuleRejected {
        /// The import or size, named.
        what: String,
    },
    /// The module does not compile.
    CompileFailed {
        /// What the compiler said.
        message: String,
    },
    /// Compiling passed its budget of time, memory or size.
    CompileLimit {
        /// Which budget, and how large it is.
        what: String,
    },
    /// An input could not be had.
    InputUnavailable {
        /// Which input, and why.
        which: String,
    },
    /// An output could not be published.
    OutputRefused {
        /// Which output, and why.
        which: String,
    },
    /// A reason that this version does not know, kept as it came.
    #[serde(untagged)]
    Unknown(Map<String, Value>),
}

/// Which timeout ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeadlineScope {
    /// The timeout of one attempt.
    Attempt,
    /// The timeout of a task, all its attempts together.
    Task,
    /// The timeout of the job.
    Job,
    /// The timeout of waiting for a place.
    Queue,
}

/// Whose failure an outcome is: it decides what a retry costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody's: the task succeeded.
    Nobody,
    /// The job's own: a retry spends the user's budget.
    Job,
    /// The job's own, and trying again cannot help: the task fails at once.
    JobForGood,
    /// The cluster's: a retry is free, though three lost workers make a task poison.
    Cluster,
    /// Somebody asked for it: no retry.
    Request,
}

impl Outcome {
    /// The reason as it stands on the wire, for example `guest-memory-limit`.
    pub fn reason(&self) -> &str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Exited { .. } => "exited",
            Self::Trapped { .. } => "trapped",
            Self::GuestMemoryLimit { .. } => "guest-memory-limit",
            Self::CgroupOom => "cgroup-oom",
            Self::AddressSpace => "address-space",
            Self::Deadline { .. } => "deadline",
            Self::Stalled => "stalled",
            Self::ScratchFull => "scratch-full",
            Self::OutputLimit { .. } => "output-limit",
            Self::SandboxViolation { .. } => "sandbox-violation",
            Self::EngineFault { .. } => "engine-fault",
            Self::Cancelled => "cancelled",
            Self::Preempted { .. } => "preempted",
            Self::Drained => "drained",
            Self::DependencyFailed { .. } => "dependency-failed",
            Self::NodeLost => "node-lost",
            Self::WorkerLost { .. } => "worker-lost",
            Self::StartFailed { .. } => "start-failed",
            Self::ModuleRejected { .. } => "module-rejected",
            Self::CompileFailed { .. } => "compile-failed",
            Self::CompileLimit { .. } => "compile-limit",
            Self::InputUnavailable { .. } => "input-unavailable",
            Self::OutputRefused { .. } => "output-refused",
            Self::Unknown(fields) => fields
                .get("reason")
                .and_then(Value::as_str)
                .unwrap_or("unknown"),
        }
    }

    /// Whose failure this is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Succeeded => Blame::Nobody,
            Self::Exited { .. }
            | Self::Trapped { .. }
            | Self::GuestMemoryLimit { .. }
            | Self::CgroupOom
            | Self::AddressSpace
            | Self::Deadline {
                scope: DeadlineScope::Attempt,
            }
            | Self::Stalled
            | Self::ScratchFull
            | Self::OutputLimit { .. }
            | Self::SandboxViolation { .. }
            | Self::InputUnavailable { .. }
            | Self::OutputRefused { .. }
            | Self::Unknown(_) => Blame::Job,
            Self::Deadline { .. }
            | Self::DependencyFailed { .. }
            | Self::ModuleRejected { .. }
            | Self::CompileFailed { .. }
            | Self::CompileLimit { .. } => Blame::JobForGood,
            Self::Cancelled => Blame::Request,
            Self::EngineFault { .. }
            | Self::Preempted { .. }
            | Self::Drained
            | Self::NodeLost
            | Self::WorkerLost { .. }
            | Self::StartFailed { .. } => Blame::Cluster,
        }
    }

    /// The guest's own exit code, where it had one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Succeeded => Some(0),
            Self::Exited { code } => Some(*code),
            Self::GuestMemoryLimit { code, .. } => *code,
            _ => None,
        }
    }
}

/// One line for people: the reason and what explains it, the backtrace apart.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        match self {
            Self::Exited { code } => write!(f, " with code {code}"),
            Self::Trapped { kind, .. } => write!(f, ": {kind}"),
            Self::GuestMemoryLimit {
                asked, limit, peak, ..
            } => {
                write!(
                    f,
                    ": asked for {asked:#}, the limit is {limit:#}, the peak was {peak:#}"
                )
            }
            Self::Deadline { scope } => {
                let scope = match scope {
                    DeadlineScope::Attempt => "attempt",
                    DeadlineScope::Task => "task",
                    DeadlineScope::Job => "job",
                    DeadlineScope::Queue => "queue",
                };
                write!(f, " of the {scope}")
            }
            Self::OutputLimit { what: text }
            | Self::SandboxViolation { syscall: text }
            | Self::EngineFault { message: text }
            | Self::StartFailed { step: text }
            | Self::ModuleRejected { what: text }
            | Self::CompileFailed { message: text }
            | Self::CompileLimit { what: text }
            | Self::InputUnavailable { which: text }
            | Self::OutputRefused { which: text } => write!(f, ": {text}"),
            Self::Preempted { by } => write!(f, " by {by}"),
            Self::DependencyFailed { job } => write!(f, ": {job}"),
            Self::WorkerLost { signal } => write!(f, " to signal {signal}"),
            _ => Ok(()),
        }
    }
}

/// What one or several attempts used.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(default)]
pub struct Usage {
    /// From the start of the worker's plan to its end.
    pub wall: Span,
    /// CPU time, user and system.
    pub cpu: Span,
    /// The most memory it had at once.
    pub peak_memory: Bytes,
    /// Read from files and stdin.
    pub read: Bytes,
    /// Written to files, stdout and stderr.
    pub written: Bytes,
    /// Time the CPU limit held it back.
    pub throttled: Span,
    /// The largest growth that the limiter refused, as the size it would have made; none when zero.
    pub refused_growth: Bytes,
    /// Bytes of stdout and stderr that were not kept: the middle of what was too long.
    pub logs_dropped: Bytes,
    /// Where CPU and memory were measured.
    pub measured: Measured,
    /// What stood between it and the machine.
    pub sandbox: Sandbox,
}

/// What stood between an attempt and the machine it ran on, beside the engine.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Not known: the attempt never ran, or its node has not said it.
    #[default]
    Unknown,
    /// Every layer of the jail that a node for strangers' code must have.
    Whole,
    /// Fewer: the machine or the node's user could not have them all, and the node was
    /// told to work all the same.
    Weaker,
}

/// Where CPU time and peak memory were read.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// Not measured: the attempt never ran.
    #[default]
    Nothing,
    /// The leaf cgroup: everything the worker process did.
    Cgroup,
    /// The worker's own process clock and the limiter's high-water mark: no cgroup was writable.
    Process,
}

impl Usage {
    /// Adds what another attempt used: times and bytes sum, peaks take the larger.
    pub fn absorb(&mut self, other: &Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.peak_memory = self.peak_memory.max(other.peak_memory);
        self.read = Bytes(self.read.0.saturating_add(other.read.0));
        self.written = Bytes(self.written.0.saturating_add(other.written.0));
        self.throttled += other.throttled;
        self.refused_growth = self.refused_growth.max(other.refused_growth);
        self.logs_dropped = Bytes(self.logs_dropped.0.saturating_add(other.logs_dropped.0));
        if self.measured != Measured::Process && other.measured != Measured::Nothing {
            self.measured = other.measured;
        }
        if self.sandbox != Sandbox::Weaker && other.sandbox != Sandbox::Unknown {
            self.sandbox = other.sandbox;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_another_version_is_carried_through() {
        let text = r#"{"reason":"struck-by-lightning","volts":9}"#;
        let outcome: Outcome = serde_json::from_str(text).unwrap();
        assert_eq!(outcome.reason(), "struck-by-lightning");
        let back: Value = serde_json::from_str(&serde_json::to_string(&outcome).unwrap()).unwrap();
        assert_eq!(back, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn the_reason_on_the_wire_is_the_reason_in_code() {
        let all = [
            Outcome::Succeeded,
            Outcome::Exited { code: 7 },
            Outcome::Deadline {
                scope: DeadlineScope::Attempt,
            },
            Outcome::WorkerLost { signal: 9 },
            Outcome::ModuleRejected { what: "x".into() },
        ];
        for outcome in all {
            let value = serde_json::to_value(&outcome).unwrap();
            assert_eq!(value["reason"], outcome.reason());
            assert_eq!(serde_json::from_value::<Outcome>(value).unwrap(), outcome);
        }
    }
}
