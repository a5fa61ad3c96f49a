//! `POST /v1/jobs:batch`: many jobs in one request and one commit.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use stint_api::job::JobBatch;
use stint_api::view::BatchSubmitted;
use stint_cluster::{Cluster, Submission};

use super::Shared;
use super::extract::json_body;
use super::problem::ApiError;
use super::submit::key_of;
use super::{json, kits, split};

/// Most bytes of a batch: ten thousand jobs of a KiB and more, held in memory once.
const BATCH_BYTES_MAX: usize = 16 << 20;

pub(super) async fn submit(
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<BatchSubmitted>), ApiError> {
    let body = json_body(&headers, body, BATCH_BYTES_MAX).await?;
    let key = key_of(&headers, &body)?;
    let JobBatch { mut jobs } = json::read(&body)?;
    drop(body);
    let namespace = jobs.first().map(|spec| spec.namespace.clone());
    let under_way = key
        .as_ref()
        .map(|key| api.submits.begin(&namespace.unwrap_or_default(), &key.key));
    let _under_way = under_way.transpose()?;
    // One script may be what many jobs run.
    let scripts = jobs.iter().filter_map(|spec| spec.script.clone());
    let scripts: BTreeMap<_, _> = scripts
        .map(|script| ((script.digest, script.files.clone()), script))
        .collect();
    for script in scripts.values() {
        kits::check_script(&api, script).await?;
    }
    let until = split::until();
    // A batch that is too long is refused, and nothing is listed for it.
    for (index, spec) in jobs.iter_mut().take(Cluster::BATCH_JOBS_MAX).enumerate() {
        let key = key.as_ref().map(|key| key.of_job(index));
        split::resolve(&api, spec, key, until).await?;
    }
    let called = api.driver.call(move |turn| {
        let cluster = &mut *turn.cluster;
        let (submissions, effects) = cluster.submit_batch(turn.now, jobs, key.as_ref())?;
        turn.follow(effects);
        Ok(submissions)
    });
    let submissions = called.await?.map_err(ApiError::Batch)?;
    let new = submissions.iter();
    let new = new.filter(|one| matches!(one, Submission::New(_))).count();
    api.metrics.jobs_submitted.inc_by(new as u64);
    let status = match new {
        0 => StatusCode::OK,
        _ => StatusCode::CREATED,
    };
    let ids = submissions.iter().map(|one| one.id().clone()).collect();
    Ok((status, Json(BatchSubmitted { ids })))
}
