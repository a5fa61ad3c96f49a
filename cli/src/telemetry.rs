//! Where our own log goes: stderr, always; colour only for eyes.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::args::Global;
use crate::failure::hinted_because;

/// Starts logging with the user's filter, or `default`.
pub(crate) fn start(global: &Global, default: &str) -> anyhow::Result<()> {
    let filter = match global.log.as_deref().filter(|filter| !filter.is_empty()) {
        Some(filter) => EnvFilter::try_new(filter).map_err(|error| {
            hinted_because(
                format!("`{filter}` is not a filter for the log"),
                "write for example --log debug, or --log stint_scheduler=debug,info",
                error,
            )
        })?,
        None => EnvFilter::new(default),
    };
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colour);
    if global.json {
        log.json().init();
    } else {
        log.init();
    }
    Ok(())
}
