//! The user's own kits: what `stint run` takes along when no scheduler is named.
//!
//! ```text
//! ~/.local/share/stint/kits/python.json     the kit
//!                           files/<digest>  what kits are made of
//! ```

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use stint_api::client::Client;
use stint_api::id::Namespace;
use stint_api::kit::KitSpec;

use super::Unpacked;
use crate::failure::hinted;
use crate::places;

/// Where the files are, below the library.
const FILES: &str = "files";

/// The directory of the user's kits.
#[derive(Clone, Debug)]
pub(crate) struct Library(PathBuf);

impl Library {
    /// Where this user's is.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let place = places::kits().ok_or_else(|| {
            hinted(
                "there is no home directory to keep kits in",
                "set HOME, or XDG_DATA_HOME; or name a scheduler with --server",
            )
        })?;
        Ok(Self(place))
    }

    /// The files of all kits, made where they are missing.
    pub(crate) fn files(&self) -> anyhow::Result<Unpacked> {
        Unpacked::at(self.0.join(FILES))
    }

    /// Where the files are, if there are any.
    pub(crate) fn files_dir(&self) -> Option<PathBuf> {
        Some(self.0.join(FILES)).filter(|path| path.is_dir())
    }

    /// Keeps a kit whose files are in there.
    pub(crate) fn keep(&self, name: &str, spec: &KitSpec) -> anyhow::Result<()> {
        let path = self.0.join(format!("{name}.json"));
        let temporary = path.with_added_extension("new");
        let text = serde_json::to_string_pretty(spec)?;
        fs::write(&temporary, text)
            .and_then(|()| fs::rename(&temporary, &path))
            .with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Every kit, by name.
    pub(crate) fn kits(&self) -> anyhow::Result<Vec<(String, KitSpec)>> {
        let mut kits = Vec::new();
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Ok(kits);
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let shown = path.display();
            let text = fs::read(&path).with_context(|| format!("cannot read `{shown}`"))?;
            let spec = serde_json::from_slice(&text).with_context(|| {
                format!("`{shown}` cannot be read; remove it and add the kit again")
            })?;
            let name = path.file_stem().unwrap_or_default();
            kits.push((name.to_string_lossy().into_owned(), spec));
        }
        kits.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(kits)
    }

    /// Adds the kits to a scheduler that gives their files away.
    pub(crate) async fn offer(&self, client: &Client, namespace: &Namespace) -> anyhow::Result<()> {
        for (name, spec) in self.kits()? {
            client
                .add_kit(namespace, &name, &spec)
                .await
                .with_context(|| format!("the kit `{name}` of {}", self.0.display()))?;
        }
        Ok(())
    }
}
