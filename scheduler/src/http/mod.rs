//! The HTTP API: which path is answered where, and what all answers have in
//! common. A handler reads strictly, calls the driver once or twice, and shapes
//! what comes back; it decides nothing.

mod auth;
mod batch;
mod browser;
mod events;
mod extract;
mod files;
mod jobs;
mod json;
mod kinds;
mod kits;
mod link;
mod logs;
mod modules;
mod namespaces;
mod nodes;
mod openapi;
mod pages;
mod probes;
mod problem;
mod split;
mod steer;
mod submit;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post, put};
use stint_api::problem::nearest;
use stint_objects::Objects;
use tokio::sync::watch;

use crate::blobs::Blobs;
use crate::driver::Handle;
use crate::events::Events;
use crate::files::Files;
use crate::logs::Logs;
use crate::metrics::Metrics;
use problem::ApiError;

pub(crate) use auth::Token;
pub(crate) use submit::Submits;

/// Characters of a path that an answer repeats.
const PATH_CHARS_MAX: usize = 200;

/// What handlers reach.
pub(crate) struct Api {
    pub(crate) driver: Handle,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) files: Arc<Files>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Arc<Metrics>,
    /// What everybody has to bear, if anybody has to.
    pub(crate) token: Option<Token>,
    /// Submits that are not answered yet, by key.
    pub(crate) submits: Submits,
    /// What is listed for jobs whose inputs are split.
    pub(crate) objects: Objects,
    /// True when the scheduler stops: streams end.
    pub(crate) stop: watch::Receiver<bool>,
}

/// What handlers are given.
type Shared = State<Arc<Api>>;

/// Every path of the API.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let open = Router::new()
        .route("/healthz", get(probes::health))
        .route("/readyz", get(probes::ready))
        .route("/openapi.json", get(openapi::document))
        .method_not_allowed_fallback(no_method);
    let closed = Router::new()
        .route("/metrics", get(probes::metrics))
        .route("/v1/jobs", get(jobs::list).post(submit::submit))
        .route("/v1/jobs:batch", post(batch::submit))
        .route("/v1/jobs/{id}", get(jobs::show).post(steer::act))
        .route("/v1/jobs/{id}/explain", get(jobs::explain))
        .route("/v1/jobs/{id}/tasks", get(pages::tasks))
        .route("/v1/jobs/{id}/results", get(pages::results))
        .route("/v1/jobs/{id}/events", get(events::follow))
        .route("/v1/jobs/{id}/logs", get(logs::follow))
        .route("/v1/modules", get(modules::list).put(modules::push))
        .route("/v1/modules/{digest}", get(modules::show))
        .route("/v1/files", put(files::put))
        .route("/v1/files/{digest}", get(files::show))
        .route("/v1/kits", get(kits::list))
        .route("/v1/kits/{name}", get(kits::show).put(kits::put))
        .route("/v1/namespaces", get(namespaces::list))
        .route(
            "/v1/namespaces/{name}",
            get(namespaces::show).put(namespaces::put),
        )
        .route("/v1/nodes", get(nodes::list))
        .route("/v1/nodes/{id}", post(nodes::act))
        .route("/v1/capacity", get(nodes::capacity))
        .route("/v1/link/hello", post(link::hello))
        .route("/v1/link/orders", get(link::orders))
        .route("/v1/link/reports", post(link::reports))
        .route("/v1/link/leave", post(link::leave))
        .route("/v1/link/modules/{digest}", get(link::module))
        .route("/v1/link/files/{digest}", get(files::give))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::clone(&api), browser::check))
        .layer(from_fn_with_state(Arc::clone(&api), auth::check));
    closed
        .merge(open)
        .layer(from_fn_with_state(Arc::clone(&api), count))
        .with_state(api)
}

/// Counts answers by class.
async fn count(State(api): Shared, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    api.metrics.answered(response.status().as_u16());
    response
}

async fn no_route(request: Request) -> ApiError {
    let path: String = excerpt(request.uri().path());
    let near = nearest(&path, openapi::paths());
    ApiError::NoRoute { path, near }
}

async fn no_method(request: Request) -> ApiError {
    ApiError::Method {
        method: excerpt(request.method().as_str()),
        path: excerpt(request.uri().path()),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(PATH_CHARS_MAX).collect()
}
