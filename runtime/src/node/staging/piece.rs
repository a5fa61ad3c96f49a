//! What one task reads of an input that is split: an object of the list that the scheduler
//! made at submit, or some lines of one. Of another version than is listed, it is not read.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stint_api::id::{Digest, JobId, TaskIndex};
use stint_objects::{Location, ObjectError, Part, Piece, open_beneath, version_of};
use tokio::task::spawn_blocking;

use super::local::READ_ONLY;
use super::remote::Unfinished;
use super::{DATA, StageError, Staging, copy_error, is_at_hand, key, lock};
use crate::node::fetch::{Blob, fetch};

/// Lists that are kept in memory: the jobs that run on a node at once split a few.
const LISTS_MAX: usize = 4;

impl Staging {
    /// The file that a task of `job` reads.
    pub(super) async fn piece(
        &self,
        job: &JobId,
        task: TaskIndex,
        listing: &Digest,
    ) -> Result<PathBuf, StageError> {
        let pieces = self.pieces(listing).await?;
        let piece = usize::try_from(task).ok().and_then(|task| pieces.get(task));
        let piece = piece.ok_or(ObjectError::Empty)?;
        let replaced = || StageError::Replaced {
            name: piece.object.name.clone(),
        };
        let whole = match piece.object.url.parse()? {
            Location::File(path) => {
                let (objects, version) = (self.objects.clone(), piece.object.version.clone());
                let found = path.clone();
                let is_same = spawn_blocking(move || {
                    let (file, _) = open_beneath(objects.reach(), &found)?;
                    let metadata = file.metadata().map_err(copy_error(&found))?;
                    Ok::<_, StageError>(Some(version_of(&metadata)) == version)
                });
                if !is_same.await?? {
                    return Err(replaced());
                }
                match self.file(String::new(), path, None).await? {
                    super::Staged::File { path, .. } => path,
                    super::Staged::Directory { .. } => return Err(replaced()),
                }
            }
            location => {
                let entry = self.listed(job, &location, &piece.object).await?;
                entry.ok_or_else(replaced)?.join(DATA)
            }
        };
        match piece.part {
            None => Ok(whole),
            Some(part) => self.part(piece, &whole, part).await,
        }
    }

    /// Some bytes of a file of the cache, as a file of their own.
    async fn part(&self, piece: &Piece, whole: &Path, part: Part) -> Result<PathBuf, StageError> {
        let version = piece.object.version.clone().unwrap_or_default();
        let (from, to) = (part.from.to_le_bytes(), part.to.to_le_bytes());
        let key = key(&[piece.object.url.as_bytes(), version.as_bytes(), &from, &to]);
        let entry = self.cache.join(&key);
        if !is_at_hand(&entry) {
            let unfinished = Unfinished(self.unfinished()?);
            let (source, copy) = (whole.to_owned(), unfinished.0.clone());
            let cut = spawn_blocking(move || cut(&source, &copy, part));
            cut.await?.map_err(copy_error(&entry))?;
            self.keep(unfinished.0.clone(), &key).await?;
        }
        Ok(entry.join(DATA))
    }

    async fn pieces(&self, listing: &Digest) -> Result<Arc<Vec<Piece>>, StageError> {
        let known = |listing: &Digest| {
            let lists = lock(&self.lists);
            let found = lists.iter().find(|(digest, _)| digest == listing);
            found.map(|(_, pieces)| Arc::clone(pieces))
        };
        if let Some(pieces) = known(listing) {
            return Ok(pieces);
        }
        let flight = self.flight(&listing.to_string());
        let _turn = flight.lock().await;
        if let Some(pieces) = known(listing) {
            return Ok(pieces);
        }
        let path = fetch(&self.client, Blob::File, &self.files, listing).await?;
        let read = spawn_blocking(move || {
            let text = fs::read(&path).map_err(copy_error(&path))?;
            serde_json::from_slice(&text).map_err(|error| copy_error(&path)(error.into()))
        });
        let pieces: Arc<Vec<Piece>> = Arc::new(read.await??);
        let mut lists = lock(&self.lists);
        if lists.len() >= LISTS_MAX {
            lists.remove(0);
        }
        lists.push((*listing, Arc::clone(&pieces)));
        Ok(pieces)
    }
}

/// Copies some bytes of a file.
fn cut(source: &Path, copy: &Path, part: Part) -> io::Result<()> {
    let mut source = File::open(source)?;
    source.seek(SeekFrom::Start(part.from))?;
    let mut copy = File::create_new(copy)?;
    let wanted = part.to.saturating_sub(part.from);
    let copied = io::copy(&mut source.take(wanted), &mut copy)?;
    copy.set_permissions(Permissions::from_mode(READ_ONLY))?;
    match copied == wanted {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
