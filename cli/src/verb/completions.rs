//! `stint completions`: a script that completes commands in a shell.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Cli;

#[derive(Debug, Args)]
#[command(
    after_help = "For example: stint completions bash > ~/.local/share/bash-completion/completions/stint"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn perform(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stint", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}
