//! `/v1/jobs`: lists, shows and explains.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use stint_api::explain::Explanation;
use stint_api::id::{JobId, Namespace};
use stint_api::view::{JobList, JobView};
use stint_cluster::JobsQuery;

use super::Shared;
use super::extract::{Params, Segment};
use super::problem::ApiError;

/// Which jobs to list.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Only those of this namespace; all when absent.
    namespace: Option<Namespace>,
    /// Most jobs of the page: 1 to 1000, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

pub(super) async fn list(
    State(api): Shared,
    Params(params): Params<ListParams>,
) -> Result<Json<JobList>, ApiError> {
    let query = JobsQuery {
        namespace: params.namespace,
        cursor: params.cursor,
        limit: params.limit,
    };
    let list = api
        .driver
        .call(move |turn| turn.cluster.jobs(&query))
        .await?;
    Ok(Json(list.map_err(ApiError::Jobs)?))
}

pub(super) async fn show(
    State(api): Shared,
    Segment(id): Segment<JobId>,
) -> Result<Json<JobView>, ApiError> {
    let wanted = id.clone();
    let job = api
        .driver
        .call(move |turn| turn.cluster.job(&wanted))
        .await?;
    job.map(Json).ok_or(ApiError::NoJob(id))
}

pub(super) async fn explain(
    State(api): Shared,
    Segment(id): Segment<JobId>,
) -> Result<Json<Explanation>, ApiError> {
    let wanted = id.clone();
    let explained = api.driver.call(move |turn| turn.cluster.explain(&wanted));
    explained.await?.map(Json).ok_or(ApiError::NoJob(id))
}
