//! Experiments of a server. Their names are unique, also among those that were deleted, so that one is created once.

use super::answer::{RequestError, RequestErrorKind};
use super::registry::{Tag, existing};
use super::server::{Repeat, Server};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct ExperimentAnswer {
    experiment: Experiment,
}

#[derive(Deserialize)]
struct Created {
    experiment_id: String,
}

/// An experiment.
#[derive(Deserialize)]
pub(super) struct Experiment {
    pub(super) experiment_id: String,
    #[serde(default)]
    pub(super) lifecycle_stage: String,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
}

/// The experiment of this name, also one that was deleted.
pub(super) async fn find(server: &Server, name: &str) -> Result<Option<Experiment>, RequestError> {
    let query = [("experiment_name", name)];
    let found: Result<ExperimentAnswer, _> = server.get("experiments/get-by-name", &query).await;
    Ok(existing(found)?.map(|found| found.experiment))
}

/// Creates an experiment with these tags; its id. After an answer that was lost, the experiment is there or not.
pub(super) async fn create(
    server: &Server,
    name: &str,
    tags: &[(&str, &str)],
) -> Result<String, RequestError> {
    let tags = tags.iter();
    let tags = tags.map(|(key, value)| json!({"key": key, "value": value}));
    let body = json!({"name": name, "tags": tags.collect::<Vec<_>>()});
    let created: Created = server
        .write(Method::POST, "experiments/create", &body, Repeat::Never)
        .await?;
    Ok(created.experiment_id)
}

/// The experiment of this name, created with these tags where there is none.
pub(super) async fn find_or_create(
    server: &Server,
    name: &str,
    tags: &[(&str, &str)],
) -> Result<Experiment, RequestError> {
    if let Some(found) = find(server, name).await? {
        return usable(name, found);
    }
    match create(server, name, tags).await {
        Ok(experiment_id) => {
            let tags = tags.iter().map(|(key, value)| Tag {
                key: (*key).to_string(),
                value: (*value).to_string(),
            });
            Ok(Experiment {
                experiment_id,
                lifecycle_stage: String::new(),
                tags: tags.collect(),
            })
        }
        // Somebody else was first, or the answer was lost.
        Err(error) => match find(server, name).await? {
            Some(found) => usable(name, found),
            None => Err(error),
        },
    }
}

/// One that was deleted holds its name, and takes no runs.
fn usable(name: &str, found: Experiment) -> Result<Experiment, RequestError> {
    if !is_deleted(&found.lifecycle_stage) {
        return Ok(found);
    }
    let message = format!(
        "the experiment `{name}` was deleted: mlflow experiments restore --experiment-id {}",
        found.experiment_id
    );
    Err(RequestError::new(RequestErrorKind::Refused, message))
}

/// Whether that is the stage of an experiment or a run that was deleted.
pub(super) fn is_deleted(lifecycle_stage: &str) -> bool {
    lifecycle_stage == "deleted"
}
