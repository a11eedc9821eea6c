//! Runs of an MLflow server, into which searches and their trials are logged.
//!
//! Creating a run is not idempotent, so that one is looked for by a tag with a uid before it is created, unless it is known to be new. A
//! request without an answer may have been carried out, or may be later: of two runs with one tag the older counts, and the other is ended.

use super::answer::{RequestError, RequestErrorKind};
use super::experiments::{self, is_deleted};
use super::registry::{Tag, quoted};
use super::runs::{self, Run};
use super::server::{Repeat, Server};
use crate::ports::{
    NewRun, OpenRun, OpenRuns, PortError, PortErrorKind, RunWrite, StartedRun, Tracking,
};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunContent, RunLog, RunMetric, RunStatus};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tag of an experiment in which Podium has started runs, by which those that go on are found.
const TRACKED_TAG: (&str, &str) = ("podium.dev/tracked", "true");
/// The tag of a run that was started twice, with the id of the other one.
const SUPERSEDED_TAG: &str = "podium.dev/superseded-by";
const PARENT_TAG: &str = "mlflow.parentRunId";
const SOURCE_TAG: &str = "mlflow.source.name";
/// Runs and experiments of one answer.
const MOST_FOUND: u32 = 1000;

/// The runs of an MLflow server.
#[derive(Clone, Debug)]
pub struct MlflowTracking {
    server: Arc<Server>,
}

#[derive(Deserialize)]
struct RunsAnswer {
    #[serde(default)]
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct ExperimentsAnswer {
    #[serde(default)]
    experiments: Vec<experiments::Experiment>,
}

impl MlflowTracking {
    /// The runs of this server.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// The run that was started under the key of `new`.
    async fn started(&self, new: &NewRun<'_>) -> Result<Option<String>, RequestError> {
        let (tag, value) = new.key;
        let filter = format!("tags.`{tag}` = {}", quoted("the key of a run", value)?);
        let mut found = self.search(&[new.experiment.to_string()], &filter).await?;
        let is_superseded = |run: &Run| run.data.tags.iter().any(|tag| tag.key == SUPERSEDED_TAG);
        found.retain(|run| !is_superseded(run));
        found.sort_by_key(|run| (whole(&run.info.start_time), run.info.run_id.clone()));
        let ids: Vec<String> = found.into_iter().map(|run| run.info.run_id).collect();
        let Some((oldest, others)) = ids.split_first() else {
            return Ok(None);
        };
        for other in others {
            let body = json!({"run_id": other, "key": SUPERSEDED_TAG, "value": oldest});
            self.server.post("runs/set-tag", &body).await?;
            let now = jiff::Timestamp::now().as_millisecond();
            let status = RunStatus::Killed.as_str();
            let body = json!({"run_id": other, "status": status, "end_time": now});
            self.server.post("runs/update", &body).await?;
        }
        Ok(Some(oldest.clone()))
    }

    async fn create(&self, new: &NewRun<'_>) -> Result<String, RequestError> {
        let mut tags = new.tags.clone();
        let (key, value) = new.key;
        tags.insert(key.to_string(), value.to_string());
        tags.insert(SOURCE_TAG.to_string(), new.source.to_string());
        if let Some(parent) = new.parent {
            tags.insert(PARENT_TAG.to_string(), parent.to_string());
        }
        let body = json!({
            "experiment_id": new.experiment,
            "run_name": new.name,
            "start_time": new.start.0,
            "tags": pairs(&tags),
        });
        runs::create(&self.server, &body).await
    }

    async fn read(&self, run: &str) -> Result<Option<Run>, RequestError> {
        let found = runs::find(&self.server, run).await?;
        Ok(found.filter(|run| !is_deleted(&run.info.lifecycle_stage)))
    }

    async fn search(&self, experiments: &[String], filter: &str) -> Result<Vec<Run>, RequestError> {
        let body = json!({
            "experiment_ids": experiments,
            "filter": filter,
            "max_results": MOST_FOUND,
            "order_by": ["attributes.start_time ASC"],
        });
        let found: RunsAnswer = self
            .server
            .write(Method::POST, "runs/search", &body, Repeat::Idempotent)
            .await?;
        Ok(found.runs)
    }

    async fn experiments_with_runs(&self) -> Result<Vec<String>, RequestError> {
        let (tag, value) = TRACKED_TAG;
        let filter = format!("tags.`{tag}` = '{value}'");
        let most = MOST_FOUND.to_string();
        let query = [("filter", filter.as_str()), ("max_results", most.as_str())];
        let found: ExperimentsAnswer = self.server.get("experiments/search", &query).await?;
        let found = found.experiments.into_iter();
        Ok(found.map(|experiment| experiment.experiment_id).collect())
    }

    async fn open(&self, which: OpenRuns<'_>) -> Result<Vec<OpenRun>, RequestError> {
        let (experiments, tag, value) = match which {
            OpenRuns::Below { experiment, parent } => {
                (vec![experiment.to_string()], PARENT_TAG, parent)
            }
            OpenRuns::Tagged { tag, value } => (self.experiments_with_runs().await?, tag, value),
        };
        if experiments.is_empty() {
            return Ok(Vec::new());
        }
        let value = quoted("the value of a tag", value)?;
        let filter = format!("attributes.status = 'RUNNING' AND tags.`{tag}` = {value}");
        let found = self.search(&experiments, &filter).await?;
        let found = found.into_iter().map(|run| OpenRun {
            id: run.info.run_id,
            tags: by_key(run.data.tags),
        });
        Ok(found.collect())
    }

    /// What a write came to. A run that was deleted and a request that is wrong are answered alike, so that only a look tells them apart.
    async fn outcome(
        &self,
        run: &str,
        written: Result<(), RequestError>,
    ) -> Result<RunWrite, PortError> {
        match written {
            Ok(()) => Ok(RunWrite::Done),
            Err(error) if error.kind == RequestErrorKind::Missing => Ok(RunWrite::Gone),
            Err(error) if error.kind == RequestErrorKind::Refused => {
                match self.read(run).await.map_err(of_tracking)? {
                    Some(_) => Ok(RunWrite::Refused(error.message)),
                    None => Ok(RunWrite::Gone),
                }
            }
            Err(error) => Err(of_tracking(error)),
        }
    }
}

/// What failed, with the right that is lacking where one is.
fn of_tracking(error: RequestError) -> PortError {
    if error.kind != RequestErrorKind::Forbidden {
        return error.into();
    }
    let message = format!(
        "MLflow denies this to the registry's account, which needs EDIT on the experiment, or the right to create it: {}",
        error.message
    );
    PortError::new(PortErrorKind::Forbidden, message)
}

fn by_key(tags: Vec<Tag>) -> BTreeMap<String, String> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn pairs(texts: &BTreeMap<String, String>) -> Vec<Value> {
    let pairs = texts.iter();
    pairs
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}

/// A whole number, which some servers write as text.
fn whole(value: &Value) -> Option<i64> {
    let text = || -> Option<i64> { value.as_str()?.parse().ok() };
    value.as_i64().or_else(text)
}

/// A value of a metric. NaN comes as text, and what is infinite as the largest number.
fn number(value: &Value) -> Option<f64> {
    let text = || -> Option<f64> { value.as_str()?.parse().ok() };
    let read = value.as_f64().or_else(text)?;
    Some(match read.abs() < f64::MAX || read.is_nan() {
        true => read,
        false => f64::INFINITY.copysign(read),
    })
}

/// The name of a metric as MLflow takes it: letters, digits and some signs, in the form of a path that needs no other one.
fn key_of(name: &str) -> Option<String> {
    let is_taken = |c: char| c.is_alphanumeric() || "_/.- :".contains(c);
    let key: String = name
        .chars()
        .map(|c| if is_taken(c) { c } else { '_' })
        .collect();
    let is_path = key.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (is_path && !key.starts_with("..")).then_some(key)
}

impl MlflowTracking {
    /// One request has room for a thousand metrics, and for a hundred parameters and tags each, which is more than a trial has.
    async fn log_batch(&self, run: &str, log: &RunLog) -> Result<RunWrite, PortError> {
        let metrics = log.metrics.iter().filter_map(|(name, value)| {
            let key = key_of(name)?;
            Some(json!({"key": key, "value": value, "timestamp": log.at.0, "step": log.step}))
        });
        let body = json!({
            "run_id": run,
            "metrics": metrics.collect::<Vec<_>>(),
            "params": pairs(&log.params),
            "tags": pairs(&log.tags),
        });
        let written = self.server.post("runs/log-batch", &body).await;
        self.outcome(run, written).await
    }
}

impl Tracking for MlflowTracking {
    async fn experiment(&self, name: &str) -> Result<String, PortError> {
        let found = experiments::find_or_create(&self.server, name, &[TRACKED_TAG]).await;
        let found = found.map_err(of_tracking)?;
        let (key, value) = TRACKED_TAG;
        if found.tags.iter().all(|tag| tag.key != key) {
            let id = found.experiment_id.as_str();
            let body = json!({"experiment_id": id, "key": key, "value": value});
            let written = self
                .server
                .post("experiments/set-experiment-tag", &body)
                .await;
            written.map_err(of_tracking)?;
        }
        Ok(found.experiment_id)
    }

    async fn start_run(&self, new: NewRun<'_>) -> Result<StartedRun, PortError> {
        if new.may_exist
            && let Some(id) = self.started(&new).await.map_err(of_tracking)?
        {
            return Ok(StartedRun { id, is_new: false });
        }
        let error = match self.create(&new).await {
            Ok(id) => return Ok(StartedRun { id, is_new: true }),
            Err(error) => error,
        };
        if error.leaves_open()
            && let Ok(Some(id)) = self.started(&new).await
        {
            return Ok(StartedRun { id, is_new: true });
        }
        Err(of_tracking(error))
    }

    async fn content(&self, run: &str) -> Result<Option<RunContent>, PortError> {
        let Some(run) = self.read(run).await.map_err(of_tracking)? else {
            return Ok(None);
        };
        let metrics = run.data.metrics.into_iter().filter_map(|metric| {
            let content = RunMetric {
                value: number(&metric.value)?,
                at: Timestamp(whole(&metric.timestamp).unwrap_or_default()),
            };
            Some((metric.key, content))
        });
        Ok(Some(RunContent {
            metrics: metrics.collect(),
            params: by_key(run.data.params),
        }))
    }

    async fn log(&self, run: &str, log: &RunLog) -> Result<RunWrite, PortError> {
        let failed = match self.log_batch(run, log).await {
            Ok(outcome) => return Ok(outcome),
            Err(failed) => failed,
        };
        // MLflow 2 fails on a batch that it has taken before, as one whose answer was lost.
        let Some(there) = self.content(run).await? else {
            return Err(failed);
        };
        let mut rest = log.clone();
        rest.metrics
            .retain(|name, _| !key_of(name).is_some_and(|key| there.metrics.contains_key(&*key)));
        if rest.metrics.len() == log.metrics.len() {
            return Err(failed);
        }
        self.log_batch(run, &rest).await
    }

    async fn set_status(
        &self,
        run: &str,
        status: RunStatus,
        end: Option<Timestamp>,
    ) -> Result<RunWrite, PortError> {
        let mut body = json!({"run_id": run, "status": status.as_str()});
        if let Some(end) = end {
            body["end_time"] = json!(end.0);
        }
        let written = self.server.post("runs/update", &body).await;
        self.outcome(run, written).await
    }

    async fn open_runs(&self, which: OpenRuns<'_>) -> Result<Vec<OpenRun>, PortError> {
        self.open(which).await.map_err(of_tracking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_logged() {
        assert_eq!(number(&json!(0.25)), Some(0.25));
        assert!(number(&json!("NaN")).is_some_and(f64::is_nan));
        assert_eq!(number(&json!(f64::MAX)), Some(f64::INFINITY));
        assert_eq!(number(&json!(f64::MIN)), Some(f64::NEG_INFINITY));
        assert_eq!(number(&json!("-Infinity")), Some(f64::NEG_INFINITY));
        assert_eq!(number(&Value::Null), None);
        assert_eq!(whole(&json!("17")), Some(17));
        assert_eq!(whole(&json!(17)), Some(17));
    }

    #[test]
    fn a_name_that_mlflow_would_refuse_is_another_one_or_none() {
        for (name, key) in [
            ("val/auc", Some("val/auc")),
            ("auc@10", Some("auc_10")),
            ("größe 1.5: a-b", Some("größe 1.5: a-b")),
            ("/auc", None),
            ("a//b", None),
            ("a/../b", None),
            ("..a", None),
            ("", None),
        ] {
            assert_eq!(key_of(name).as_deref(), key, "{name}");
        }
    }
}
