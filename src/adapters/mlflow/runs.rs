//! Runs of a server, as it tells of them.

use super::answer::RequestError;
use super::registry::{Tag, existing};
use super::server::{Repeat, Server};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct RunAnswer {
    run: Run,
}

/// A run.
#[derive(Deserialize)]
pub(super) struct Run {
    pub(super) info: RunInfo,
    #[serde(default)]
    pub(super) data: RunData,
}

/// What is said of a run.
#[derive(Deserialize)]
pub(super) struct RunInfo {
    pub(super) run_id: String,
    #[serde(default)]
    pub(super) lifecycle_stage: String,
    #[serde(default)]
    pub(super) start_time: Value,
}

/// What was logged to a run. Lists that are empty are left out of answers.
#[derive(Default, Deserialize)]
pub(super) struct RunData {
    #[serde(default)]
    pub(super) params: Vec<Tag>,
    #[serde(default)]
    pub(super) metrics: Vec<Metric>,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
}

/// The last value of a metric.
#[derive(Deserialize)]
pub(super) struct Metric {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: Value,
    #[serde(default)]
    pub(super) timestamp: Value,
}

/// The run with this id, also one that was deleted.
pub(super) async fn find(server: &Server, id: &str) -> Result<Option<Run>, RequestError> {
    let found: Result<RunAnswer, _> = server.get("runs/get", &[("run_id", id)]).await;
    Ok(existing(found)?.map(|found| found.run))
}

/// Creates a run; its id. Once, since a second request would make another run.
pub(super) async fn create(server: &Server, body: &Value) -> Result<String, RequestError> {
    let created: RunAnswer = server
        .write(Method::POST, "runs/create", body, Repeat::Never)
        .await?;
    Ok(created.run.info.run_id)
}
