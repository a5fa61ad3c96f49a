//! What a task returns.

use std::env;
use std::error::Error;
use std::fmt::{self, Display};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Where a node mounts the outputs of a task.
const OUT: &str = "/out";

/// Returns `json` as the result of this task; the last call counts.
///
/// `json` is anything that prints as one JSON value: a `&str`, the value of a
/// JSON library. It goes to `result.json` in `/out`, or in the directory
/// that `STINT_OUT` names; where there is neither, it is printed. A node takes
/// at most 64 KiB.
///
/// # Errors
/// The file could not be written.
pub fn result(json: impl Display) -> Result<(), ResultError> {
    let named = env::var_os("STINT_OUT").map(PathBuf::from);
    let directory = named.or_else(|| Path::new(OUT).is_dir().then(|| PathBuf::from(OUT)));
    let Some(directory) = directory else {
        return writeln!(io::stdout(), "{json}").map_err(|source| ResultError {
            path: PathBuf::from("<standard output>"),
            source,
        });
    };
    let path = directory.join("result.json");
    fs::write(&path, json.to_string()).map_err(|source| ResultError { path, source })
}

/// Where to write the output file `name`: in `/out`, in the directory that `STINT_OUT`
/// names, or, where there is neither, right here.
pub fn output(name: &str) -> PathBuf {
    let named = env::var_os("STINT_OUT").map(PathBuf::from);
    let usual = || Path::new(OUT).is_dir().then(|| PathBuf::from(OUT));
    named.or_else(usual).unwrap_or_default().join(name)
}

/// The result could not be written.
#[derive(Debug)]
pub struct ResultError {
    /// Where it should have gone.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl Display for ResultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write the result to {}", self.path.display())
    }
}

impl Error for ResultError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
