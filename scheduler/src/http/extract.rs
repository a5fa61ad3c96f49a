//! What handlers take from a request, read strictly: each wrong thing becomes
//! a problem that names it.

use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use stint_api::id::ParseIdError;

use super::problem::ApiError;

/// Longest time that a whole JSON body may take.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a body that is too large anyway which are read so that the client,
/// who is still sending, hears the answer.
const DRAIN_BYTES: usize = 64 << 20;
/// Longest time for that.
const DRAIN_WAIT: Duration = Duration::from_secs(10);

/// The query; parameters that are not known are refused.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::Query(in_words(&rejection.body_text()))),
        }
    }
}

/// What is wrong with a query, the parameter in backticks as everywhere.
fn in_words(text: &str) -> String {
    let said = text.strip_prefix("Failed to deserialize query string: ");
    let said = said.unwrap_or(text);
    match said.split_once(": ") {
        Some((name, why)) if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            format!("`{name}`: {why}")
        }
        _ => said.to_owned(),
    }
}

/// The one variable segment of the path.
#[derive(Debug)]
pub(crate) struct Segment<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr<Err = ParseIdError>> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text.parse().map_err(ApiError::Id)?)),
            // Not UTF-8 behind the percent signs.
            Err(_) => Err(ApiError::NoRoute {
                path: parts.uri.path().to_owned(),
                near: None,
            }),
        }
    }
}

/// The last segment of a path `/v1/THINGS/{id}:VERB`; the router knows whole segments only.
#[derive(Debug)]
pub(crate) struct Act<T> {
    pub(crate) id: T,
    pub(crate) verb: String,
}

impl<S: Send + Sync, T: FromStr<Err = ParseIdError>> FromRequestParts<S> for Act<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let text = path.map(|Path(text)| text).unwrap_or_default();
        let (id, verb) = text.rsplit_once(':').unwrap_or((&text, ""));
        Ok(Self {
            id: id.parse().map_err(ApiError::Id)?,
            verb: super::excerpt(verb),
        })
    }
}

/// The number after which a followed stream goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastEventId(pub(crate) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        const NAME: &str = "last-event-id";
        let Some(value) = parts.headers.get(NAME) else {
            return Ok(Self(None));
        };
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        match number {
            Some(number) => Ok(Self(Some(number))),
            None => Err(ApiError::Header {
                name: NAME,
                why: "not the id of an event, which is a number".to_owned(),
            }),
        }
    }
}

/// Reads a JSON body of at most `max` bytes.
pub(crate) async fn json_body(
    headers: &HeaderMap,
    mut body: Body,
    max: usize,
) -> Result<Bytes, ApiError> {
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = media.map(|media| media.split(';').next().unwrap_or(media).trim());
    if !media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        return Err(ApiError::MediaType {
            found: media.map(|media| media.chars().take(80).collect()),
        });
    }
    refuse_length(headers, &mut body, max as u64).await?;
    let read = tokio::time::timeout(BODY_WAIT, whole(body, max));
    read.await.map_err(|_| ApiError::BodySlow)?
}

/// Refuses a body that says itself that it is too large.
pub(crate) async fn refuse_length(
    headers: &HeaderMap,
    body: &mut Body,
    max: u64,
) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_none_or(|length| length <= max) {
        return Ok(());
    }
    // Who asks first has not begun to send.
    if !headers.contains_key(EXPECT) {
        drain(body).await;
    }
    Err(ApiError::BodyTooLarge { max })
}

async fn whole(mut body: Body, max: usize) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::BodyCut)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > max {
            drain(&mut body).await;
            return Err(ApiError::BodyTooLarge { max: max as u64 });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Reads on for a while: many clients look at the answer only when they have
/// sent all, and an answer into a full socket is lost with a reset.
pub(crate) async fn drain(body: &mut Body) {
    let mut left = DRAIN_BYTES;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_WAIT, read).await;
}
