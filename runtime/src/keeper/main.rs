//! A keeper's start: it stands on its own feet, takes the directory, finds out
//! what can hold slots, clears away what a dead keeper left, and only then can
//! be found.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};

use super::bell::Bell;
use super::held::Held;
use super::home::{Home, HomeError};
use super::limits::{Holding, chain};
use super::log;
use super::options::{Options, UnexpectedArgument};
use super::serve::Keeper;

/// Descriptors that a full keeper needs; a shell's usual limit is a thousand.
const DESCRIPTORS: u64 = 65_536;

/// The keeper cannot go on.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    /// It was started by hand, or by another version.
    #[error(transparent)]
    Options(#[from] UnexpectedArgument),
    /// The directory is not to be had.
    #[error("take the node's directory")]
    Home(#[from] HomeError),
    /// The kernel refused what a keeper cannot do without.
    #[error("keep")]
    Kernel(#[from] io::Error),
}

/// A keeper, from its first instruction to its exit code.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    log::start();
    match keep(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "no keeper");
            ExitCode::FAILURE
        }
    }
}

fn keep(args: impl Iterator<Item = OsString>) -> Result<(), KeepError> {
    let options = Options::parse(args)?;
    stand_alone();
    let home = Home::take(&options.dir)?;
    let bell = Bell::hang()?;
    let holding = Holding::open(options.limits, home.dir());
    let held = Held::new(holding, home.spool()?, options.berths);
    let listener = home.listen()?;
    let keeper = Keeper::new(home, listener, bell, held, options.lifetime)?;
    close_stdout()?;
    keeper.run()?;
    Ok(())
}

/// Leaves the node's session, so that no terminal's Ctrl-C or hang-up is meant
/// for it, and gets room for its descriptors. It can do without either.
fn stand_alone() {
    if let Err(error) = setsid() {
        tracing::debug!(%error, "in a session of its own already");
    }
    let now = getrlimit(Resource::Nofile);
    let wanted = now
        .maximum
        .map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    let limit = Rlimit {
        current: now.current.map(|current| current.max(wanted)),
        maximum: now.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "no more descriptors");
    }
}

/// Whoever started this keeper waits for that.
fn close_stdout() -> io::Result<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nowhere)?)
}
