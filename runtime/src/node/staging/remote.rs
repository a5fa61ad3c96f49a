//! One object of a web server or a bucket: streamed to the cache's disk by this process,
//! never through a guest and never whole in memory, once for all that want it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stint_api::id::{Digest, JobId};
use stint_objects::{Listed, Location, ObjectError, Opened};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use super::local::READ_ONLY;
use super::{INPUT_BYTES_MAX, StageError, Staging, copy_error, is_at_hand, key, key_of};
use crate::node::cache;

/// Times that an object is asked for from its beginning, where the server or the network fails;
/// within each, what broke off is taken up again.
const TRIES: u32 = 3;
/// Wait before the second; doubles.
const AGAIN: Duration = Duration::from_millis(500);

impl Staging {
    /// The entry of an object: found, or fetched.
    pub(super) async fn object(
        &self,
        job: &JobId,
        url: &str,
        location: &Location,
        wanted: Option<Digest>,
    ) -> Result<PathBuf, StageError> {
        // A digest opens nothing that the operator did not.
        self.objects.check(location)?;
        let at_hand = || match &wanted {
            Some(digest) => {
                let entry = self.cache.join(key_of(digest));
                is_at_hand(&entry).then_some(entry)
            }
            None => self.known(job, url),
        };
        if let Some(entry) = at_hand() {
            return Ok(entry);
        }
        let flight = self.flight(url);
        let _turn = flight.lock().await;
        if let Some(entry) = at_hand() {
            return Ok(entry);
        }
        let key = self.fetch(url, location, wanted).await?;
        let entry = self.cache.join(&key);
        self.remember(job, url, key);
        Ok(entry)
    }

    /// The entry of an object in the version that a list named; none when it is another.
    pub(super) async fn listed(
        &self,
        job: &JobId,
        location: &Location,
        listed: &Listed,
    ) -> Result<Option<PathBuf>, StageError> {
        let entry = self.object(job, &listed.url, location, None).await?;
        let Some(version) = &listed.version else {
            return Ok(Some(entry));
        };
        let wanted = self
            .cache
            .join(key_of_version(&listed.url, version, listed.bytes));
        Ok((entry == wanted).then_some(entry))
    }

    /// Fetches an object, unless this version of it is there; the name of its entry.
    async fn fetch(
        &self,
        url: &str,
        location: &Location,
        wanted: Option<Digest>,
    ) -> Result<String, StageError> {
        let mut wait = AGAIN;
        for try_number in 1.. {
            match self.fetch_once(url, location, wanted).await {
                Err(StageError::Object(error)) if error.is_transient() && try_number < TRIES => {
                    tracing::info!(%location, %error, "cannot be fetched yet");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                done => return done,
            }
        }
        unreachable!("the last try is done, however it ended")
    }

    async fn fetch_once(
        &self,
        url: &str,
        location: &Location,
        wanted: Option<Digest>,
    ) -> Result<String, StageError> {
        let opened = self.objects.open(location).await?;
        if opened.bytes.is_some_and(|bytes| bytes > INPUT_BYTES_MAX) {
            return Err(StageError::TooLarge);
        }
        let named = match (&wanted, &opened.version) {
            (Some(digest), _) => Some(key_of(digest)),
            (None, Some(version)) => {
                let bytes = opened.bytes.unwrap_or_default();
                Some(key_of_version(url, version, bytes))
            }
            (None, None) => None,
        };
        if let Some(named) = &named
            && is_at_hand(&self.cache.join(named))
        {
            return Ok(named.clone());
        }
        let unfinished = Unfinished(self.unfinished()?);
        let digests = wanted.is_some() || named.is_none();
        let (found, _) = download(opened, &unfinished.0, digests).await?;
        if let (Some(wanted), Some(found)) = (wanted, found)
            && wanted != found
        {
            return Err(StageError::Digest { wanted, found });
        }
        let key = named.or_else(|| found.as_ref().map(key_of));
        let key = key.ok_or(ObjectError::Replaced)?;
        self.keep(unfinished.0.clone(), &key).await?;
        Ok(key)
    }
}

/// The name of the entry of an object that its server gave a version.
fn key_of_version(url: &str, version: &str, bytes: u64) -> String {
    key(&[url.as_bytes(), version.as_bytes(), &bytes.to_le_bytes()])
}

/// A file that goes unless it was given its place.
pub(super) struct Unfinished(pub(super) PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Renamed, it is not there; what stays otherwise is swept at the next start.
        drop(cache::remove(&self.0));
    }
}

/// Writes an object to a file that jobs can read; its digest, if that is wanted, and its size.
pub(super) async fn download(
    mut object: Opened,
    to: &Path,
    digests: bool,
) -> Result<(Option<Digest>, u64), StageError> {
    let mut file = File::create_new(to).await.map_err(copy_error(to))?;
    let mut sha256 = digests.then(Sha256::new);
    let mut bytes = 0;
    while let Some(chunk) = object.next().await? {
        bytes += chunk.len() as u64;
        if bytes > INPUT_BYTES_MAX {
            return Err(StageError::TooLarge);
        }
        if let Some(sha256) = &mut sha256 {
            sha256.update(&chunk);
        }
        file.write_all(&chunk).await.map_err(copy_error(to))?;
    }
    file.flush().await.map_err(copy_error(to))?;
    fs::set_permissions(to, Permissions::from_mode(READ_ONLY))
        .await
        .map_err(copy_error(to))?;
    let digest = sha256.map(|sha256| Digest(sha256.finalize().into()));
    Ok((digest, bytes))
}
