//! An input that is split into tasks: the scheduler lists it once, at submit, and keeps the
//! list as a file. A job names that file from then on, so that whichever node runs a task, and
//! however often, it reads the same object of the same version.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::job::{InvalidSpec, JobSpec, LINES_DEFAULT, Split};
use stint_api::kit::FILE_BYTES_MAX;
use stint_cluster::{IdempotencyKey, SubmitError};
use stint_objects::{ObjectError, Piece, Selection};
use tokio::time::Instant;

use super::Api;
use super::problem::{ApiError, chain};
use crate::driver::Turn;

/// Longest until the lists of a submit must be there: who submits waits a little longer.
const LIST_MAX: Duration = Duration::from_secs(25);

/// Until when the lists of a submit that begins now must be there.
pub(super) fn until() -> Instant {
    Instant::now() + LIST_MAX
}

/// Lists the input that a job splits, if it does, and says how many tasks that makes. For a
/// `key` that was used before nothing is listed: its job has its list, and what is there by
/// now may be another, or gone.
pub(super) async fn resolve(
    api: &Api,
    spec: &mut JobSpec,
    key: Option<IdempotencyKey>,
    until: Instant,
) -> Result<(), ApiError> {
    let Some(index) = spec.inputs.iter().position(|input| input.split.is_some()) else {
        return Ok(());
    };
    if let Some(key) = key {
        let namespace = spec.namespace.clone();
        let made = move |turn: &mut Turn<'_>| turn.cluster.made_by(&namespace, &key);
        if !matches!(api.driver.call(made).await?, Ok(None)) {
            return Ok(());
        }
    }
    spec.validate()
        .map_err(|error| ApiError::Submit(SubmitError::Invalid(error)))?;
    let input = &spec.inputs[index];
    let invalid = |field: &str, why: String| {
        let field = format!("inputs[{index}].{field}");
        ApiError::Submit(SubmitError::Invalid(InvalidSpec { field, why }))
    };
    if input.listing.is_some() {
        return Err(invalid(
            "listing",
            "the scheduler makes it; leave it out".to_owned(),
        ));
    }
    let refused = |error: ObjectError| {
        let shown = stint_objects::shown(&input.url);
        invalid(
            "url",
            format!("`{shown}` cannot be split into tasks: {}", chain(&error)),
        )
    };
    let selection: Selection = input
        .url
        .parse()
        .map_err(|error: stint_objects::LocationError| refused(error.into()))?;
    let lines = input.lines.unwrap_or(LINES_DEFAULT);
    let list = async {
        match input.split {
            Some(Split::Lines) => api.objects.pieces_of_lines(&selection, lines).await,
            _ => api.objects.pieces(&selection).await,
        }
    };
    let pieces = match tokio::time::timeout_at(until, list).await {
        Ok(pieces) => pieces.map_err(refused)?,
        Err(_) => return Err(refused(ObjectError::Silent(LIST_MAX.as_secs()))),
    };
    let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    if spec.tasks > 1 && spec.tasks != count {
        let (field, tasks) = ("tasks".to_owned(), spec.tasks);
        let why = format!(
            "{tasks}, but `{}` makes {count} tasks; leave `tasks` out, or say {count}",
            input.name
        );
        return Err(ApiError::Submit(SubmitError::Invalid(InvalidSpec {
            field,
            why,
        })));
    }
    let listing = keep(api, &pieces).await?;
    spec.tasks = count;
    spec.inputs[index].listing = Some(listing);
    Ok(())
}

/// Keeps a list as a file; its digest.
async fn keep(api: &Api, pieces: &[Piece]) -> Result<Digest, ApiError> {
    let text = serde_json::to_vec(pieces).unwrap_or_default();
    if text.len() as u64 > FILE_BYTES_MAX {
        let max = FILE_BYTES_MAX;
        return Err(ApiError::BodyTooLarge { max });
    }
    let digest = Digest(Sha256::digest(&text).into());
    let mut upload = api.blobs.begin().await?;
    upload.push(&Bytes::from(text)).await?;
    upload.finish_file(digest, &api.files).await?;
    Ok(digest)
}
