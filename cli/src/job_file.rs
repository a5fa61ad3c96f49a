//! `job.toml`: a job as a file. The fields are those of the API, except that
//! `module` or `script` is the path of a file beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stint_api::constraint::Constraint;
use stint_api::id::{JobId, Namespace};
use stint_api::job::{Input, Isolation};
use stint_api::problem::nearest;
use stint_api::quantity::{Bytes, Millicores};
use stint_api::retry::RetryRule;
use stint_api::tasks::TaskList;
use stint_api::time::Span;

use crate::failure::{hinted, hinted_because};

/// Most bytes of a job file; people write it by hand.
const JOB_FILE_BYTES_MAX: u64 = 1 << 20;

/// What a job file says; what it leaves out has the API's default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobFile {
    pub(crate) module: Option<PathBuf>,
    pub(crate) script: Option<PathBuf>,
    pub(crate) kit: Option<String>,
    #[serde(default)]
    pub(crate) with: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) args: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) tasks: Option<u32>,
    pub(crate) only: Option<TaskList>,
    pub(crate) parallelism: Option<u32>,
    pub(crate) cpu: Option<Millicores>,
    pub(crate) memory: Option<Bytes>,
    pub(crate) scratch: Option<Bytes>,
    pub(crate) timeout: Option<Span>,
    pub(crate) task_timeout: Option<Span>,
    pub(crate) job_timeout: Option<Span>,
    pub(crate) queue_timeout: Option<Span>,
    pub(crate) stall: Option<Span>,
    pub(crate) retries: Option<u32>,
    #[serde(default)]
    pub(crate) retry: Vec<RetryRule>,
    pub(crate) max_failed: Option<u32>,
    #[serde(default)]
    pub(crate) after: Vec<JobId>,
    #[serde(default)]
    pub(crate) constraints: Vec<Constraint>,
    #[serde(default)]
    pub(crate) prefer: Vec<Constraint>,
    pub(crate) spread: Option<String>,
    pub(crate) priority: Option<i32>,
    pub(crate) isolation: Option<Isolation>,
    #[serde(default)]
    pub(crate) inputs: Vec<Input>,
    pub(crate) output: Option<String>,
}

/// The fields of a job file, for the suggestion after a misspelt one.
const FIELDS: [&str; 30] = [
    "module",
    "script",
    "kit",
    "with",
    "name",
    "namespace",
    "args",
    "env",
    "tasks",
    "only",
    "parallelism",
    "cpu",
    "memory",
    "scratch",
    "timeout",
    "task_timeout",
    "job_timeout",
    "queue_timeout",
    "stall",
    "retries",
    "retry",
    "max_failed",
    "after",
    "constraints",
    "prefer",
    "spread",
    "priority",
    "isolation",
    "inputs",
    "output",
];

/// The fields of one input.
const INPUT_FIELDS: [&str; 5] = ["name", "url", "sha256", "split", "lines"];
/// The fields of one rule about trying again.
const RULE_FIELDS: [&str; 4] = ["on", "do", "memory_factor", "up_to"];

/// A job file that names nothing to run.
pub(crate) fn runs_nothing(path: &Path) -> anyhow::Error {
    hinted(
        format!("`{}` names neither `module` nor `script`", path.display()),
        "write `module = \"x.wasm\"`, or `script = \"x.py\"`",
    )
}

/// Reads the job file at `path`.
pub(crate) fn read(path: &Path) -> anyhow::Result<JobFile> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        hinted_because(
            format!("cannot read `{shown}`"),
            "give the path of a module (x.wasm), a script (x.py) or a job file (job.toml)",
            error,
        )
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > JOB_FILE_BYTES_MAX {
        return Err(hinted(
            format!("`{shown}` has {size} bytes, which is too much for a job file"),
            "is it a module? then its name must end in .wasm",
        ));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(&shown.to_string(), &text)
}

fn parse(file: &str, text: &str) -> anyhow::Result<JobFile> {
    toml::from_str(text).map_err(|error| {
        let place = match error.span() {
            Some(span) => format!("{file}:{}", line_of(text, span.start)),
            None => file.to_owned(),
        };
        let message = error.message().trim();
        let hint = suggestion(message).unwrap_or_else(|| {
            "a job file is TOML with `module = \"x.wasm\"`, or `script = \"x.py\"`, and the limits of the job; \
             see `stint run --help`"
                .to_owned()
        });
        hinted(format!("{place}: {}", first_line(message)), hint)
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

/// Serde lists every field after an unknown one; the nearest is enough.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or(message);
    match line.split_once(", expected") {
        Some((unknown, _)) if line.starts_with("unknown field") => unknown.to_owned(),
        _ => line.to_owned(),
    }
}

fn suggestion(message: &str) -> Option<String> {
    let unknown = message.strip_prefix("unknown field `")?.split('`').next()?;
    let known: &[&str] = if message.contains("`url`") {
        &INPUT_FIELDS
    } else if message.contains("`memory_factor`") {
        &RULE_FIELDS
    } else {
        &FIELDS
    };
    Some(match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the fields are: {}", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Shown;

    fn refused(text: &str) -> String {
        Shown::new(&parse("job.toml", text).unwrap_err()).to_string()
    }

    #[test]
    fn a_job_file_has_the_fields_of_the_api() {
        let job = parse(
            "job.toml",
            "module = \"x.wasm\"\ntasks = 12\ncpu = 0.5\nmemory = \"64Mi\"\ntimeout = \"10s\"\n\
             args = [\"a\"]\n[env]\nK = \"v\"\n[[inputs]]\nname = \"flights\"\nurl = \"f.csv\"\n",
        )
        .unwrap();
        assert_eq!(job.tasks, Some(12));
        assert_eq!(job.cpu, Some(Millicores(500)));
        assert_eq!(job.inputs[0].url, "f.csv");
        assert_eq!(job.env["K"], "v");
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_line_and_its_neighbour() {
        assert_eq!(
            refused("module = \"x.wasm\"\nmemroy = \"64Mi\"\n"),
            "error: job.toml:2: unknown field `memroy`\nhint: did you mean `memory`?"
        );
        assert_eq!(
            refused("module = \"x.wasm\"\n[[retry]]\non = \"exited\"\nupto = \"1Gi\"\n"),
            "error: job.toml:4: unknown field `upto`\nhint: did you mean `up_to`?"
        );
        assert_eq!(
            refused("module = \"x.wasm\"\n[[inputs]]\nname = \"a\"\nurll = \"b\"\n"),
            "error: job.toml:4: unknown field `urll`\nhint: did you mean `url`?"
        );
    }

    #[test]
    fn a_field_that_is_there_twice_or_missing_or_wrong_is_refused() {
        assert!(
            refused("module = \"x\"\nmodule = \"y\"\n")
                .starts_with("error: job.toml:2: duplicate key")
        );
        assert!(
            refused("module = \"x\"\nmemory = \"lots\"\n")
                .contains("job.toml:2: `lots` is not an amount")
        );
        assert!(refused("module = \"x\"\ntasks = -1\n").contains("job.toml:2"));
        assert!(refused("module = ").contains("job.toml:1"));
    }
}
