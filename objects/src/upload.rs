//! Objects that are written: in parts of which nobody sees anything before the last word.

use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt as _};

use crate::error::ObjectError;
use crate::location::{Location, LocationError};
use crate::objects::Objects;

/// Bytes of one part, but for the last of an object: S3 takes no fewer than 5 MiB, and no
/// more than 10,000 parts, which makes 80 GiB.
pub const PART_BYTES: usize = 8 << 20;

/// An object that is written and not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where it will be.
    pub location: Location,
    /// What its server calls it.
    pub id: String,
}

impl Objects {
    /// Begins an object.
    ///
    /// # Errors
    /// It may not be written, or cannot.
    pub async fn begin(&self, location: Location) -> Result<Upload, ObjectError> {
        let (store, path) = self.writable(&location)?;
        let id = store
            .create_multipart(&path)
            .await
            .map_err(crate::bucket::object_error)?;
        Ok(Upload { location, id })
    }

    /// Writes the next part, which has the number `number` from 0 on; what names it.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn part(
        &self,
        upload: &Upload,
        number: usize,
        bytes: Bytes,
    ) -> Result<String, ObjectError> {
        let (store, path) = self.writable(&upload.location)?;
        let put = store
            .put_part(&path, &id_of(upload), number, bytes.into())
            .await;
        Ok(put.map_err(crate::bucket::object_error)?.content_id)
    }

    /// Makes the object be there, of its parts in their order.
    ///
    /// # Errors
    /// It cannot be written, or its parts are gone.
    pub async fn finish(&self, upload: &Upload, parts: Vec<String>) -> Result<(), ObjectError> {
        let (store, path) = self.writable(&upload.location)?;
        let parts = parts.into_iter().map(|content_id| PartId { content_id });
        let done = store
            .complete_multipart(&path, &id_of(upload), parts.collect())
            .await;
        done.map(drop).map_err(crate::bucket::object_error)
    }

    /// Removes what was written of an object that shall not be there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn give_up(&self, upload: &Upload) -> Result<(), ObjectError> {
        let (store, path) = self.writable(&upload.location)?;
        let gone = store.abort_multipart(&path, &id_of(upload)).await;
        gone.map_err(crate::bucket::object_error)
    }

    /// Writes a small object at once.
    ///
    /// # Errors
    /// It may not be written, or cannot.
    pub async fn put(&self, location: &Location, bytes: Bytes) -> Result<(), ObjectError> {
        let (store, path) = self.writable(location)?;
        let put = store.put(&path, bytes.into()).await;
        put.map(drop).map_err(crate::bucket::object_error)
    }

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// It may not be removed, or cannot.
    pub async fn remove(&self, location: &Location) -> Result<(), ObjectError> {
        let (store, path) = self.writable(location)?;
        match store
            .delete(&path)
            .await
            .map_err(crate::bucket::object_error)
        {
            Ok(()) | Err(ObjectError::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn writable(&self, location: &Location) -> Result<(Arc<AmazonS3>, Path), ObjectError> {
        match location {
            Location::Bucket { bucket, key } => {
                self.reach().check_bucket(bucket, key)?;
                self.bucket(bucket, key)
            }
            other => Err(LocationError::Scheme(other.to_string()).into()),
        }
    }
}

fn id_of(upload: &Upload) -> MultipartId {
    upload.id.clone()
}
