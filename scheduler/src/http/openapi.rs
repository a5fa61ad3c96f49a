//! `GET /openapi.json`: the contract, made from the very types that requests
//! are read into and answers are written from.

use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use stint_api::explain::Explanation;
use stint_api::job::{JobBatch, JobSpec};
use stint_api::kit::{FileView, Kit, KitList, KitSpec};
use stint_api::namespace::{NamespaceList, NamespaceSpec, NamespaceView};
use stint_api::problem::{PROBLEM_JSON, Problem};
use stint_api::view::{
    BatchSubmitted, CapacityView, Event, JobList, JobView, LogChunk, ModuleList, ModuleView,
    NodeList, NodeView, Submitted, TasksView,
};

use super::files::PutParams;
use super::jobs::ListParams;
use super::kinds;
use super::link::OrdersParams;
use super::logs::LogParams;
use super::modules::{OfParams, PushParams};
use super::nodes::DrainParams;
use super::pages::{ResultParams, TaskParams};
use super::steer::RerunParams;

/// The schema of a type, with what it refers to among the components.
type Make = fn(&mut SchemaGenerator) -> Schema;

/// What a body is, and its media type.
#[derive(Clone, Copy)]
enum Content {
    Nothing,
    Json(Make),
    /// Server-sent events, each of them one of these.
    Events(Make),
    /// Something else, said in words.
    Other(&'static str, &'static str),
}

/// One method of one path.
struct Operation {
    path: &'static str,
    method: &'static str,
    summary: &'static str,
    params: Option<Make>,
    body: Content,
    status: &'static str,
    answer: Content,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The schema itself, for query parameters: they are no component of their own.
fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

const fn get(path: &'static str, summary: &'static str, answer: Content) -> Operation {
    Operation {
        path,
        method: "get",
        summary,
        params: None,
        body: Content::Nothing,
        status: "200",
        answer,
    }
}

impl Operation {
    const fn with(self, params: Make) -> Self {
        Self {
            params: Some(params),
            ..self
        }
    }

    const fn takes(self, method: &'static str, body: Content, status: &'static str) -> Self {
        Self {
            method,
            body,
            status,
            ..self
        }
    }
}

const NDJSON: &str = "application/x-ndjson";
const WASM: &str = "application/wasm";
const OCTETS: &str = "application/octet-stream";
const JSON: &str = "application/json";
const LINK: &str = "a message of the node link";

/// Every path, in the order in which people meet them.
const OPERATIONS: &[Operation] = &[
    get("/v1/jobs", "Submit a job; `Idempotency-Key` makes it safe to repeat", Content::Json(of::<Submitted>))
        .takes("post", Content::Json(of::<JobSpec>), "201"),
    get("/v1/jobs:batch", "Submit many jobs, all or none; `Idempotency-Key` makes it safe to repeat", Content::Json(of::<BatchSubmitted>))
        .takes("post", Content::Json(of::<JobBatch>), "201"),
    get("/v1/jobs", "List jobs, newest first", Content::Json(of::<JobList>)).with(inline::<ListParams>),
    get("/v1/jobs/{id}", "Show a job", Content::Json(of::<JobView>)),
    get("/v1/jobs/{id}:cancel", "Cancel a job; one that is over stays as it is", Content::Nothing)
        .takes("post", Content::Nothing, "204"),
    get("/v1/jobs/{id}:suspend", "Start nothing more of a job; what runs may end", Content::Nothing)
        .takes("post", Content::Nothing, "204"),
    get("/v1/jobs/{id}:resume", "Let a suspended job go on", Content::Nothing)
        .takes("post", Content::Nothing, "204"),
    get("/v1/jobs/{id}:rerun", "Submit a job once more, or its failed tasks; `Idempotency-Key` makes it safe to repeat", Content::Json(of::<Submitted>))
        .takes("post", Content::Nothing, "201").with(inline::<RerunParams>),
    get("/v1/jobs/{id}/explain", "Say why a job's tasks wait, with figures", Content::Json(of::<Explanation>)),
    get("/v1/jobs/{id}/tasks", "Show a job's tasks, a page of them, and their attempts", Content::Json(of::<TasksView>)).with(inline::<TaskParams>),
    get("/v1/jobs/{id}/events", "Follow what happens to a job; resumes after `Last-Event-ID`, and ends with an event `end`", Content::Events(of::<Event>)),
    get("/v1/jobs/{id}/logs", "Read or follow what a job writes; resumes after `Last-Event-ID`, and ends with an event `end`", Content::Events(of::<LogChunk>))
        .with(inline::<LogParams>),
    get("/v1/jobs/{id}/results", "What a job's tasks returned", Content::Other(NDJSON, "one object `{\"task\", \"result\"}` a line, ascending by task"))
        .with(inline::<ResultParams>),
    get("/v1/modules", "Push a module", Content::Json(of::<ModuleView>))
        .takes("put", Content::Other(WASM, "the module's bytes"), "201")
        .with(inline::<PushParams>),
    get("/v1/modules", "List the modules of a namespace", Content::Json(of::<ModuleList>)).with(inline::<OfParams>),
    get("/v1/modules/{digest}", "Show a module", Content::Json(of::<ModuleView>)).with(inline::<OfParams>),
    get("/v1/files", "Put a script, or a file of a kit", Content::Json(of::<FileView>))
        .takes("put", Content::Other(OCTETS, "the file's bytes"), "201")
        .with(inline::<PutParams>),
    get("/v1/files/{digest}", "Show a file", Content::Json(of::<FileView>)),
    get("/v1/kits", "List the kits of a namespace", Content::Json(of::<KitList>)).with(inline::<OfParams>),
    get("/v1/kits/{name}", "Show a kit", Content::Json(of::<Kit>)).with(inline::<OfParams>),
    get("/v1/kits/{name}", "Add a kit whose module and files were put before", Content::Json(of::<Kit>))
        .takes("put", Content::Json(of::<KitSpec>), "201").with(inline::<OfParams>),
    get("/v1/namespaces", "List namespaces: quota, weight, and what they have", Content::Json(of::<NamespaceList>)),
    get("/v1/namespaces/{name}", "Show a namespace", Content::Json(of::<NamespaceView>)),
    get("/v1/namespaces/{name}", "Decide the quota and the weight of a namespace, in place of what was decided before", Content::Json(of::<NamespaceView>))
        .takes("put", Content::Json(of::<NamespaceSpec>), "200"),
    get("/v1/nodes", "List nodes", Content::Json(of::<NodeList>)),
    get("/v1/nodes/{id}:cordon", "Give a node no new work; what it has goes on", Content::Json(of::<NodeView>))
        .takes("post", Content::Nothing, "200"),
    get("/v1/nodes/{id}:uncordon", "Let a node take work again", Content::Json(of::<NodeView>))
        .takes("post", Content::Nothing, "200"),
    get("/v1/nodes/{id}:drain", "Move a node's work elsewhere: at once what is not begun, in time what runs", Content::Json(of::<NodeView>))
        .takes("post", Content::Nothing, "200").with(inline::<DrainParams>),
    get("/v1/capacity", "Say how much capacity there is, and how much more those who wait could use", Content::Json(of::<CapacityView>)),
    get("/v1/link/leave", "A node has ended all that it ran, and leaves", Content::Nothing)
        .takes("post", Content::Other(JSON, LINK), "204"),
    get("/v1/link/hello", "A node joins, or joins again", Content::Other(JSON, LINK))
        .takes("post", Content::Other(JSON, LINK), "200"),
    get("/v1/link/orders", "A node's orders, as they come", Content::Other(NDJSON, "one message of the node link a line; empty lines are signs of life"))
        .with(inline::<OrdersParams>),
    get("/v1/link/reports", "A node says what happened, and renews its lease", Content::Other(JSON, LINK))
        .takes("post", Content::Other(JSON, LINK), "200"),
    get("/v1/link/modules/{digest}", "A module's bytes, for a node", Content::Other(WASM, "the module's bytes")),
    get("/v1/link/files/{digest}", "A file's bytes, for a node", Content::Other(OCTETS, "the file's bytes")),
    get("/metrics", "Figures for Prometheus", Content::Other("application/openmetrics-text", "OpenMetrics text")),
    get("/openapi.json", "This document", Content::Other(JSON, "OpenAPI 3.1")),
    get("/healthz", "Whether the process answers", Content::Other(JSON, "an object with `status`")),
    get("/readyz", "Whether the scheduler takes requests", Content::Other(JSON, "an object with `status`")),
];

/// Every path of the contract.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|operation| operation.path)
}

pub(super) async fn document() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| made().to_string().into());
    ([(CONTENT_TYPE, JSON)], document.clone()).into_response()
}

fn made() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let described = describe(operation, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    let problem = generator.subschema_for::<Problem>();
    let kinds: Vec<Value> = kinds::ALL
        .iter()
        .map(|kind| {
            json!(format!(
                "urn:stint:{} ({}): {}",
                kind.name,
                kind.status.as_u16(),
                kind.title
            ))
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stint",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs WebAssembly data jobs within limits that hold.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": {
                "Problem": {
                    "description": "What is wrong, and what to do next. Its `type` is one of `x-kinds`.",
                    "x-kinds": kinds,
                    "content": { PROBLEM_JSON: { "schema": problem } },
                },
            },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = path_parameters(operation.path);
    if let Some(params) = operation.params {
        parameters.extend(query_parameters(&params(generator)));
    }
    let mut answer = json!({ "description": operation.summary });
    if let Some(content) = content(operation.answer, generator) {
        answer["content"] = content;
    }
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            operation.status: answer,
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if let Some(content) = content(operation.body, generator) {
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

fn content(content: Content, generator: &mut SchemaGenerator) -> Option<Value> {
    match content {
        Content::Nothing => None,
        Content::Json(make) => Some(json!({ JSON: { "schema": make(generator) } })),
        Content::Events(make) => {
            Some(json!({ "text/event-stream": { "schema": make(generator) } }))
        }
        Content::Other(media, words) => {
            Some(json!({ media: { "schema": { "description": words } } }))
        }
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next());
    let parameter = |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    names.map(parameter).collect()
}

fn query_parameters(schema: &Schema) -> Vec<Value> {
    let schema = schema.as_value();
    let required = |name: &str| {
        let names = schema["required"].as_array();
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let properties = schema["properties"].as_object();
    let parameter = |(name, schema): (&String, &Value)| json!({ "name": name, "in": "query", "required": required(name), "schema": schema });
    properties.into_iter().flatten().map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_names_every_field_of_a_job_and_no_schema_is_missing() {
        let document = made();
        let job = &document["components"]["schemas"]["JobSpec"]["properties"];
        for field in ["module", "tasks", "memory", "inputs"] {
            assert!(job.get(field).is_some(), "{field}");
        }
        let list = &document["paths"]["/v1/jobs"]["get"]["parameters"];
        let names: Vec<&str> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["cursor", "limit", "namespace"]);
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name}"
            );
        }
    }
}
