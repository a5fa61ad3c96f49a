//! The files of this checkout, and where in the house each stands.

use std::path::{Path, PathBuf};

use crate::text;

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its path from the root of the checkout.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// Folders that hold what is built, or nothing of ours.
const NOT_OURS: [&str; 3] = ["target", ".git", ".stint"];
/// This test's own folder.
const OURSELVES: &str = "tests/tests/tidy/";

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the workspace").to_owned()
}

/// Every file whose name ends like one of `endings`.
pub(crate) fn all(endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !NOT_OURS.contains(&&*name) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let short = path.strip_prefix(&root).expect("below the root");
                found.push(Source {
                    path: short.display().to_string(),
                    text: std::fs::read_to_string(&path).expect("text"),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no files like {endings:?}: wrong root?");
    found
}

/// Every Rust file, this test's own left out.
pub(crate) fn rust() -> Vec<Source> {
    let mut all = all(&[".rs"]);
    all.retain(|source| !source.path.starts_with(OURSELVES));
    all
}

impl Source {
    /// A file that only a test knows.
    #[cfg(test)]
    pub(crate) fn made_up(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether it stands in `folder` or below.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether all of it is for tests: a file of `tests`, or one that a module includes for tests only.
    pub(crate) fn is_test(&self) -> bool {
        let file = self.path.rsplit('/').next().unwrap_or_default();
        self.path.split('/').any(|folder| folder == "tests") || file == "tests.rs"
    }

    /// Whether it is the product's: not a test, an example, a step of the build, or a guest.
    pub(crate) fn is_product(&self) -> bool {
        let beside = ["sdk", "examples", "xtask"];
        let is_beside = |folder| beside.contains(&folder);
        !self.path.split('/').any(is_beside) && !self.is_test()
    }

    /// Its lines up to the tests that stand at its end.
    pub(crate) fn without_tests(&self) -> String {
        text::without_tests(&self.text)
    }

    /// Its code without comments, text and tests.
    pub(crate) fn code(&self) -> String {
        text::split(&self.without_tests()).code
    }

    /// The text literals of its code, without those of tests.
    pub(crate) fn literals(&self) -> Vec<String> {
        text::split(&self.without_tests()).literals
    }
}
