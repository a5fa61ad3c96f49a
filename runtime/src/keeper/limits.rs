//! How slots are held to their limits on this machine: each by a leaf cgroup,
//! or, where no cgroup can be written, by wasmtime alone, and then it says so.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::quantity::{Bytes, Millicores, Resources};
use stint_cgroup::{CreateError, Leaf, Limits, Tree, Version};

use super::jails::Jails;
use super::options::LimitsMode;
use super::process::OWN_BINARY;

/// What a worker may hold beside its guest's memory, in the cgroup's limit: the
/// engine's heap and stacks, the pages of the binary and of the compiled module
/// that it touches, and some page cache for the files it reads. A worker that
/// runs a small program has 10 to 20 MiB charged to its leaf; the rest is for
/// large modules. The guest never gets it: the limiter holds the guest to its own.
pub(crate) const ENGINE_ALLOWANCE_BYTES: u64 = 64 << 20;

/// Processes and threads of a slot: a worker is one thread, and the engine may
/// want one or two beside it for blocking files.
pub(crate) const PIDS_MAX: u32 = 16;

/// How slots and compilers are held.
#[derive(Debug)]
pub(crate) struct Holding {
    /// To their limits.
    pub(crate) by: By,
    /// To themselves.
    pub(crate) jails: Jails,
}

/// What holds slots to their limits.
#[derive(Debug)]
pub(crate) enum By {
    /// By a leaf each.
    Cgroup(Tree),
    /// By wasmtime alone.
    EngineOnly {
        /// Why.
        why: String,
    },
}

impl Holding {
    /// As strong as can be had here; see [`By::open`].
    pub(crate) fn open(mode: LimitsMode, dir: &Path) -> Self {
        Self {
            by: By::open(mode, dir),
            jails: Jails::open(Path::new(OWN_BINARY)),
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match &self.by {
            By::Cgroup(tree) => name(tree.version()).to_owned(),
            By::EngineOnly { why } => format!("wasmtime only: {why}"),
        }
    }

    /// A leaf for one process; none where wasmtime holds it alone.
    pub(crate) fn leaf(&self, name: &str, limits: Limits) -> Result<Option<Leaf>, CreateError> {
        match &self.by {
            By::Cgroup(tree) => tree.leaf(name, &limits).map(Some),
            By::EngineOnly { .. } => Ok(None),
        }
    }

    /// Removes the tree; every leaf is gone.
    pub(crate) fn close(self) {
        let By::Cgroup(tree) = self.by else {
            return;
        };
        // A worker that was given up while it was being born may have come to its leaf
        // after that was found empty, and kept it from being removed.
        if let Err(error) = tree.sweep() {
            tracing::warn!(error = chain(&error), "leaves stay in the cgroup tree");
        }
        if let Err(error) = tree.remove() {
            tracing::warn!(error = chain(&error), "the cgroup tree stays");
        }
    }
}

impl By {
    /// Opens the tree of the node whose directory is `dir`, and removes what a
    /// dead keeper left in it.
    fn open(mode: LimitsMode, dir: &Path) -> Self {
        if mode == LimitsMode::Off {
            return Self::EngineOnly {
                why: "asked for".to_owned(),
            };
        }
        // A directory has one keeper, by its lock; so has the tree named after it.
        let digest = Digest(Sha256::digest(dir.as_os_str().as_bytes()).into());
        let parent = format!("stint/{}", &digest.hex()[..16]);
        let tree = match Tree::open(&parent) {
            Ok(tree) => tree,
            Err(error) => return Self::EngineOnly { why: chain(&error) },
        };
        match tree.sweep() {
            Ok(0) => {}
            Ok(leaves) => tracing::warn!(leaves, "removed what a dead keeper left"),
            Err(error) => tracing::error!(error = chain(&error), "leaves of a dead keeper stay"),
        }
        Self::Cgroup(tree)
    }
}

/// What a slot's leaf is held to.
pub(crate) fn of_slot(resources: &Resources) -> Limits {
    Limits {
        cpu_millicores: resources.cpu.0,
        memory_bytes: resources.memory.0.saturating_add(ENGINE_ALLOWANCE_BYTES),
        pids: PIDS_MAX,
    }
}

/// What the leaf of a worker is held to that waits, before any limits are known: the
/// engine's allowance, and a core to warm up on.
pub(crate) fn of_berth() -> Limits {
    of_slot(&Resources {
        cpu: Millicores(1_000),
        memory: Bytes::mebi(256),
        scratch: Bytes(0),
    })
}

/// How a keeper on this machine would hold its slots: `cgroup v1`, `cgroup v2`
/// or `wasmtime only: <why>`. Leaves nothing behind.
pub(crate) fn probe() -> String {
    match stint_cgroup::probe() {
        Ok(version) => name(version).to_owned(),
        Err(error) => format!("wasmtime only: {}", chain(&error)),
    }
}

const fn name(version: Version) -> &'static str {
    match version {
        Version::V1 => "cgroup v1",
        Version::V2 => "cgroup v2",
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
