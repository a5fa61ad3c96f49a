//! The command line as people type it: one variant a verb.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::verb;

/// Runs WebAssembly data jobs within limits that hold, and says truthfully why one ended.
#[derive(Debug, Parser)]
#[command(
    name = "stint",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The scheduler, for example http://127.0.0.1:7070
    #[arg(
        long,
        global = true,
        env = "STINT_SERVER",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) server: Option<String>,

    /// A file that holds the token; or set STINT_TOKEN to the token itself
    #[arg(
        long,
        global = true,
        env = "STINT_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,

    /// Write JSON to stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// What to log to stderr, for example `debug` or `stint_scheduler=debug`
    #[arg(
        long,
        global = true,
        env = "STINT_LOG",
        hide_env_values = true,
        value_name = "FILTER"
    )]
    pub(crate) log: Option<String>,
}

impl Global {
    /// Whether output is for a program or for people.
    pub(crate) fn format(&self) -> Format {
        if self.json {
            Format::Json
        } else {
            Format::Text
        }
    }
}

/// Who reads stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// People.
    Text,
    /// A program.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a job: submit it, follow it, print its outcome and usage
    Run(verb::run::RunArgs),
    /// Submit a job and print its id
    Submit(verb::submit::SubmitArgs),
    /// List jobs, newest first
    Jobs(verb::jobs::JobsArgs),
    /// Show a job: state, reason, usage, tasks, attempts
    Status(verb::status::StatusArgs),
    /// Print what a job wrote
    Logs(verb::logs::LogsArgs),
    /// Print what a job's tasks returned, one JSON line a task
    Results(verb::results::ResultsArgs),
    /// Print what happens to a job, until it is over
    Events(verb::events::EventsArgs),
    /// Say why a job's tasks wait
    Explain(verb::explain::ExplainArgs),
    /// Cancel a job
    Cancel(verb::cancel::CancelArgs),
    /// Start nothing more of a job; what runs may end
    Suspend(verb::suspend::SuspendArgs),
    /// Let a suspended job go on
    Resume(verb::suspend::ResumeArgs),
    /// Submit a job once more, or its failed tasks
    Rerun(verb::rerun::RerunArgs),
    /// List nodes
    Nodes(verb::nodes::NodesArgs),
    /// Give a node no new work
    Cordon(verb::cordon::CordonArgs),
    /// Let a node take work again
    Uncordon(verb::cordon::UncordonArgs),
    /// Move a node's work elsewhere
    Drain(verb::drain::DrainArgs),
    /// Decide and list what namespaces may have
    #[command(subcommand)]
    Namespace(verb::namespace::NamespaceVerb),
    /// Push, list and inspect modules
    #[command(subcommand)]
    Module(verb::module::ModuleVerb),
    /// Add and list kits, which run scripts
    #[command(subcommand)]
    Kit(verb::kit::KitVerb),
    /// Be a scheduler
    Serve(verb::serve::ServeArgs),
    /// Be a node
    Node(verb::node::NodeArgs),
    /// Be a scheduler and its nodes in one process, for one machine
    Dev(verb::dev::DevArgs),
    /// Look at this machine and say what works
    Doctor(verb::doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completions(verb::completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_misspelt_flag_is_not_taken_for_an_argument_of_the_guest() {
        assert!(Cli::try_parse_from(["stint", "run", "x.wasm", "--taks", "3"]).is_err());
        let cli = Cli::try_parse_from(["stint", "run", "x.wasm", "--tasks", "3", "a", "--b"]);
        let Verb::Run(run) = cli.unwrap().verb else {
            panic!("not `run`");
        };
        assert_eq!(run.job.args, ["a", "--b"]);
        assert_eq!(run.job.tasks, Some(3));
    }

    #[test]
    fn the_units_for_systemd_start_what_there_is() {
        let units = [
            include_str!("../../packaging/systemd/stint-scheduler.service"),
            include_str!("../../packaging/systemd/stint-node.service"),
        ];
        for unit in units {
            let line = unit
                .lines()
                .find_map(|line| line.strip_prefix("ExecStart="));
            let line = line.unwrap().replace("${", "/").replace('}', "");
            // What is a variable as a whole is words of the operator's.
            let words = line
                .split_whitespace()
                .filter(|word| !word.starts_with('$'));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("`{line}`: {error}");
            }
        }
    }
}
