//! What `run` says in the end: one JSON object, or a few plain lines, and an
//! exit code. `status` shows the same object, and more.

use std::fmt::Write as _;

use serde::Serialize;
use stint_api::id::JobId;
use stint_api::outcome::{DeadlineScope, Outcome, Sandbox, Usage};
use stint_api::time::Span;
use stint_api::view::{JobState, JobView};

use crate::failure::Shown;
use crate::hints;
use crate::kit;
use crate::show;

/// Longest last line of standard error that stands beside a reason.
const LAST_LINE_CHARS_MAX: usize = 300;

/// Exit codes of `run` that are ours; below them stand the task's own.
pub(crate) mod code {
    /// Largest code of a task that `run` hands on.
    pub(crate) const TASK_MAX: u32 = 123;
    /// Time ran out.
    pub(crate) const DEADLINE: u8 = 124;
    /// Anything else, from a refused job to a lost scheduler.
    pub(crate) const OTHER: u8 = 125;
    /// Ctrl-C, which cancels.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// What became of a job.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Absent when the job was not accepted.
    pub(crate) id: Option<JobId>,
    pub(crate) state: JobState,
    /// The reason of the first failing task, or `succeeded`; absent while neither is so.
    pub(crate) reason: Option<String>,
    /// What the guest passed to `proc_exit`, whatever it was.
    pub(crate) code: Option<u32>,
    pub(crate) tasks: Tasks,
    pub(crate) attempts: u64,
    pub(crate) usage: UsageFigures,
    pub(crate) error: Option<Shown>,
    /// How the embedded node holds its slots to their limits; absent when the node is another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<String>,
    /// `weaker`, when an attempt ran behind fewer layers than strangers' code needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sandbox: Option<Sandbox>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Tasks {
    total: u32,
    succeeded: u32,
    failed: u32,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct UsageFigures {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_memory_bytes: u64,
}

impl From<&Usage> for UsageFigures {
    fn from(usage: &Usage) -> Self {
        Self {
            wall_seconds: usage.wall.as_secs_f64(),
            cpu_seconds: usage.cpu.as_secs_f64(),
            peak_memory_bytes: usage.peak_memory.0,
        }
    }
}

impl Report {
    /// What became of a job that was accepted.
    pub(crate) fn of(job: &JobView) -> Self {
        let outcome = outcome_of(job);
        let error = outcome
            .as_ref()
            .filter(|outcome| **outcome != Outcome::Succeeded)
            .map(|outcome| Shown {
                message: failure_line(job, outcome),
                hint: hint_of(job, outcome),
                detail: job
                    .first_failure
                    .as_ref()
                    .and_then(|first| first.stderr_tail.clone()),
            });
        Self {
            id: Some(job.id.clone()),
            state: job.state,
            reason: outcome.as_ref().map(|outcome| outcome.reason().to_owned()),
            code: outcome.as_ref().and_then(Outcome::code),
            tasks: Tasks {
                total: job.tasks.total,
                succeeded: job.tasks.succeeded,
                failed: job.tasks.failed,
            },
            attempts: job.attempts,
            usage: UsageFigures::from(&job.usage),
            error,
            limits: None,
            sandbox: Some(job.usage.sandbox).filter(|sandbox| *sandbox == Sandbox::Weaker),
        }
    }

    /// A job that was not accepted, or that we lost sight of.
    pub(crate) fn of_error(id: Option<JobId>, error: &anyhow::Error) -> Self {
        Self {
            id,
            state: JobState::Failed,
            reason: refusal_reason(error),
            code: None,
            tasks: Tasks::default(),
            attempts: 0,
            usage: UsageFigures::default(),
            error: Some(Shown::new(error)),
            limits: None,
            sandbox: None,
        }
    }

    /// A job that was given up before it was submitted.
    pub(crate) fn interrupted() -> Self {
        let error = anyhow::anyhow!("interrupted before the job was submitted");
        Self {
            state: JobState::Cancelled,
            reason: Some(Outcome::Cancelled.reason().to_owned()),
            ..Self::of_error(None, &error)
        }
    }
}

/// The outcome that stands for the whole job, once there is one.
pub(crate) fn outcome_of(job: &JobView) -> Option<Outcome> {
    match job.state {
        JobState::Succeeded => Some(Outcome::Succeeded),
        JobState::Cancelled => Some(Outcome::Cancelled),
        JobState::Queued | JobState::Running | JobState::Failed => job
            .first_failure
            .as_ref()
            .map(|first| first.outcome.clone()),
    }
}

/// The exit code of `run` for a job that is over.
pub(crate) fn exit_code(job: &JobView) -> u8 {
    match outcome_of(job) {
        Some(Outcome::Succeeded) => 0,
        Some(Outcome::Exited { code }) if code <= code::TASK_MAX => {
            u8::try_from(code).unwrap_or(code::OTHER)
        }
        Some(Outcome::Deadline { .. }) => code::DEADLINE,
        _ => code::OTHER,
    }
}

/// The lines for people, without the final newline.
pub(crate) fn summary(job: &JobView) -> String {
    let mut text = String::new();
    let tasks = match job.tasks.total {
        1 => String::new(),
        total => format!(" ({} of {total} tasks succeeded)", job.tasks.succeeded),
    };
    match outcome_of(job) {
        Some(Outcome::Succeeded) => {
            let _ = write!(text, "{} succeeded{tasks}", job.id);
        }
        Some(Outcome::Cancelled) => {
            let _ = write!(text, "{} was cancelled{tasks}", job.id);
        }
        Some(outcome) => {
            let _ = write!(
                text,
                "{} failed{tasks}: {}",
                job.id,
                failure_line(job, &outcome)
            );
            if let Outcome::Trapped { backtrace, .. } = &outcome {
                for line in backtrace.lines().take(show::BACKTRACE_LINES_MAX) {
                    let _ = write!(text, "\n    {line}");
                }
            }
            if let Some(hint) = hint_of(job, &outcome) {
                let _ = write!(text, "\nhint: {hint}");
            }
        }
        None => {
            let _ = write!(text, "{} is {}", job.id, show::job_state(job.state));
        }
    }
    let attempts = match job.attempts {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    // What never ran has used nothing.
    if job.usage.wall > Span::ZERO || job.usage.cpu > Span::ZERO {
        let _ = write!(text, "\n{}{attempts}", show::usage(&job.usage));
    }
    text
}

fn failure_line(job: &JobView, outcome: &Outcome) -> String {
    let limit = match outcome {
        Outcome::Deadline {
            scope: DeadlineScope::Attempt,
        } => format!(" ({})", job.spec.timeout),
        _ => String::new(),
    };
    let said = match outcome {
        // What else it may be says itself why; of an exit code the program alone knows.
        Outcome::Exited { .. } => last_line(job),
        _ => None,
    };
    let said = said.map_or_else(String::new, |line| format!(": {line}"));
    match &job.first_failure {
        Some(first) if job.tasks.total > 1 => {
            format!("task {}: {outcome}{limit}{said}", first.task)
        }
        _ => format!("{outcome}{limit}{said}"),
    }
}

/// What to do: a kit may know better than the reason alone.
fn hint_of(job: &JobView, outcome: &Outcome) -> Option<String> {
    let kit = job.spec.kit.as_deref();
    let said = job.first_failure.as_ref();
    let said = said.and_then(|first| first.stderr_tail.as_deref());
    let advice = kit.zip(said).and_then(|(kit, said)| kit::advice(kit, said));
    advice.or_else(|| hints::hint(outcome))
}

/// The last line that the first failing task wrote to standard error: where an
/// exception is named.
fn last_line(job: &JobView) -> Option<String> {
    let tail = job.first_failure.as_ref()?.stderr_tail.as_ref()?;
    let line = tail.lines().rfind(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(LAST_LINE_CHARS_MAX).collect())
}

/// A module that is refused at the door is refused for the reason that a node would give.
fn refusal_reason(error: &anyhow::Error) -> Option<String> {
    let kind = error.chain().find_map(|cause| {
        cause
            .downcast_ref::<stint_api::client::Error>()?
            .problem()?
            .kind
            .strip_prefix("urn:stint:")
    })?;
    let rejected = Outcome::ModuleRejected {
        what: String::new(),
    };
    (kind == rejected.reason()).then(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use stint_api::id::Digest;
    use stint_api::job::JobSpec;
    use stint_api::quantity::Bytes;
    use stint_api::time::Time;
    use stint_api::view::{TaskCounts, TaskFailure};

    use super::*;

    fn job(state: JobState, outcome: Option<Outcome>) -> JobView {
        JobView {
            id: "default.42".parse().unwrap(),
            spec: JobSpec::new(Digest([0; 32])),
            state,
            first_failure: outcome.map(|outcome| TaskFailure {
                task: 3,
                outcome,
                stderr_tail: None,
            }),
            tasks: TaskCounts {
                total: 1,
                ..TaskCounts::default()
            },
            attempts: 2,
            usage: Usage {
                wall: Span::from_millis(1500),
                cpu: Span::from_millis(250),
                peak_memory: Bytes::mebi(1),
                ..Usage::default()
            },
            submitted_at: Time::from_nanos(0),
            started_at: None,
            ended_at: None,
            waiting: None,
            suspended_at: None,
            rerun_of: None,
        }
    }

    fn failed(outcome: Outcome) -> JobView {
        job(JobState::Failed, Some(outcome))
    }

    #[test]
    fn the_exit_code_is_the_tasks_own_or_one_of_ours() {
        assert_eq!(exit_code(&job(JobState::Succeeded, None)), 0);
        for (code, exit) in [
            (1, 1),
            (123, 123),
            (124, 125),
            (137, 125),
            (256, 125),
            (u32::MAX, 125),
        ] {
            assert_eq!(exit_code(&failed(Outcome::Exited { code })), exit, "{code}");
        }
        let deadline = Outcome::Deadline {
            scope: DeadlineScope::Attempt,
        };
        assert_eq!(exit_code(&failed(deadline)), 124);
        assert_eq!(exit_code(&failed(Outcome::CgroupOom)), 125);
        assert_eq!(exit_code(&job(JobState::Cancelled, None)), 125);
    }

    #[test]
    fn the_json_object_has_exactly_the_promised_fields() {
        let value =
            serde_json::to_value(Report::of(&failed(Outcome::Exited { code: 300 }))).unwrap();
        let hint = value["error"]["hint"].clone();
        assert!(hint.is_string());
        assert_eq!(
            value,
            json!({
                "id": "default.42",
                "state": "failed",
                "reason": "exited",
                "code": 300,
                "tasks": {"total": 1, "succeeded": 0, "failed": 0},
                "attempts": 2,
                "usage": {"wall_seconds": 1.5, "cpu_seconds": 0.25, "peak_memory_bytes": 1 << 20},
                "error": {"message": "exited with code 300", "hint": hint},
            })
        );
        let value = serde_json::to_value(Report::of(&job(JobState::Succeeded, None))).unwrap();
        assert_eq!(value["reason"], "succeeded");
        assert_eq!(value["code"], 0);
        assert_eq!(value["error"], Value::Null);
    }

    #[test]
    fn a_job_that_was_never_accepted_has_the_same_shape() {
        let problem = stint_api::problem::Problem {
            kind: "urn:stint:module-rejected".into(),
            title: "Module rejected".into(),
            status: 422,
            detail: "not a module".into(),
            hint: None,
        };
        let error = stint_api::client::Error::Problem(Box::new(problem)).into();
        let value = serde_json::to_value(Report::of_error(None, &error)).unwrap();
        assert_eq!(value["id"], Value::Null);
        assert_eq!(value["state"], "failed");
        assert_eq!(value["reason"], "module-rejected");
        assert_eq!(value["error"]["message"], "not a module");
    }

    #[test]
    fn people_read_the_reason_and_what_to_do() {
        let text = summary(&failed(Outcome::GuestMemoryLimit {
            asked: Bytes::mebi(300),
            limit: Bytes::mebi(64),
            peak: Bytes::mebi(63),
            code: None,
            trap: None,
        }));
        assert_eq!(
            text,
            "default.42 failed: guest-memory-limit: asked for 300Mi, the limit is 64Mi, the peak \
             was 63Mi\nhint: raise --memory above 300Mi, or let the program ask for less\n\
             wall 1.5s, cpu 0.25s, peak memory 1.0Mi, 2 attempts"
        );
    }
}
