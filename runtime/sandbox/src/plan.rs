//! What is to be run: everything about one attempt that the guest can see, and
//! the limits that the engine holds it to. A node makes the [`Plan`], with paths
//! of its machine; a worker is told the [`Guest`] of it and given open files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stint_api::kit::Entry;
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
    /// How it is entered.
    #[serde(default)]
    pub entry: Entry,
    /// All arguments, the program's name first.
    pub args: Vec<String>,
    /// All environment variables, ours too.
    pub env: Vec<(String, String)>,
    /// The most that the guest's memories and tables may have together.
    pub memory_limit_bytes: u64,
    /// Directories that the guest sees.
    pub dirs: Vec<Dir>,
    /// Where its standard output goes.
    pub stdout: PathBuf,
    /// Where its standard error goes.
    pub stderr: PathBuf,
    /// The most that is kept of either stream; of the middle of a longer one only the length is.
    pub log_bytes_max: u64,
}

impl Plan {
    /// What of it is said to a worker.
    pub fn guest(&self) -> Guest {
        let dirs = self.dirs.iter().map(|dir| Seen {
            guest: dir.guest.clone(),
            access: dir.access,
        });
        Guest {
            entry: self.entry.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            memory_limit_bytes: self.memory_limit_bytes,
            dirs: dirs.collect(),
            log_bytes_max: self.log_bytes_max,
        }
    }
}

/// All that a worker is told of one attempt: what its guest sees and is held to.
/// No path of this machine is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// How its module is entered.
    pub entry: Entry,
    /// All arguments, the program's name first.
    pub args: Vec<String>,
    /// All environment variables, ours too.
    pub env: Vec<(String, String)>,
    /// The most that the guest's memories and tables may have together.
    pub memory_limit_bytes: u64,
    /// The directories that it sees, in the order in which they are given open.
    pub dirs: Vec<Seen>,
    /// The most that is kept of either stream; of the middle of a longer one only the length is.
    pub log_bytes_max: u64,
}

/// A directory as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Where, for example `/in/flights`.
    pub guest: String,
    /// What the guest may do in it.
    pub access: Access,
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
