//! Many objects as one directory: listed, fetched a few at a time, and there whole or not.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt as _};
use stint_api::id::JobId;
use stint_objects::{Listed, Location, Objects, Selection, open_beneath, version_of};
use tokio::task::spawn_blocking;

use super::local::link_or_copy;
use super::remote::{Unfinished, download};
use super::{CACHE_BYTES_MAX, StageError, Staging, copy_error, is_at_hand, key};

/// Objects that are fetched at once: small ones take a round trip each.
const AT_ONCE: usize = 16;
/// Who may enter a directory of the cache: jobs, as users of their own.
const ENTERED_BY_ALL: u32 = 0o755;

impl Staging {
    /// The entry of all that are selected.
    pub(super) async fn set(
        &self,
        job: &JobId,
        url: &str,
        selection: &Selection,
    ) -> Result<PathBuf, StageError> {
        if let Some(entry) = self.known(job, url) {
            return Ok(entry);
        }
        let flight = self.flight(url);
        let _turn = flight.lock().await;
        if let Some(entry) = self.known(job, url) {
            return Ok(entry);
        }
        let listed = self.objects.list(selection).await?;
        if listed.iter().map(|one| one.bytes).sum::<u64>() > CACHE_BYTES_MAX / 2 {
            return Err(StageError::TooLarge);
        }
        let key = key_of_all(url, &listed);
        let entry = self.cache.join(&key);
        if !is_at_hand(&entry) {
            let unfinished = Unfinished(self.unfinished()?);
            make_directories(&unfinished.0, &listed)?;
            match selection {
                Selection::All {
                    base: Location::File(_),
                    ..
                } => {
                    let (objects, to) = (self.objects.clone(), unfinished.0.clone());
                    spawn_blocking(move || link_all(&objects, &listed, &to)).await??;
                }
                _ => fetch_all(&self.objects, listed, &unfinished.0).await?,
            }
            self.keep(unfinished.0.clone(), &key).await?;
        }
        self.remember(job, url, key);
        Ok(entry)
    }
}

/// Names a set by what its objects are called, and by the version of each. One without a
/// version is as good as its size.
fn key_of_all(url: &str, listed: &[Listed]) -> String {
    let mut parts = vec![url.as_bytes().to_vec()];
    for one in listed {
        parts.push(one.name.clone().into_bytes());
        parts.push(one.version.clone().unwrap_or_default().into_bytes());
        parts.push(one.bytes.to_le_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    key(&parts)
}

fn make_directories(to: &Path, listed: &[Listed]) -> Result<(), StageError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(ENTERED_BY_ALL);
    builder.create(to).map_err(copy_error(to))?;
    let mut made = "";
    for one in listed {
        let Some((dir, _)) = one.name.rsplit_once('/') else {
            continue;
        };
        if dir != made {
            builder.create(to.join(dir)).map_err(copy_error(to))?;
            made = dir;
        }
    }
    Ok(())
}

/// Files of this machine; each must still be what was listed. Blocks on the disk.
fn link_all(objects: &Objects, listed: &[Listed], to: &Path) -> Result<(), StageError> {
    for one in listed {
        let replaced = || StageError::Replaced {
            name: one.name.clone(),
        };
        let Ok(Location::File(path)) = one.url.parse() else {
            return Err(replaced());
        };
        let (file, _) = open_beneath(objects.reach(), &path)?;
        let metadata = file.metadata().map_err(copy_error(&path))?;
        if !metadata.is_file() || Some(version_of(&metadata)) != one.version {
            return Err(replaced());
        }
        let place = to.join(&one.name);
        link_or_copy(&file, &place).map_err(copy_error(&place))?;
    }
    Ok(())
}

async fn fetch_all(objects: &Objects, listed: Vec<Listed>, to: &Path) -> Result<(), StageError> {
    let fetches = listed
        .into_iter()
        .map(|one| fetch(objects.clone(), one, to.to_owned()));
    let mut fetches = stream::iter(fetches).buffer_unordered(AT_ONCE);
    while let Some(fetched) = fetches.next().await {
        fetched?;
    }
    Ok(())
}

async fn fetch(objects: Objects, one: Listed, to: PathBuf) -> Result<(), StageError> {
    let opened = objects.open(&one.url.parse::<Location>()?).await?;
    if opened.version != one.version {
        return Err(StageError::Replaced { name: one.name });
    }
    download(opened, &to.join(&one.name), false).await.map(drop)
}
