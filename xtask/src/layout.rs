//! Where things are in this checkout.

use std::path::{Path, PathBuf};

/// The checkout and its target directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The root of the checkout.
    pub(crate) root: PathBuf,
    /// What can be built again.
    pub(crate) target: PathBuf,
}

impl Layout {
    /// The checkout that this program was built from.
    pub(crate) fn of_this_checkout() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().unwrap_or(package).to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => root.join(directory),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// The binary that tests and demo run.
    pub(crate) fn stint(&self) -> PathBuf {
        self.target.join("debug/stint")
    }

    /// The example program `name` of the product, once built.
    pub(crate) fn example(&self, name: &str) -> PathBuf {
        self.target.join("debug/examples").join(name)
    }

    /// The guest `name`, once built.
    pub(crate) fn guest(&self, name: &str) -> PathBuf {
        self.target.join("guests").join(name).with_extension("wasm")
    }

    /// `path` as a person in the root of the checkout would write it.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}
