//! What holds jobs to their limits on nodes of this process, and how it is told.

use clap::{Args, ValueEnum};
use stint_runtime::node::LimitsChoice;

/// How a node says that there are no cgroups; the reason follows.
const WITHOUT: &str = "wasmtime only: ";

/// The flag of every verb that brings a node.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct LimitsArgs {
    /// What holds jobs to limits on a node of this process: cgroups where they can be written, or the engine alone
    #[arg(
        long,
        env = "STINT_LIMITS",
        hide_env_values = true,
        value_name = "WHAT",
        value_enum,
        default_value_t,
        help_heading = None::<&str>
    )]
    limits: Choice,
}

// Without docs of its own each, so that help stays one line a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Choice {
    #[default]
    Auto,
    Wasmtime,
}

impl LimitsArgs {
    pub(crate) const fn choice(self) -> LimitsChoice {
        match self.limits {
            Choice::Auto => LimitsChoice::Auto,
            Choice::Wasmtime => LimitsChoice::WasmtimeOnly,
        }
    }
}

/// Why the kernel does not hold the limits, when it does not.
pub(crate) fn without_cgroups(limits: &str) -> Option<&str> {
    limits.strip_prefix(WITHOUT)
}

/// What to tell people when the kernel does not hold the limits.
pub(crate) fn warning(limits: &str) -> Option<&'static str> {
    without_cgroups(limits).map(
        |_| "note: without cgroups memory and time hold, CPU does not; `stint doctor` says why",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_only_when_there_are_no_cgroups() {
        assert_eq!(warning("cgroup v2"), None);
        assert!(warning("wasmtime only: asked for").is_some());
        assert_eq!(without_cgroups("wasmtime only: why"), Some("why"));
    }
}
