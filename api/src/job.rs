//! What a person submits: the body of `POST /v1/jobs`, and `job.toml`.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Namespace, is_name};
use crate::kit::Script;
use crate::quantity::{Bytes, Millicores, Resources};
use crate::tasks::TaskList;
use crate::time::Span;

/// Most tasks of one job.
pub const TASKS_MAX: u32 = 1_000_000;
/// Most attempts that a task may spend after its first.
pub const RETRIES_MAX: u32 = 1_000;
/// Most arguments and most environment variables.
pub const ENTRIES_MAX: usize = 1_024;
/// Most bytes of arguments, and of environment.
pub const ENTRY_BYTES_MAX: usize = 128 << 10;
/// Most inputs.
pub const INPUTS_MAX: usize = 64;
/// Longest timeout: 30 days.
pub const TIMEOUT_MAX: Span = Span::from_secs(30 * 24 * 3_600);

/// A job as it is submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// A name for people; need not be unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who the job belongs to.
    #[serde(default)]
    pub namespace: Namespace,
    /// The module to run, pushed before. A job with a `kit` names none; the scheduler
    /// fills in the kit's.
    #[serde(default = "no_module", skip_serializing_if = "is_no_module")]
    pub module: Digest,
    /// The kit that runs `script`, added before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit: Option<String>,
    /// The script that the kit runs, put before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// Arguments after the program's name.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables; names that start with `STINT_` are ours.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How many tasks, each with its `STINT_TASK_INDEX`.
    #[serde(default = "one")]
    pub tasks: u32,
    /// Which of the tasks to run, for example `3,7-9`; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<TaskList>,
    /// Most tasks that may run at once; as many as fit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// CPU of each slot.
    #[serde(default = "default_cpu")]
    pub cpu: Millicores,
    /// Memory of each slot's guest.
    #[serde(default = "default_memory")]
    pub memory: Bytes,
    /// Disk of each slot for `/scratch` and `/out`.
    #[serde(default = "default_scratch")]
    pub scratch: Bytes,
    /// Longest run of one attempt.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Attempts that a task may spend after its first, for failures of its own.
    #[serde(default)]
    pub retries: u32,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// Whether its tasks may share a process; `job` when absent and there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Read-only files and directories under `/in`.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// Where `/out` is published, one directory per task; `file://` today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// How far the tasks of a job are kept apart. Those of different jobs never share a process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A worker may run one task after another, each with a memory, files and
    /// environment of its own.
    Job,
    /// Each attempt has a process of its own.
    #[default]
    Task,
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "job" => Ok(Self::Job),
            "task" => Ok(Self::Task),
            other => Err(format!("`{other}` is neither `job` nor `task`")),
        }
    }
}

/// Many jobs at once: the body of `POST /v1/jobs:batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobBatch {
    /// The jobs: all of them are accepted, or none.
    pub jobs: Vec<JobSpec>,
}

/// One input, readable at `/in/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name under `/in`.
    pub name: String,
    /// Where it is; `file://` today.
    pub url: String,
}

/// What stands where a module is not named: the digest of nothing that anybody finds.
const NO_MODULE: Digest = Digest([0; 32]);

const fn no_module() -> Digest {
    NO_MODULE
}

fn is_no_module(module: &Digest) -> bool {
    *module == NO_MODULE
}

const fn one() -> u32 {
    1
}

const fn default_cpu() -> Millicores {
    Millicores(1000)
}

const fn default_memory() -> Bytes {
    Bytes::mebi(256)
}

const fn default_scratch() -> Bytes {
    Bytes::mebi(64)
}

const fn default_timeout() -> Span {
    Span::from_secs(3_600)
}

/// A field of a [`JobSpec`] has a value that no cluster could accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {why}")]
pub struct InvalidSpec {
    /// The field, for example `memory` or `inputs[2].name`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl JobSpec {
    /// A job of one task with every default, for the module `module`.
    pub fn new(module: Digest) -> Self {
        Self {
            name: None,
            namespace: Namespace::default(),
            module,
            kit: None,
            script: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            tasks: one(),
            only: None,
            parallelism: None,
            cpu: default_cpu(),
            memory: default_memory(),
            scratch: default_scratch(),
            timeout: default_timeout(),
            retries: 0,
            priority: 0,
            isolation: None,
            inputs: Vec::new(),
            output: None,
        }
    }

    /// A job of one task with every default, that runs `script` with the kit `kit`.
    pub fn of_script(kit: String, script: Script) -> Self {
        Self {
            kit: Some(kit),
            script: Some(script),
            ..Self::new(NO_MODULE)
        }
    }

    /// Whether it names a module itself.
    pub fn names_module(&self) -> bool {
        self.module != NO_MODULE
    }

    /// How many tasks it runs.
    pub fn selected(&self) -> u32 {
        self.only.as_ref().map_or(self.tasks, TaskList::count)
    }

    /// How far its tasks are kept apart.
    pub fn isolation(&self) -> Isolation {
        let several = self.tasks > 1;
        self.isolation.unwrap_or(match several {
            true => Isolation::Job,
            false => Isolation::Task,
        })
    }

    /// What one slot of the job takes from a node.
    pub fn resources(&self) -> Resources {
        Resources {
            cpu: self.cpu,
            memory: self.memory,
            scratch: self.scratch,
        }
    }

    /// Checks every field against the limits of this file.
    ///
    /// # Errors
    /// The first field, in the order of the struct, that no cluster could accept.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        if let Some(name) = &self.name {
            check("name", is_name(name), || {
                format!("`{name}` is not a name; use at most 63 of a-z, 0-9 and inner hyphens")
            })?;
        }
        self.validate_program()?;
        self.validate_entries()?;
        check("tasks", (1..=TASKS_MAX).contains(&self.tasks), || {
            format!(
                "{} is out of range; a job has 1 to {TASKS_MAX} tasks",
                self.tasks
            )
        })?;
        if let Some(only) = &self.only {
            check("only", !only.is_empty(), || {
                "an empty list would run nothing; leave it out for all tasks".to_owned()
            })?;
            let last = only.last().unwrap_or_default();
            check("only", last < self.tasks, || {
                let most = self.tasks - 1;
                format!("there is no task {last}; the last one is {most}")
            })?;
        }
        check("parallelism", self.parallelism != Some(0), || {
            "0 would run nothing; leave it out for as many as fit".to_owned()
        })?;
        check("cpu", self.cpu.0 >= 10, || {
            format!("{} is too little; ask for at least 10m", self.cpu)
        })?;
        check("memory", self.memory.0 >= 64 << 10, || {
            format!(
                "{} is too little; one Wasm page is 64Ki, most programs need 16Mi",
                self.memory
            )
        })?;
        check("scratch", self.scratch.0 >= 4 << 10, || {
            format!("{} is too little; ask for at least 4Ki", self.scratch)
        })?;
        check(
            "timeout",
            self.timeout > Span::ZERO && self.timeout <= TIMEOUT_MAX,
            || {
                format!(
                    "{} is out of range; use more than 0s and at most 720h",
                    self.timeout
                )
            },
        )?;
        check("retries", self.retries <= RETRIES_MAX, || {
            format!("{} is too many; at most {RETRIES_MAX}", self.retries)
        })?;
        self.validate_inputs()?;
        if let Some(url) = &self.output {
            check_url("output", url)?;
        }
        Ok(())
    }

    /// A module, or a kit and a script.
    fn validate_program(&self) -> Result<(), InvalidSpec> {
        let Some(kit) = &self.kit else {
            check("script", self.script.is_none(), || {
                "a script needs the `kit` that runs it".to_owned()
            })?;
            return check("module", self.names_module(), || {
                "missing: name a module, or a `kit` and a `script`".to_owned()
            });
        };
        check("kit", is_name(kit), || {
            format!(
                "`{kit}` is not the name of a kit; use at most 63 of a-z, 0-9 and inner hyphens"
            )
        })?;
        match &self.script {
            Some(script) => script.validate(),
            None => check("script", false, || {
                format!("missing: say which script the kit `{kit}` runs")
            }),
        }
    }

    fn validate_entries(&self) -> Result<(), InvalidSpec> {
        let size = |bytes: usize| format!("{bytes} bytes; at most {ENTRY_BYTES_MAX}");
        check("args", self.args.len() <= ENTRIES_MAX, || {
            format!("{} entries; at most {ENTRIES_MAX}", self.args.len())
        })?;
        let bytes = self.args.iter().map(String::len).sum();
        check("args", bytes <= ENTRY_BYTES_MAX, || size(bytes))?;
        check(
            "args",
            !self.args.iter().any(|arg| arg.contains('\0')),
            || "an argument holds a NUL byte".to_owned(),
        )?;
        check_variables(&self.env)
    }

    fn validate_inputs(&self) -> Result<(), InvalidSpec> {
        check("inputs", self.inputs.len() <= INPUTS_MAX, || {
            format!("{} inputs; at most {INPUTS_MAX}", self.inputs.len())
        })?;
        for (index, input) in self.inputs.iter().enumerate() {
            let name = &input.name;
            check(&format!("inputs[{index}].name"), is_file_name(name), || {
                format!(
                    "`{name}` is not a file name; use at most 63 letters, digits, `-`, `_`, `.`"
                )
            })?;
            let twice = self.inputs[..index].iter().any(|other| other.name == *name);
            check(&format!("inputs[{index}].name"), !twice, || {
                format!("`{name}` is there twice; give each input its own name")
            })?;
            check_url(&format!("inputs[{index}].url"), &input.url)?;
        }
        Ok(())
    }
}

/// Checks environment variables that somebody other than a node sets.
pub(crate) fn check_variables(env: &BTreeMap<String, String>) -> Result<(), InvalidSpec> {
    check("env", env.len() <= ENTRIES_MAX, || {
        format!("{} entries; at most {ENTRIES_MAX}", env.len())
    })?;
    let bytes: usize = env.iter().map(|(key, value)| key.len() + value.len()).sum();
    check("env", bytes <= ENTRY_BYTES_MAX, || {
        format!("{bytes} bytes; at most {ENTRY_BYTES_MAX}")
    })?;
    for (key, value) in env {
        check("env", !key.is_empty() && !key.contains(['=', '\0']), || {
            format!("`{key}` is not the name of a variable")
        })?;
        check("env", !value.contains('\0'), || {
            format!("the value of `{key}` holds a NUL byte")
        })?;
        check("env", !key.starts_with("STINT_"), || {
            format!("`{key}`: names that start with STINT_ are set by the node")
        })?;
    }
    Ok(())
}

/// Whether `text` names a file as people do, in one directory and not hidden there.
pub(crate) fn is_file_name(text: &str) -> bool {
    text.len() <= 63
        && !text.starts_with('.')
        && !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

pub(crate) fn check(
    field: &str,
    holds: bool,
    why: impl FnOnce() -> String,
) -> Result<(), InvalidSpec> {
    if holds {
        Ok(())
    } else {
        Err(InvalidSpec {
            field: field.to_owned(),
            why: why(),
        })
    }
}

fn check_url(field: &str, url: &str) -> Result<(), InvalidSpec> {
    let path = url.strip_prefix("file://");
    check(
        field,
        path.is_some_and(|path| path.starts_with('/') && url.len() <= 4096),
        || {
            format!(
                "`{url}` is not a URL that nodes can open; today that is file:///an/absolute/path"
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(change: impl FnOnce(&mut JobSpec)) -> String {
        let mut spec = JobSpec::new(Digest([1; 32]));
        change(&mut spec);
        spec.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_a_valid_job() {
        JobSpec::new(Digest([1; 32])).validate().unwrap();
    }

    #[test]
    fn a_wrong_field_is_named() {
        assert!(invalid(|spec| spec.module = NO_MODULE).starts_with("`module`"));
        assert!(invalid(|spec| spec.kit = Some("a".into())).starts_with("`script`"));
        assert!(invalid(|spec| spec.tasks = 0).starts_with("`tasks`"));
        assert!(invalid(|spec| spec.only = "0-1".parse().ok()).starts_with("`only`"));
        assert!(invalid(|spec| spec.memory = Bytes(0)).starts_with("`memory`"));
        assert!(invalid(|spec| spec.cpu = Millicores(0)).starts_with("`cpu`"));
        assert!(invalid(|spec| spec.timeout = Span::ZERO).starts_with("`timeout`"));
        assert!(invalid(|spec| spec.name = Some("A b".into())).starts_with("`name`"));
        assert!(invalid(|spec| spec.output = Some("ftp://x".into())).starts_with("`output`"));
        let input = || Input {
            name: "a".into(),
            url: "file:///a".into(),
        };
        assert!(
            invalid(|spec| spec.inputs = vec![input(), input()]).starts_with("`inputs[1].name`")
        );
        assert!(
            invalid(|spec| {
                spec.env.insert("STINT_X".into(), String::new());
            })
            .starts_with("`env`")
        );
    }
}
