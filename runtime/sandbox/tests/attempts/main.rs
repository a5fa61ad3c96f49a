//! What a guest gets and what is said of it: every outcome that the sandbox can
//! come to, each with a guest that deserves it, most of them those in `tests/jobs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod artifacts;
mod components;
mod deadline;
mod files;
mod memory;
mod outcomes;

use std::fs;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use stint_api::outcome::Outcome;
use stint_sandbox::{Access, Berth, Dir, Files, Interrupt, Plan, Profile, Ran, compile};
use tempfile::TempDir;

const MEBI: u64 = 1 << 20;

/// One attempt to be, with its files in a directory of its own.
struct Attempt {
    files: TempDir,
    plan: Plan,
}

impl Attempt {
    /// Of a guest in `tests/jobs`.
    fn of(guest: &str) -> Self {
        Self::of_wasm(&job(guest))
    }

    /// Of a guest in the text format.
    fn of_text(text: &str) -> Self {
        Self::of_wasm(&wat::parse_str(text).unwrap())
    }

    fn of_wasm(wasm: &[u8]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let compiled = compile(wasm).unwrap();
        let artifact = files.path().join("artifact");
        fs::write(&artifact, &compiled).unwrap();
        let plan = Plan {
            artifact,
            artifact_sha256: Sha256::digest(&compiled).into(),
            profile: stint_scan::scan(wasm).unwrap().profile,
            entry: stint_api::kit::Entry::default(),
            args: vec!["guest".to_owned()],
            env: Vec::new(),
            memory_limit_bytes: 64 * MEBI,
            dirs: Vec::new(),
            stdout: files.path().join("stdout"),
            stderr: files.path().join("stderr"),
            log_bytes_max: MEBI,
        };
        Self { files, plan }
    }

    fn memory(mut self, bytes: u64) -> Self {
        self.plan.memory_limit_bytes = bytes;
        self
    }

    fn arg(mut self, arg: &str) -> Self {
        self.plan.args.push(arg.to_owned());
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.plan.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a directory that the guest sees as `/name`.
    fn dir(mut self, name: &str, access: Access) -> Self {
        fs::create_dir(self.path(name)).unwrap();
        self.plan.dirs.push(Dir {
            host: self.path(name),
            guest: format!("/{name}"),
            access,
        });
        self
    }

    /// Where a file of it is on this machine.
    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn run(&self) -> Ran {
        run(&self.plan, &self.interrupt())
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::new(self.plan.profile).unwrap()
    }

    fn stdout(&self) -> String {
        fs::read_to_string(&self.plan.stdout).unwrap()
    }
}

/// Runs an attempt as a worker does, from opening its files to its end.
fn run(plan: &Plan, interrupt: &Interrupt) -> Ran {
    let failed = |error: stint_sandbox::OpenError| Outcome::StartFailed {
        step: error.to_string(),
    };
    let mut berth = Berth::new(interrupt).unwrap();
    berth.settle();
    let ran = || {
        let artifact = Files::artifact(plan).map_err(failed)?;
        let files = Files::open(plan).map_err(failed)?;
        let loaded = berth.load(artifact, plan.profile, Some(&plan.artifact_sha256))?;
        Ok(berth.attempt(&loaded, &plan.guest(), files)?.run())
    };
    ran().unwrap_or_else(Ran::unknown)
}

/// The bytes of a guest in `tests/jobs`.
fn job(guest: &str) -> Vec<u8> {
    let jobs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/jobs");
    wat::parse_file(format!("{jobs}/{guest}.wat")).unwrap()
}

#[test]
fn a_module_that_throws_gets_the_profile_for_it_and_no_other_does() {
    assert_eq!(Attempt::of("hello").plan.profile, Profile::Plain);
    assert_eq!(Attempt::of("caught").plan.profile, Profile::Exceptions);
}
