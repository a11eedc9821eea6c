//! What is asked of a runner for a trial: its template, with the environment that every trial gets.

use crate::ports::{RunId, RunRequest, TrackingAccess};
use crate::runs::expansion::expand;
use kube::{Resource, ResourceExt};
use podium_api::convert::{TrialSettings, trial_variables};
use podium_api::{TRIAL_LABEL, TUNING_JOB_LABEL, Trial, TrialSpec, TuningJob};
use podium_core::tuning::REFIT_ORIGIN;
use std::collections::BTreeMap;

/// Labels of Kueue, which pass from a search to its Jobs.
const QUEUE_LABELS: &str = "kueue.x-k8s.io/";

/// The run in MLflow that the containers of a trial log into.
#[derive(Clone, Debug)]
pub(super) struct TrackedRun {
    /// Address of the server.
    pub(super) url: String,
    /// Id of the experiment, in which further runs of a program belong.
    pub(super) experiment: Option<String>,
    /// Its own id.
    pub(super) run: String,
    pub(super) access: TrackingAccess,
}

/// The run of an attempt of a trial.
pub(super) fn run_id(trial: &Trial, attempt: u32) -> RunId<'_> {
    RunId {
        name: trial.metadata.name.as_deref().unwrap_or_default(),
        attempt,
        owner: trial.metadata.uid.as_deref(),
    }
}

/// Whether a trial trains the winner once more.
pub(super) fn is_refit(trial: &Trial) -> bool {
    trial.spec.origin == REFIT_ORIGIN
}

/// Where a trial leaves its files.
pub(super) fn output_uri(job: &TuningJob, runs: &TrialSettings, trial: &str) -> Option<String> {
    let variables = BTreeMap::from([
        ("PODIUM_TUNING_JOB".to_string(), job.name_any()),
        ("PODIUM_TRIAL".to_string(), trial.to_string()),
    ]);
    runs.output_uri.as_ref().map(|uri| expand(uri, &variables))
}

/// The first trial of a search as it is tried whether the world would take a run of it. It is never stored.
pub(super) fn tried(search: &str) -> Trial {
    let spec = TrialSpec {
        index: 1,
        parameters: BTreeMap::new(),
        seed: 0,
        origin: String::new(),
    };
    Trial::new(&format!("{search}-1"), spec)
}

/// The run of one attempt, with the environment that every trial gets.
pub(super) fn request<'a>(
    job: &TuningJob,
    runs: &'a TrialSettings,
    trial: &Trial,
    attempt: u32,
    tracked: Option<TrackedRun>,
) -> RunRequest<'a> {
    let name = trial.name_any();
    let mut variables = trial_variables(&trial.spec);
    let given = [
        ("PODIUM_TUNING_JOB", Some(job.name_any())),
        ("PODIUM_TRIAL", Some(name.clone())),
        ("PODIUM_OUTPUT_URI", output_uri(job, runs, &name)),
    ];
    let of_run = tracked.iter().flat_map(variables_of_run);
    let given = given.into_iter().chain(of_run);
    variables.extend(given.filter_map(|(name, value)| Some((name.to_string(), value?))));
    let labels = [
        (TUNING_JOB_LABEL, job.name_any()),
        (TRIAL_LABEL, name.clone()),
    ];
    let mut job_metadata = runs.job_metadata.clone();
    for (label, value) in job.labels() {
        // A queue is named on what people create, and works on what runs.
        if label.starts_with(QUEUE_LABELS) {
            let own = job_metadata.labels.entry(label.clone());
            own.or_insert_with(|| value.clone());
        }
    }
    RunRequest {
        name,
        attempt,
        job: &runs.job,
        template: &runs.template,
        container: runs.container.as_deref(),
        variables,
        tracking: tracked.map(|tracked| tracked.access),
        deadline_seconds: runs.active_deadline_seconds,
        owner: trial.controller_owner_ref(&()).map(super::without_block),
        labels: labels.map(|(key, value)| (key.to_string(), value)).into(),
        job_metadata,
    }
}

/// What MLflow's own client reads, so that whatever a program logs lands in the run without a line of its own.
fn variables_of_run(tracked: &TrackedRun) -> [(&'static str, Option<String>); 4] {
    let run = Some(tracked.run.clone());
    [
        ("MLFLOW_TRACKING_URI", Some(tracked.url.clone())),
        ("MLFLOW_EXPERIMENT_ID", tracked.experiment.clone()),
        ("MLFLOW_RUN_ID", run.clone()),
        // MLflow's client removes its own one when it is used first.
        ("PODIUM_MLFLOW_RUN_ID", run),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::convert::trial_settings;
    use podium_api::tuning_job::TuningJobSpec;
    use serde_json::json;

    #[test]
    fn the_containers_of_a_tracked_trial_find_its_run() {
        let spec = json!({
            "maxTrials": 1,
            "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "x", "real": {"min": 0.0, "max": 1.0}}],
            "trial": {"job": {"template": {"spec": {"containers": [{"name": "train"}]}}}},
        });
        let spec: TuningJobSpec = serde_json::from_value(spec).unwrap();
        let runs = trial_settings(&spec).unwrap();
        let job = TuningJob::new("forest", spec);
        let spec = TrialSpec {
            index: 1,
            parameters: BTreeMap::new(),
            seed: 1,
            origin: "Random".to_string(),
        };
        let trial = Trial::new("forest-1", spec);
        let plain = request(&job, &runs, &trial, 1, None);
        let is_of_mlflow = |name: &&String| name.contains("MLFLOW");
        assert_eq!(plain.variables.keys().find(is_of_mlflow), None);
        let access = TrackingAccess {
            credentials_secret: Some("trials".to_string()),
            ca_bundle_config_map: None,
        };
        let tracked = TrackedRun {
            url: "https://mlflow.example.com/mlf".to_string(),
            experiment: Some("3".to_string()),
            run: "a1".to_string(),
            access: access.clone(),
        };
        let asked = request(&job, &runs, &trial, 1, Some(tracked));
        assert_eq!(asked.tracking, Some(access));
        for (name, value) in [
            ("MLFLOW_TRACKING_URI", "https://mlflow.example.com/mlf"),
            ("MLFLOW_EXPERIMENT_ID", "3"),
            ("MLFLOW_RUN_ID", "a1"),
            ("PODIUM_MLFLOW_RUN_ID", "a1"),
            ("PODIUM_TRIAL", "forest-1"),
        ] {
            assert_eq!(asked.variables[name], value, "{name}");
        }
    }
}
