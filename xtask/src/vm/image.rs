//! The file system that the machine starts with: a shell, the programs under
//! test with the libraries they are linked to, and what to do with them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command::{ask, command, line};
use crate::layout::Layout;

use super::packages::Parts;
use super::text;

/// The first process of the machine.
const INIT: &str = include_str!("init.sh");
/// Where things are mounted or made.
const DIRECTORIES: [&str; 7] = ["bin", "dev", "guests", "proc", "sys", "tests", "tmp"];
/// Jobs that end well, at a memory limit, and at a deadline.
const GUESTS: [&str; 3] = ["steady", "hog", "spin"];

/// Builds the tests and packs the image; where it is.
///
/// # Errors
/// The tests do not build, or the image cannot be written.
pub(super) fn build(layout: &Layout, parts: &Parts) -> Result<PathBuf> {
    let vm = layout.target.join("vm");
    let root = vm.join("image");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    copy(&parts.busybox(), &root.join("bin/busybox"))?;
    let tests = tests(layout)?;
    for (name, path) in &tests {
        copy(path, &root.join("tests").join(name))?;
    }
    let stint = layout.stint();
    copy(&stint, &root.join("bin/stint"))?;
    for guest in GUESTS.map(|name| layout.guest(name)) {
        let name = guest.file_name().context("a guest has a name")?;
        copy(&guest, &root.join("guests").join(name))?;
    }
    let programs = tests.iter().map(|(_, path)| path).chain([&stint]);
    for library in libraries(layout, programs.map(PathBuf::as_path))? {
        let inside = library.strip_prefix("/").unwrap_or(&library);
        copy(&library, &root.join(inside))?;
    }
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let image = vm.join("image.cpio");
    pack(parts, &root, &image)?;
    Ok(image)
}

/// The test programs of the cgroup crate, by target name.
fn tests(layout: &Layout) -> Result<Vec<(String, PathBuf)>> {
    // The whole workspace, so that nothing is built again with other features.
    let args = [
        "test",
        "--workspace",
        "--no-run",
        "--locked",
        "--message-format=json",
    ];
    let mut cargo = command(&layout.root, "cargo", &args);
    println!("$ {}", line(&cargo));
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let built: Vec<(String, PathBuf)> = messages
        .lines()
        .filter_map(|message| serde_json::from_str::<serde_json::Value>(message).ok())
        .filter(|message| message["profile"]["test"] == true && of_cgroup(message))
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect();
    if built.is_empty() {
        bail!("cargo named no test program of stint-cgroup");
    }
    Ok(built)
}

/// Whether a message of cargo is about the cgroup crate.
fn of_cgroup(message: &serde_json::Value) -> bool {
    let id = message["package_id"].as_str().unwrap_or_default();
    id.contains("/runtime/cgroup#")
}

/// What `programs` are linked to, as the loader finds it here.
fn libraries<'a>(
    layout: &Layout,
    programs: impl Iterator<Item = &'a Path>,
) -> Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for program in programs {
        let listed = ask(&mut command(&layout.root, "ldd", &[text(program)?]))
            .with_context(|| format!("`ldd {}` says nothing", program.display()))?;
        let paths = listed
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        all.extend(paths.map(PathBuf::from));
    }
    Ok(all)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Archives `root` in the form that a kernel unpacks, with the shell's own archiver.
fn pack(parts: &Parts, root: &Path, image: &Path) -> Result<()> {
    let script = "find . | \"$BUSYBOX\" cpio -o -H newc > \"$IMAGE\"";
    let status = Command::new("sh")
        .args(["-ec", script])
        .current_dir(root)
        .env("BUSYBOX", parts.busybox())
        .env("IMAGE", image)
        .stderr(Stdio::null())
        .status()
        .context("cannot start sh")?;
    if !status.success() {
        bail!("packing {} failed ({status})", image.display());
    }
    Ok(())
}
