//! Where an input is.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Where a node mounts the inputs of a job.
const IN: &str = "/in";

/// The path of the input `name`: a file or a directory, read-only.
///
/// That is `/in/NAME`, or `NAME` in the directory that `STINT_IN` names.
///
/// # Errors
/// Nothing is there.
pub fn input(name: &str) -> Result<PathBuf, InputError> {
    let directory = env::var_os("STINT_IN").unwrap_or_else(|| OsString::from(IN));
    let path = PathBuf::from(directory).join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(InputError {
            name: name.to_owned(),
            path,
        })
    }
}

/// An input is not there; its text says what to do.
#[derive(Debug)]
pub struct InputError {
    /// The input.
    pub name: String,
    /// Where it was looked for.
    pub path: PathBuf,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, path } = self;
        write!(
            f,
            "no input `{name}` at {}: submit the job with `--input {name}=file:///its/path`, \
             or natively set STINT_IN to the directory that holds `{name}`",
            path.display()
        )
    }
}

impl Error for InputError {}
