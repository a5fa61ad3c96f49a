//! Guests without rustup's target: Debian's newer compiler, its copy of the
//! standard library's source and its C library for WASI, linked by the
//! `rust-lld` that every rustup toolchain brings along.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cargo_build;
use crate::command::{ask, command, line, run_silent};
use crate::layout::Layout;

/// What must be installed.
const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "wasi-libc"];
/// One file of each package.
const FILES: [&str; 3] = [
    "/usr/bin/rustc",
    "/usr/lib/rustlib/src/rust/library/Cargo.toml",
    "/usr/lib/wasm32-wasi/crt1-command.o",
];
/// Where `wasi-libc` is.
const LIBC: &str = "/usr/lib/wasm32-wasi";

/// The build with Debian's packages, which it installs where it can.
///
/// # Errors
/// They cannot be had.
pub(super) fn build(layout: &Layout) -> Result<Command> {
    if FILES.iter().any(|file| !Path::new(file).exists()) {
        install(layout, &PACKAGES).context(
            "no compiler for WebAssembly: `rustup target add wasm32-wasip1`, or Debian's",
        )?;
    }
    let linker = linker(layout)?;
    println!(
        "guests: using Debian's {} (the standard library is built once: a minute)",
        PACKAGES.join(", ")
    );
    let flags = [
        "-Clinker-flavor=wasm-ld",
        "-Clink-self-contained=no",
        &format!("-Lnative={LIBC}"),
        &format!("-Clink-arg={LIBC}/crt1-command.o"),
        "-Ctarget-feature=-crt-static",
    ];
    let mut build = cargo_build(layout);
    build
        .arg("-Zbuild-std=std,panic_abort")
        .env("CARGO_TARGET_DIR", layout.target.join("guests/debian"))
        .env_remove("RUSTFLAGS")
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker)
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags.join(" "));
    Ok(build)
}

/// Installs packages, which only root may do.
///
/// # Errors
/// They cannot be had; what a person can do then is said.
pub(super) fn install(layout: &Layout, packages: &[&str]) -> Result<()> {
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    let mut install = command(&layout.root, "apt-get", &args);
    if !rustix::process::geteuid().is_root() {
        bail!("as root: `{}`", line(&install));
    }
    println!("guests: apt-get update && {}", line(&install));
    let mut update = command(&layout.root, "apt-get", &["update", "--quiet=2"]);
    // Some sources may be out of reach while the one that matters is not: installing tells.
    if let Err(error) = run_silent(&mut update) {
        println!("guests: {error:#}");
    }
    run_silent(
        install
            .env("DEBIAN_FRONTEND", "noninteractive")
            .arg("--quiet=2"),
    )
}

fn linker(layout: &Layout) -> Result<PathBuf> {
    let sysroot = ask(&mut command(&layout.root, "rustc", &["--print", "sysroot"]))
        .context("`rustc --print sysroot` says nothing")?;
    let host = ask(&mut command(
        &layout.root,
        "rustc",
        &["--print", "host-tuple"],
    ))
    .context("`rustc --print host-tuple` says nothing")?;
    let linker = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host.trim())
        .join("bin/rust-lld");
    if !linker.exists() {
        bail!(
            "{} is missing: it comes with rustup's toolchains",
            linker.display()
        );
    }
    Ok(linker)
}
