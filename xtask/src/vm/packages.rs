//! The parts of the machine, from Debian's packages: an emulator with what it is
//! linked to, a kernel, and a shell.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::{ask, command, run};
use crate::layout::Layout;

use super::text;

/// What is unpacked even where it is installed, so that there is one way to find it.
const PACKAGES: [&str; 5] = [
    "busybox-static",
    "qemu-system-common",
    "qemu-system-data",
    "qemu-system-x86",
    "seabios",
];
/// Depends on the newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";

/// Whether the parts could be had.
pub(super) enum Had {
    Parts(Parts),
    /// What is missing, for a person.
    Missing(String),
}

/// Where the unpacked parts are.
pub(super) struct Parts {
    root: PathBuf,
    pub(super) kernel: PathBuf,
}

impl Parts {
    fn at(root: PathBuf) -> Option<Parts> {
        let kernel = fs::read_dir(root.join("boot"))
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().unwrap_or_default();
                name.to_string_lossy().starts_with("vmlinuz-")
            })?;
        let parts = Parts { root, kernel };
        (parts.qemu().exists() && parts.busybox().exists()).then_some(parts)
    }

    pub(super) fn qemu(&self) -> PathBuf {
        self.root.join("usr/bin/qemu-system-x86_64")
    }

    pub(super) fn busybox(&self) -> PathBuf {
        self.root.join("bin/busybox")
    }

    /// Where the emulator's own files are.
    pub(super) fn data(&self) -> [PathBuf; 2] {
        ["qemu", "seabios"].map(|name| self.root.join("usr/share").join(name))
    }

    /// Where the libraries are that the emulator is linked to.
    pub(super) fn libraries(&self) -> [PathBuf; 2] {
        ["usr/lib", "lib"].map(|name| self.root.join(name).join("x86_64-linux-gnu"))
    }
}

/// The parts, downloaded and unpacked unless that was done before.
///
/// # Errors
/// The target directory cannot be written, or a package is damaged.
pub(super) fn get(layout: &Layout) -> Result<Had> {
    let vm = layout.target.join("vm");
    let root = vm.join("root");
    if let Some(parts) = Parts::at(root.clone()) {
        return Ok(Had::Parts(parts));
    }
    if !cfg!(target_arch = "x86_64") {
        return Ok(Had::Missing("the machine is x86-64 only".to_owned()));
    }
    let packages = vm.join("packages");
    fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    if let Err(missing) = download(&packages) {
        return Ok(Had::Missing(missing));
    }
    let new = vm.join("root.new");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    for entry in fs::read_dir(&packages)? {
        let package = entry?.path();
        let args = ["--extract", text(&package)?, text(&new)?];
        run(&mut command(&vm, "dpkg", &args))?;
    }
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    fs::rename(&new, &root)?;
    Ok(match Parts::at(root) {
        Some(parts) => Had::Parts(parts),
        None => Had::Missing("the packages do not hold what was expected".to_owned()),
    })
}

/// Puts every package into `directory`.
fn download(directory: &Path) -> Result<(), String> {
    for program in ["apt-get", "dpkg"] {
        if ask(&mut command(directory, program, &["--version"])).is_none() {
            return Err(format!(
                "there is no {program} (the machine is made of Debian packages)"
            ));
        }
    }
    let Some(names) = names(directory).or_else(|| refresh(directory)) else {
        return Err(format!(
            "apt does not know {} and {KERNEL}; as root: apt-get update",
            PACKAGES.join(", ")
        ));
    };
    println!(
        "vm: apt-get download, {} packages into target/vm, once",
        names.len()
    );
    let mut args = vec!["download", "--quiet=2"];
    args.extend(names.iter().map(String::as_str));
    run(&mut command(directory, "apt-get", &args)).map_err(|error| format!("{error:#}"))
}

/// Asks again after apt has fetched its lists, which only root may do.
fn refresh(directory: &Path) -> Option<BTreeSet<String>> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    println!("vm: apt-get update");
    run(&mut command(directory, "apt-get", &["update", "--quiet=2"])).ok()?;
    names(directory)
}

/// The packages to unpack: ours, and what they would bring along to this system.
fn names(directory: &Path) -> Option<BTreeSet<String>> {
    let mut args = vec!["install", "--simulate", "--no-install-recommends"];
    args.extend(PACKAGES);
    let simulated = ask(&mut command(directory, "apt-get", &args))?;
    let mut names: BTreeSet<String> = PACKAGES.iter().map(|&name| name.to_owned()).collect();
    let brought = simulated
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    names.extend(brought.map(str::to_owned));
    let depends = ask(&mut command(directory, "apt-cache", &["depends", KERNEL]))?;
    let kernel = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))?;
    names.insert(kernel.to_owned());
    Some(names)
}
