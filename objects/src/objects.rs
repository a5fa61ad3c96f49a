//! The one door: objects by their URL, after the operator's rule was asked.

use std::sync::Arc;

use object_store::aws::AmazonS3;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::body::Opened;
use crate::bucket::{self, Buckets};
use crate::error::ObjectError;
use crate::file;
use crate::location::{Location, LocationError};
use crate::reach::Reach;
use crate::selection::{Pattern, Selection};
use crate::web::Web;

/// Most objects of one input: a list of them is a few tens of MiB, and a directory
/// of them is still one that file systems like.
pub const OBJECTS_MAX: usize = 100_000;

/// An object that was found in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its own URL.
    pub url: String,
    /// Its name below the place that was listed.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Names this version of it, if its server does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Reads and lists objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects {
    reach: Arc<Reach>,
    web: Arc<Web>,
    buckets: Arc<Buckets>,
}

impl Objects {
    /// Objects that may be reached so far. Nothing is connected, and no certificate read,
    /// before the first object is asked for.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach: Arc::new(reach),
            web: Arc::default(),
            buckets: Arc::default(),
        }
    }

    /// What may be reached.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The client of a bucket, and a key of it as the library has it.
    pub(crate) fn bucket(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<(Arc<AmazonS3>, Path), ObjectError> {
        Ok((self.buckets.store(bucket)?, bucket::path(bucket, key)?))
    }

    /// Whether a location may be reached, as far as that is known before it is.
    ///
    /// # Errors
    /// It may not; with what would allow it.
    pub fn check(&self, location: &Location) -> Result<(), ObjectError> {
        match location {
            // Links have to be followed first: looked at when it is opened.
            Location::File(_) => Ok(()),
            Location::Web(url) => self.reach.check_web(url).map(drop),
            Location::Bucket { bucket, key } => self.reach.check_bucket(bucket, key),
        }
    }

    /// Begins to read an object of a web server or a bucket; a file of this machine is
    /// opened by [`crate::open_beneath`].
    ///
    /// # Errors
    /// It may not be reached, or cannot be had.
    pub async fn open(&self, location: &Location) -> Result<Opened, ObjectError> {
        match location {
            Location::File(_) => Err(LocationError::Scheme(location.to_string()).into()),
            Location::Web(url) => {
                let answer = self.web.get(&self.reach, url, None).await?;
                let (web, reach) = (Arc::clone(&self.web), Arc::clone(&self.reach));
                Ok(Opened::of_web(web, reach, url.clone(), answer))
            }
            Location::Bucket { bucket, key } => {
                self.reach.check_bucket(bucket, key)?;
                self.buckets.get(bucket, key).await
            }
        }
    }

    /// The objects that are selected, by name. One object is a list of itself, unless
    /// it is a directory of this machine, which is a list of its files.
    ///
    /// # Errors
    /// They may not be reached, there are too many, or there is none.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<Listed>, ObjectError> {
        let (base, pattern) = match selection {
            Selection::One(location) => (location, None),
            Selection::All { base, pattern } => (base, pattern.as_ref()),
        };
        let mut found = match base {
            // A web server has no list; its object is one of its own.
            Location::Web(url) => {
                let name = location_name(url.path()).to_owned();
                vec![self.one(url.as_str(), &name, base).await?]
            }
            Location::File(path) => self.list_files(path.clone(), pattern.cloned()).await?,
            Location::Bucket { bucket, key } => {
                self.reach.check_bucket(bucket, key)?;
                match selection {
                    Selection::One(_) => {
                        vec![
                            self.one(&base.to_string(), location_name(key), base)
                                .await?,
                        ]
                    }
                    Selection::All { .. } => self.buckets.list(bucket, key, pattern).await?,
                }
            }
        };
        found.sort_by(|a, b| a.name.cmp(&b.name));
        match found.is_empty() {
            true => Err(ObjectError::Empty),
            false => Ok(found),
        }
    }

    async fn one(&self, url: &str, name: &str, location: &Location) -> Result<Listed, ObjectError> {
        let opened = self.open(location).await?;
        Ok(Listed {
            url: url.to_owned(),
            name: name.to_owned(),
            bytes: opened.bytes.unwrap_or_default(),
            version: opened.version,
        })
    }

    async fn list_files(
        &self,
        path: std::path::PathBuf,
        pattern: Option<Pattern>,
    ) -> Result<Vec<Listed>, ObjectError> {
        let reach = Arc::clone(&self.reach);
        let listed =
            tokio::task::spawn_blocking(move || file::list(&reach, &path, pattern.as_ref()));
        listed
            .await
            .map_err(|error| ObjectError::Broken(Box::new(error)))?
    }
}

/// The last part of a key.
fn location_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn files_are_listed_by_name_and_what_is_hidden_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", ".hidden.csv", "c.txt", "sub/d.csv"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("z.csv")).unwrap();
        let reach = Reach::new(
            "node",
            "--allow-inputs",
            vec![crate::Allowed::Dir(dir.path().into())],
        );
        let objects = Objects::new(reach);
        let base = dir.path().display();
        let names = async |text: String| -> Vec<String> {
            let listed = objects.list(&text.parse().unwrap()).await.unwrap();
            listed.into_iter().map(|one| one.name).collect()
        };
        assert_eq!(
            names(format!("file://{base}/*.csv")).await,
            ["a.csv", "b.csv"]
        );
        assert_eq!(
            names(format!("file://{base}/**.csv")).await,
            ["a.csv", "b.csv", "sub/d.csv"]
        );
        assert_eq!(names(format!("file://{base}")).await.len(), 4);
        let none = objects
            .list(&format!("file://{base}/*.x").parse().unwrap())
            .await;
        assert!(matches!(none, Err(ObjectError::Empty)), "{none:?}");
        let outside = objects
            .list(&"file:///etc/*".parse().unwrap())
            .await
            .unwrap_err();
        assert!(outside.to_string().contains("--allow-inputs"), "{outside}");
    }
}
