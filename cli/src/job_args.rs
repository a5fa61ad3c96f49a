//! The flags that describe a job, shared by `run` and `submit`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use stint_api::constraint::Constraint;
use stint_api::id::{JobId, Namespace};
use stint_api::job::Isolation;
use stint_api::quantity::{Bytes, Millicores};
use stint_api::time::Span;

/// A job, as flags; they override what `job.toml` says.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "The job")]
pub(crate) struct JobArgs {
    /// What to run: a module (x.wasm), a script (x.py) or a job file (job.toml)
    #[arg(value_name = "FILE", help_heading = None::<&str>)]
    pub(crate) file: PathBuf,

    /// Arguments for the program; write `--` before one that starts with a hyphen
    #[arg(value_name = "ARGS", trailing_var_arg = true, help_heading = None::<&str>)]
    pub(crate) args: Vec<String>,

    /// A name for people
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// How many tasks, each with its STINT_TASK_INDEX [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) tasks: Option<u32>,

    /// Most tasks that may run at once [default: as many as fit]
    #[arg(long, value_name = "N")]
    pub(crate) parallelism: Option<u32>,

    /// CPU of each task, in cores: 0.5, 2 or 250m [default: 1]
    #[arg(long, value_name = "CORES")]
    pub(crate) cpu: Option<Millicores>,

    /// Memory of each task [default: 256Mi]
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<Bytes>,

    /// Disk of each task for /scratch and /out [default: 64Mi]
    #[arg(long, value_name = "BYTES")]
    pub(crate) scratch: Option<Bytes>,

    /// Longest run of one attempt, for example 10s or 1h30m [default: 1h]
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<Span>,

    /// Longest run of one task, all its attempts together that fail by themselves
    #[arg(long, value_name = "TIME")]
    pub(crate) task_timeout: Option<Span>,

    /// Longest time from the job's first start to its end
    #[arg(long, value_name = "TIME")]
    pub(crate) job_timeout: Option<Span>,

    /// Longest time that the job may wait for a place
    #[arg(long, value_name = "TIME")]
    pub(crate) queue_timeout: Option<Span>,

    /// Longest time that the program may go without a call to its host; it is stalled then
    #[arg(long, value_name = "TIME")]
    pub(crate) stall: Option<Span>,

    /// Attempts that a task may spend after its first, for failures of its own [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// Give the job up when more tasks than this have failed [default: run all]
    #[arg(long, value_name = "N")]
    pub(crate) max_failed: Option<u32>,

    /// Start when that job has succeeded; may be given more than once
    #[arg(long, value_name = "JOB")]
    pub(crate) after: Vec<JobId>,

    /// Run on nodes with such labels only: zone=eu, zone=eu|us, arch!=arm, gpu, !spot
    #[arg(long = "constraint", value_name = "LABEL")]
    pub(crate) constraints: Vec<Constraint>,

    /// Rather run on nodes with such labels; may be given more than once
    #[arg(long, value_name = "LABEL")]
    pub(crate) prefer: Vec<Constraint>,

    /// Spread the slots evenly over the values of this label: zone
    #[arg(long, value_name = "LABEL")]
    pub(crate) spread: Option<String>,

    /// A package of Python alone that comes along with the script: NAME, NAME==VERSION, or a wheel
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) with: Vec<String>,

    /// What the program reads at /in/NAME: a path here, or file:///path, https://host/path, s3://bucket/key on the nodes; `*` and a last `/` mean many
    #[arg(long = "input", value_name = "NAME=URL")]
    pub(crate) inputs: Vec<Pair>,

    /// Make tasks of that input: one for each object, or for each N lines [default N: 100000]
    #[arg(long = "split", value_name = "NAME=object|lines[:N]")]
    pub(crate) splits: Vec<Pair>,

    /// Where /out is published, a directory for each task: file:///path on the nodes, s3://bucket/prefix, or a path here
    #[arg(long, value_name = "URL")]
    pub(crate) output: Option<String>,

    /// An environment variable for the program
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<Pair>,

    /// Higher goes first, and takes the place of lower ones that run [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,

    /// Whether tasks may share a process, one after another: job or task [default: job with several tasks]
    #[arg(long, value_name = "job|task")]
    pub(crate) isolation: Option<Isolation>,

    /// Who the job belongs to [default: default]
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<Namespace>,
}

/// `KEY=VALUE`, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Pair {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write it as NAME=VALUE".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_cut_at_its_first_equals_sign() {
        let pair: Pair = "a=b=c".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("a", "b=c"));
        assert!("a".parse::<Pair>().is_err());
        assert!("=a".parse::<Pair>().is_err());
    }
}
