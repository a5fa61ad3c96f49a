//! Publishes into a bucket, where nothing can be renamed.
//!
//! ```text
//! out/<path> ──parts──▶ upload of PREFIX/<task>/<path>      nobody sees it
//!      commit granted, and asked for once more
//!            ─▶ the mark of an earlier set is removed
//!            ─▶ each upload is finished                      its object is there, whole
//!            ─▶ objects of an earlier set are removed
//!            ─▶ PREFIX/<task>/_SUCCESS                       the set is there, whole
//! ```
//!
//! Each object appears whole or not at all; the set is whole when its mark is there, which
//! names its files. Uploads that are begun are written down in the slot, so that what a
//! killed process left is given up by the next.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use stint_api::id::AttemptId;
use stint_api::outcome::Outcome;
use stint_objects::{
    Location, LocationError, ObjectError, Objects, PART_BYTES, Selection, Upload, shown,
};
use tokio::task::spawn_blocking;

use crate::node::explain::explain;
use crate::node::slot::Slot;

/// Files that are written at once: a part of each is in memory.
const AT_ONCE: usize = 4;
/// The mark of a whole set, as others write it too.
const MARK: &str = "_SUCCESS";
/// In a slot: uploads that were begun, a line each.
const UPLOADS: &str = "uploads";
/// In a slot: all of it is published.
const PUBLISHED: &str = "published";

#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error("{} cannot be read or written", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the node process failed")]
    Broke(#[from] tokio::task::JoinError),
}

/// What the mark says.
#[derive(Debug, Serialize)]
struct Mark<'a> {
    attempt: &'a AttemptId,
    files: Vec<Marked>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Marked {
    path: String,
    bytes: u64,
}

/// One file, all of whose parts are written.
struct Written {
    upload: Upload,
    parts: Vec<String>,
}

/// A publication into a bucket.
pub(super) struct Publication<'a> {
    objects: &'a Objects,
    slot: &'a Slot,
    bucket: String,
    /// The beginning of the keys of the task's objects, with `/` at its end.
    prefix: String,
    /// The file of uploads, written to by one at a time.
    begun: Mutex<()>,
}

/// Publishes `/out` of `slot` for `attempt`, if it still `may` when all is written; whether it did.
pub(super) fn publish(
    objects: &Objects,
    slot: &Slot,
    attempt: &AttemptId,
    (bucket, key): (String, String),
    may: impl FnOnce() -> bool,
) -> Result<bool, Outcome> {
    if slot.root().join(PUBLISHED).exists() {
        // An earlier call came to its end, and its answer was lost.
        return Ok(true);
    }
    let base = key.trim_end_matches('/');
    let prefix = match base {
        "" => format!("{}/", attempt.task),
        base => format!("{base}/{}/", attempt.task),
    };
    let publication = Publication {
        objects,
        slot,
        bucket,
        prefix,
        begun: Mutex::new(()),
    };
    let runtime = tokio::runtime::Handle::current();
    let written = runtime.block_on(publication.write());
    let done = written.and_then(|(written, marked)| {
        if !may() {
            runtime.block_on(publication.give_up());
            return Ok(false);
        }
        runtime.block_on(publication.finish(attempt, written, marked))?;
        Ok(true)
    });
    done.map_err(|error| {
        runtime.block_on(publication.give_up());
        let to = shown(&format!("s3://{}/{base}", publication.bucket));
        Outcome::OutputRefused {
            which: format!("{to}: {}", explain(&error)),
        }
    })
}

/// Gives up the uploads that are written down in a slot.
pub(super) fn clear(objects: &Objects, slot: &Slot) {
    let Ok(text) = fs::read_to_string(slot.root().join(UPLOADS)) else {
        return;
    };
    tokio::runtime::Handle::current().block_on(give_up(objects, &text));
}

impl Publication<'_> {
    fn at(&self, path: &str) -> Location {
        Location::Bucket {
            bucket: self.bucket.clone(),
            key: format!("{}{path}", self.prefix),
        }
    }

    /// Writes every file; nobody sees anything of them.
    async fn write(&self) -> Result<(Vec<Written>, Vec<Marked>), PublishError> {
        // Those of a process that was killed meanwhile.
        self.give_up().await;
        let out = self.slot.out();
        let listed = spawn_blocking(move || files(&out)).await?;
        let mut marked = listed.map_err(io_error(&self.slot.out()))?;
        marked.sort();
        let mut written = Vec::new();
        let writes: Vec<_> = marked
            .iter()
            .map(|file| self.write_one(file.clone()))
            .collect();
        let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
        while let Some(one) = writes.next().await {
            written.extend(one?);
        }
        drop(writes);
        Ok((written, marked))
    }

    /// Writes one file; an empty one has no parts, and is put when all are finished.
    async fn write_one(&self, file: Marked) -> Result<Option<Written>, PublishError> {
        let path = self.slot.out().join(&file.path);
        if file.bytes == 0 {
            return Ok(None);
        }
        let upload = self.objects.begin(self.at(&file.path)).await?;
        self.remember(&upload).map_err(io_error(&path))?;
        let mut source = File::open(&path).map_err(io_error(&path))?;
        let mut parts = Vec::new();
        loop {
            let read = spawn_blocking(move || read_part(&mut source).map(|part| (source, part)));
            let (back, part) = read.await?.map_err(io_error(&path))?;
            source = back;
            if part.is_empty() {
                return Ok(Some(Written { upload, parts }));
            }
            parts.push(self.objects.part(&upload, parts.len(), part).await?);
        }
    }

    /// Makes them be there, and what was there before be gone; the mark comes last.
    async fn finish(
        &self,
        attempt: &AttemptId,
        written: Vec<Written>,
        marked: Vec<Marked>,
    ) -> Result<(), PublishError> {
        self.objects.remove(&self.at(MARK)).await?;
        let finishes: Vec<_> = written
            .into_iter()
            .map(|one| async move { self.objects.finish(&one.upload, one.parts).await })
            .collect();
        let mut finishes = stream::iter(finishes).buffer_unordered(AT_ONCE);
        while let Some(finished) = finishes.next().await {
            finished?;
        }
        for empty in marked.iter().filter(|file| file.bytes == 0) {
            self.objects
                .put(&self.at(&empty.path), Bytes::new())
                .await?;
        }
        self.remove_others(&marked).await?;
        let mark = Mark {
            attempt,
            files: marked,
        };
        let text = serde_json::to_vec(&mark).unwrap_or_default();
        self.objects.put(&self.at(MARK), text.into()).await?;
        let place = self.slot.root().join(PUBLISHED);
        fs::write(&place, "").map_err(io_error(&place))
    }

    /// Removes objects of an earlier set that this one has not.
    async fn remove_others(&self, marked: &[Marked]) -> Result<(), PublishError> {
        let all = Selection::All {
            base: self.at(""),
            pattern: None,
        };
        let there = match self.objects.list(&all).await {
            Err(ObjectError::Empty) => return Ok(()),
            there => there?,
        };
        for one in there {
            if marked
                .binary_search_by(|file| file.path.cmp(&one.name))
                .is_err()
            {
                self.objects.remove(&self.at(&one.name)).await?;
            }
        }
        Ok(())
    }

    fn remember(&self, upload: &Upload) -> io::Result<()> {
        let _turn = self.begun.lock();
        let mut options = File::options();
        let mut file = options
            .create(true)
            .append(true)
            .open(self.slot.root().join(UPLOADS))?;
        writeln!(file, "{}\t{}", upload.id, upload.location)
    }

    async fn give_up(&self) {
        let place = self.slot.root().join(UPLOADS);
        if let Ok(text) = fs::read_to_string(&place) {
            give_up(self.objects, &text).await;
            drop(fs::remove_file(&place));
        }
    }
}

/// Gives up uploads, a line each; those that are finished or gone are no more.
async fn give_up(objects: &Objects, lines: &str) {
    for line in lines.lines() {
        let Some((id, location)) = line.split_once('\t') else {
            continue;
        };
        let Ok(location) = location.parse() else {
            continue;
        };
        let id = id.to_owned();
        let gone = objects.give_up(&Upload { location, id }).await;
        match gone {
            Ok(()) | Err(ObjectError::Missing(_)) => {}
            Err(error) => {
                tracing::warn!(
                    line,
                    error = explain(&error),
                    "an upload stays in the bucket"
                );
            }
        }
    }
}

/// Every file below `out` by path, but for the result, which is told by the API.
fn files(out: &Path) -> io::Result<Vec<Marked>> {
    let mut found = Vec::new();
    let mut rest = vec![String::new()];
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(out.join(&dir))? {
            let entry = entry?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|_| {
                io::Error::other("a file's name is no text, as that of an object is")
            })?;
            let path = format!("{dir}{name}");
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                rest.push(format!("{path}/"));
            } else {
                let bytes = metadata.len();
                found.push(Marked { path, bytes });
            }
        }
    }
    Ok(found)
}

/// The next part of a file; empty at its end.
fn read_part(file: &mut File) -> io::Result<Bytes> {
    let mut part = Vec::new();
    let most = PART_BYTES as u64;
    file.take(most).read_to_end(&mut part)?;
    Ok(part.into())
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> PublishError + use<> {
    let path = path.to_owned();
    |source| PublishError::Io { path, source }
}
