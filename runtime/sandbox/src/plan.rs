//! What a worker is told to run: everything about one attempt that the guest
//! can see, and the limits that the engine holds it to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stint_scan::Profile;

/// One attempt, ready to run: its files exist, its module is compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The compiled module, which this node made.
    pub artifact: PathBuf,
    /// The artifact's sha-256; one that differs is not loaded.
    pub artifact_sha256: [u8; 32],
    /// The engine profile that it was compiled for.
    pub profile: Profile,
    /// All arguments, the program's name first.
    pub args: Vec<String>,
    /// All environment variables, ours too.
    pub env: Vec<(String, String)>,
    /// The most that the guest's memories and tables may have together.
    pub memory_limit_bytes: u64,
    /// Directories that the guest sees.
    pub dirs: Vec<Dir>,
    /// Where its standard output is appended.
    pub stdout: PathBuf,
    /// Where its standard error is appended.
    pub stderr: PathBuf,
    /// The most that is kept of either stream; the rest is counted and dropped.
    pub log_bytes_max: u64,
}

/// A directory that the guest sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dir {
    /// Where it is on this machine.
    pub host: PathBuf,
    /// Where the guest sees it, for example `/in/flights`.
    pub guest: String,
    /// What the guest may do in it.
    pub access: Access,
}

/// What a guest may do in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read.
    Read,
    /// Read, write, make and remove.
    Write,
}
