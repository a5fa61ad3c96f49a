//! crun, the fastest of the programs that start what others pack in images: from Debian's packages,
//! unpacked under `target/crun`; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::{ask, command, run};
use crate::layout::Layout;

const PACKAGE: &str = "crun";

/// Where it is.
pub(super) struct Crun {
    pub(super) program: PathBuf,
    /// The libraries that it is linked to and that may not be installed.
    pub(super) libraries: PathBuf,
}

impl Crun {
    fn at(root: &Path) -> Option<Self> {
        let found = Self {
            program: root.join("usr/bin/crun"),
            libraries: root.join("usr/lib/x86_64-linux-gnu"),
        };
        found.program.exists().then_some(found)
    }
}

/// The program, downloaded and unpacked unless that was done before; or what is
/// missing, for a person.
///
/// # Errors
/// The target directory cannot be written, or a package is damaged.
pub(super) fn get(layout: &Layout) -> Result<Result<Crun, String>> {
    let dir = layout.target.join("crun");
    let root = dir.join("root");
    if let Some(crun) = Crun::at(&root) {
        return Ok(Ok(crun));
    }
    let packages = dir.join("packages");
    fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    let Some(names) = names(&packages) else {
        let missing = "apt does not know crun; as root: apt-get update";
        return Ok(Err(missing.to_owned()));
    };
    println!(
        "bench: apt-get download, {} into target/crun, once",
        names.join(", ")
    );
    let mut args = vec!["download", "--quiet=2"];
    args.extend(names.iter().map(String::as_str));
    if let Err(error) = run(&mut command(&packages, "apt-get", &args)) {
        return Ok(Err(format!("{error:#}")));
    }
    for entry in fs::read_dir(&packages)? {
        let mut unpack = command(&dir, "dpkg", &["--extract"]);
        run(unpack.arg(entry?.path()).arg(&root))?;
    }
    Ok(Crun::at(&root).ok_or_else(|| "the packages do not hold it".to_owned()))
}

/// The package, and what it would bring along to this system.
fn names(dir: &Path) -> Option<Vec<String>> {
    let args = [
        "install",
        "--simulate",
        "--reinstall",
        "--no-install-recommends",
        PACKAGE,
    ];
    let simulated = ask(&mut command(dir, "apt-get", &args))?;
    let named = simulated
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
        .map(str::to_owned);
    Some(named.collect())
}
