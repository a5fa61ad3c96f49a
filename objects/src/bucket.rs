//! Objects in buckets of S3 and what speaks like it, through `object_store`. Endpoint,
//! region and credentials are this process's own, from the `AWS_…` variables of its
//! environment; a job names bucket and key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
};

use crate::address::Trust;
use crate::body::{Body, Opened};
use crate::error::ObjectError;
use crate::location::{Location, LocationError};
use crate::objects::{Listed, OBJECTS_MAX};
use crate::selection::Pattern;
use crate::wire::{Wire, WireError};

/// Times that a request is sent again.
const RETRIES_MAX: usize = 5;
/// Longest from its first time to its last.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Wait before it is sent again, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Buckets whose clients are kept: jobs of one node read from a few.
const KEPT_MAX: usize = 64;

/// Clients of buckets, made when they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    kept: Mutex<BTreeMap<String, Arc<AmazonS3>>>,
}

impl Buckets {
    /// Begins to read an object.
    pub(crate) async fn get(&self, bucket: &str, key: &str) -> Result<Opened, ObjectError> {
        let store = self.store(bucket)?;
        let got = store.get(&path(bucket, key)?).await.map_err(object_error)?;
        let version = version(&got.meta);
        let bytes = Some(got.meta.size);
        let stream = got.into_stream().map_err(object_error).boxed();
        Ok(Opened {
            version,
            bytes,
            body: Body::Bucket(stream),
        })
    }

    /// The objects below a prefix that match.
    pub(crate) async fn list(
        &self,
        bucket: &str,
        below: &str,
        pattern: Option<&Pattern>,
    ) -> Result<Vec<Listed>, ObjectError> {
        let store = self.store(bucket)?;
        let base = below.trim_end_matches('/');
        let prefix = match base {
            "" => None,
            base => Some(path(bucket, base)?),
        };
        let mut all = store.list(prefix.as_ref());
        let mut found = Vec::new();
        let mut seen = 0;
        while let Some(meta) = all.next().await {
            let meta = meta.map_err(object_error)?;
            seen += 1;
            if seen > OBJECTS_MAX {
                return Err(ObjectError::TooMany(OBJECTS_MAX));
            }
            let key = meta.location.as_ref();
            let name = key
                .strip_prefix(base)
                .unwrap_or(key)
                .trim_start_matches('/');
            if crate::selection::matches(pattern, name) {
                found.push(Listed {
                    url: format!("s3://{bucket}/{key}"),
                    name: name.to_owned(),
                    bytes: meta.size,
                    version: version(&meta),
                });
            }
        }
        Ok(found)
    }

    /// The client of a bucket.
    pub(crate) fn store(&self, bucket: &str) -> Result<Arc<AmazonS3>, ObjectError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = kept.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let (init_backoff, max_backoff) = AGAIN;
        let made = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            // The connector decides what is spoken; an operator's endpoint may be without TLS.
            .with_allow_http(true)
            .with_http_connector(Connector)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff,
                    max_backoff,
                    ..BackoffConfig::default()
                },
                max_retries: RETRIES_MAX,
                retry_timeout: RETRY_MAX,
            })
            .build();
        let made = Arc::new(made.map_err(|error| ObjectError::Settings(error.to_string()))?);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(bucket.to_owned(), Arc::clone(&made));
        Ok(made)
    }
}

/// What names this version of an object. The tag first: a list has no other.
fn version(meta: &ObjectMeta) -> Option<String> {
    meta.e_tag.clone().or_else(|| meta.version.clone())
}

pub(crate) fn path(bucket: &str, key: &str) -> Result<Path, ObjectError> {
    Path::parse(key).map_err(|_| {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        LocationError::Key(Location::Bucket { bucket, key }.to_string()).into()
    })
}

/// What a store's error means. Neither its text nor that of its causes holds a credential:
/// those travel in headers.
pub(crate) fn object_error(error: object_store::Error) -> ObjectError {
    use object_store::Error as Store;
    match error {
        Store::NotFound { .. } => ObjectError::Missing("404 from the bucket's server".to_owned()),
        Store::PermissionDenied { .. } => {
            ObjectError::Denied("403 from the bucket's server".to_owned())
        }
        Store::Unauthenticated { .. } => {
            ObjectError::Denied("401 from the bucket's server".to_owned())
        }
        Store::Precondition { .. } => ObjectError::Replaced,
        other => ObjectError::Broken(Box::new(other)),
    }
}

/// Makes clients of ours for the library.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Where buckets are is the operator's word, so that nothing is left to check.
        let wire = Wire::new(Trust::Whole).map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: Box::new(error),
        })?;
        Ok(HttpClient::new(Service(wire)))
    }
}

#[derive(Debug)]
struct Service(Wire<HttpRequestBody>);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.0.send(request).await.map_err(|error| {
            let kind = match &error {
                WireError::Silent => HttpErrorKind::Timeout,
                WireError::Broken(error) if error.is_connect() => HttpErrorKind::Connect,
                WireError::Broken(_) => HttpErrorKind::Request,
            };
            HttpError::new(kind, error)
        })?;
        let broken = |error: hyper::Error| HttpError::new(HttpErrorKind::Interrupted, error);
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(broken))))
    }
}
