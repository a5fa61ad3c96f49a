//! What the reference of the job file says beside the types: which fields belong together,
//! how each looks, and what bounds there are.

use stint_api::job::{
    AFTER_MAX, ENTRIES_MAX, ENTRY_BYTES_MAX, INPUTS_MAX, RETRIES_MAX, STALL_MIN, TASKS_MAX,
    TIMEOUT_MAX,
};

pub(crate) const HEAD: &str = "\
# The job file

<!-- Written by `tests/tests/references/` from the types of `api/src/job.rs`: change it there, and write it anew
with `STINT_UPDATE_GOLDEN=1 cargo test -p stint-tests --test references`. -->

`stint run job.toml` and `stint submit job.toml` take a job as a file in TOML. It has the fields of the API's job
(`POST /v1/jobs`), except that `module` and `script` are paths. Paths stand beside the file. A flag wins over the
file, one by one for variables and inputs; arguments after the file replace `args`. A misspelt field is
refused, and the nearest one named. What has no default is absent unless it is given.

One field more is the command line's own: `with = [\"humanize==4.9.0\"]`, or `--with`, brings packages of Python alone
along with a script, by name or as wheels.
";

/// Fields that belong together, and how they look.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    /// The type whose fields they are.
    pub(crate) of: &'static str,
    pub(crate) fields: &'static [&'static str],
    pub(crate) example: &'static str,
}

pub(crate) const JOB: &str = "JobSpec";
pub(crate) const GROUPS: [Group; 8] = [
    Group {
        title: "What runs",
        of: JOB,
        fields: &["module", "script", "kit", "args", "env"],
        example: "\
script = \"analysis.py\"           # or: module = \"x.wasm\"
kit = \"python\"
args = [\"--fast\", \"2013\"]
env = { COLOUR = \"blue\" }
",
    },
    Group {
        title: "Whose it is",
        of: JOB,
        fields: &["name", "namespace", "priority"],
        example: "\
name = \"delays-by-month\"
namespace = \"data-team\"
priority = 10
",
    },
    Group {
        title: "How many tasks",
        of: JOB,
        fields: &["tasks", "only", "parallelism", "isolation"],
        example: "\
tasks = 12
only = \"0-5,11\"
parallelism = 4
isolation = \"task\"
",
    },
    Group {
        title: "What each may take",
        of: JOB,
        fields: &[
            "cpu",
            "memory",
            "scratch",
            "timeout",
            "task_timeout",
            "job_timeout",
            "queue_timeout",
            "stall",
        ],
        example: "\
cpu = 0.5
memory = \"512Mi\"
scratch = \"1Gi\"
timeout = \"10m\"
task_timeout = \"30m\"
job_timeout = \"6h\"
queue_timeout = \"1h\"
stall = \"60s\"
",
    },
    Group {
        title: "What follows a failure",
        of: JOB,
        fields: &["retries", "retry", "max_failed"],
        example: "\
retries = 3
max_failed = 10

[[retry]]
on = \"guest-memory-limit\"
memory_factor = 2
up_to = \"4Gi\"

[[retry]]
on = \"exit:42\"
do = \"fail\"
",
    },
    Group {
        title: "When and where it runs",
        of: JOB,
        fields: &["after", "constraints", "prefer", "spread"],
        example: "\
after = [\"default.41\"]
constraints = [\"zone=eu|us\", \"!spot\"]
prefer = [\"disk=ssd\"]
spread = \"zone\"
",
    },
    Group {
        title: "Data",
        of: JOB,
        fields: &["inputs", "output"],
        example: "\
output = \"report\"                # or: file:///results/report

[[inputs]]
name = \"table\"
url = \"table.csv\"                # or: file:///data/table.csv, https://…, s3://…

[[inputs]]
name = \"more\"
url = \"https://data.example.org/more.csv\"
sha256 = \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"

[[inputs]]
name = \"part\"                    # each task reads its own lines at /in/part
url = \"s3://bucket/years/*.csv\"
split = \"lines\"                  # or \"object\"
lines = 5000
",
    },
    Group {
        title: "A rule of `[[retry]]`",
        of: "RetryRule",
        fields: &["on", "do", "memory_factor", "up_to"],
        example: "",
    },
];
/// An input has few fields, and its example stands with those of the job.
pub(crate) const INPUT: Group = Group {
    title: "One of `[[inputs]]`",
    of: "Input",
    fields: &["name", "url", "sha256", "split", "lines"],
    example: "",
};

/// What these two are in a file; elsewhere they are what was pushed before.
pub(crate) const PATHS: [(&str, &str); 2] = [
    (
        "module",
        "The WebAssembly module to run, unless there is a script.",
    ),
    (
        "script",
        "The script to run, by the kit that `kit` names, or else by the one for its suffix.",
    ),
];
/// What is written in more than one way.
pub(crate) const VALUES: [(&str, &str); 9] = [
    ("Bytes", "bytes"),
    ("Cpu", "cores"),
    ("Span", "time"),
    ("Factor", "factor"),
    ("TaskList", "indices"),
    ("Constraint", "label"),
    ("Digest", "digest"),
    ("JobId", "job"),
    ("RetryOn", "end"),
];

/// What a value may be, beyond its type.
pub(crate) fn bounds(field: &str) -> Option<String> {
    Some(match field {
        "name" | "kit" => "At most 63 of a-z, 0-9 and inner hyphens".to_owned(),
        "tasks" => format!("From 1 to {TASKS_MAX}"),
        "retries" => format!("At most {RETRIES_MAX}"),
        "args" | "env" => format!(
            "At most {ENTRIES_MAX}, of {} KiB together",
            ENTRY_BYTES_MAX >> 10
        ),
        "inputs" => format!("At most {INPUTS_MAX}"),
        "after" => format!("At most {AFTER_MAX}"),
        "cpu" => "At least 10m".to_owned(),
        "memory" => "At least 64Ki".to_owned(),
        "scratch" => "At least 4Ki".to_owned(),
        "stall" => format!("From {STALL_MIN} to {TIMEOUT_MAX}"),
        "timeout" | "task_timeout" | "job_timeout" | "queue_timeout" => {
            format!("At most {TIMEOUT_MAX}")
        }
        _ => return None,
    })
}
