//! The bytes of an object as they come: from a web server, taken up again where a
//! connection broke, or from a bucket, whose library does the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use url::Url;

use crate::error::ObjectError;
use crate::reach::Reach;
use crate::web::{Answer, Rest, Web};
use crate::wire::SILENCE_MAX;

/// Times that the rest of one object is asked for: each is a new connection.
const RESUMES_MAX: u32 = 5;
/// Wait before the first of them; doubles.
const RESUME_AFTER: Duration = Duration::from_millis(200);

/// An object that is being read.
#[derive(Debug)]
pub struct Opened {
    /// Names this version of it, if its server does.
    pub version: Option<String>,
    /// Its size in bytes, if that is known.
    pub bytes: Option<u64>,
    pub(crate) body: Body,
}

/// Where its bytes come from.
pub(crate) enum Body {
    Web(Box<WebBody>),
    Bucket(BoxStream<'static, Result<Bytes, ObjectError>>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Web(_) => "Web",
            Self::Bucket(_) => "Bucket",
        })
    }
}

/// What it takes to ask for the rest.
#[derive(Debug)]
pub(crate) struct WebBody {
    pub(crate) web: Arc<Web>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) url: Url,
    pub(crate) validator: Option<String>,
    pub(crate) incoming: Incoming,
    pub(crate) received: u64,
    pub(crate) resumes: u32,
}

impl Opened {
    pub(crate) fn of_web(web: Arc<Web>, reach: Arc<Reach>, url: Url, answer: Answer) -> Self {
        Self {
            version: answer.validator.clone(),
            bytes: answer.bytes,
            body: Body::Web(Box::new(WebBody {
                web,
                reach,
                url,
                validator: answer.validator,
                incoming: answer.body,
                received: 0,
                resumes: 0,
            })),
        }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// The rest cannot be had.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        match &mut self.body {
            Body::Web(body) => body.next().await,
            Body::Bucket(stream) => {
                match tokio::time::timeout(SILENCE_MAX * 4, stream.next()).await {
                    Ok(next) => next.transpose(),
                    Err(_) => Err(ObjectError::Silent(SILENCE_MAX.as_secs() * 4)),
                }
            }
        }
    }
}

impl WebBody {
    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        loop {
            match self.frame().await {
                Ok(Some(bytes)) => {
                    self.received += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, ObjectError> {
        loop {
            let frame = tokio::time::timeout(SILENCE_MAX, self.incoming.frame());
            let frame = frame
                .await
                .map_err(|_| ObjectError::Silent(SILENCE_MAX.as_secs()))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| ObjectError::Broken(Box::new(error)))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }

    /// Asks for the rest; what broke is the error when it cannot be had.
    async fn resume(&mut self, broke: ObjectError) -> Result<(), ObjectError> {
        let Some(validator) = self.validator.clone() else {
            return Err(broke);
        };
        let mut broke = broke;
        while self.resumes < RESUMES_MAX && broke.is_transient() {
            tokio::time::sleep(RESUME_AFTER * 2u32.pow(self.resumes)).await;
            self.resumes += 1;
            let rest = Rest {
                from: self.received,
                validator: validator.clone(),
            };
            match self.web.get(&self.reach, &self.url, Some(&rest)).await {
                Ok(answer) => {
                    self.incoming = answer.body;
                    return Ok(());
                }
                Err(error) => broke = error,
            }
        }
        Err(broke)
    }
}
