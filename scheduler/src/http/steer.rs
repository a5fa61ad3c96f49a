//! `POST /v1/jobs/{id}:VERB`: what somebody does to a job that there is.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use stint_api::id::JobId;
use stint_cluster::{CancelError, Cluster, Effects, Rerun};

use super::Shared;
use super::extract::{Act, Params};
use super::problem::ApiError;
use super::submit::{key_of, submitted};

/// How a job is run again.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RerunParams {
    /// Only the tasks that failed; all when absent or false.
    failed: Option<bool>,
}

pub(super) async fn act(
    State(api): Shared,
    Act { id, verb }: Act<JobId>,
    Params(RerunParams { failed }): Params<RerunParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if failed.is_some() && verb != "rerun" {
        return Err(ApiError::Query(format!("`failed`: not of `{verb}`")));
    }
    match verb.as_str() {
        "cancel" => {
            let cancel = |cluster: &mut Cluster, now, id: &JobId| {
                let cancelled = cluster.cancel(now, id);
                cancelled.map_err(|CancelError::Unknown(id)| ApiError::NoJob(id))
            };
            done(&api, id, cancel).await
        }
        "suspend" => {
            let suspend = |cluster: &mut Cluster, now, id: &JobId| Ok(cluster.suspend(now, id)?);
            done(&api, id, suspend).await
        }
        "resume" => {
            let resume = |cluster: &mut Cluster, now, id: &JobId| Ok(cluster.resume(now, id)?);
            done(&api, id, resume).await
        }
        "rerun" => rerun(&api, id, failed.unwrap_or_default(), &headers).await,
        _ => Err(ApiError::NoVerb { verb, of: "job" }),
    }
}

/// Calls a verb that has nothing to answer.
async fn done(
    api: &super::Api,
    id: JobId,
    verb: fn(&mut Cluster, stint_api::time::Time, &JobId) -> Result<Effects, ApiError>,
) -> Result<Response, ApiError> {
    let called = api.driver.call(move |turn| {
        let effects = verb(turn.cluster, turn.now, &id)?;
        turn.follow(effects);
        Ok::<_, ApiError>(())
    });
    called.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn rerun(
    api: &super::Api,
    id: JobId,
    failed: bool,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    // What a body is to a submit.
    let key = key_of(headers, format!("rerun {id} {failed}").as_bytes())?;
    let under_way = key
        .as_ref()
        .map(|key| api.submits.begin(&id.namespace, &key.key));
    let _under_way = under_way.transpose()?;
    let which = if failed { Rerun::Failed } else { Rerun::All };
    let called = api.driver.call(move |turn| {
        let (submission, effects) = turn.cluster.rerun(turn.now, &id, which, key)?;
        turn.follow(effects);
        Ok::<_, ApiError>(submission)
    });
    Ok(submitted(api, &called.await??))
}
