//! What is logged of a search and of its trials.

use super::super::registration::UID_TAG;
use kube::ResourceExt;
use podium_api::convert::{name_of, settled_condition};
use podium_api::tuning_job::TuningJobStatus;
use podium_api::{Trial, TuningJob};
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunLog, RunOwner};
use podium_core::tuning::trial::TrialRecord;
use std::collections::BTreeMap;

/// Uid of the search whose run this is.
pub(super) const SEARCH_UID_TAG: &str = UID_TAG;
/// Uid of the trial whose run this is.
pub(super) const TRIAL_UID_TAG: &str = "podium.dev/trial-uid";
/// Uid of the search that a trial's run belongs to.
const OWNER_UID_TAG: &str = "podium.dev/owner-uid";
/// The cluster and the namespace of the objects.
pub(super) const LOCATION_TAG: &str = "podium.dev/location";
/// Why a run was ended whose object is gone, or that was started twice.
const ENDED_TAG: &str = "podium.dev/ended-because";
/// Why MLflow has not taken what was to be logged.
const NOT_LOGGED_TAG: &str = "podium.dev/not-logged";
/// The metric with the objective, beside those that it is made of.
const OBJECTIVE: &str = "objective";
/// Characters of a tag's value that each MLflow takes.
const LONGEST_TAG: usize = 5000;

/// The search that a run is one of, for people.
pub(super) fn source_of(job: &TuningJob) -> String {
    let namespace = job.namespace().unwrap_or_default();
    format!("TuningJob {namespace}/{}", job.name_any())
}

/// The tags of the run of a search, beside its key.
pub(super) fn tags_of_search(job: &TuningJob, location: &str) -> BTreeMap<String, String> {
    let objective = &job.spec.objective;
    let asked_for = objective.metric.as_ref().or(objective.expression.as_ref());
    texts([
        ("podium.dev/tuning-job", job.name_any()),
        (LOCATION_TAG, location.to_string()),
        ("podium.dev/algorithm", name_of(job.spec.algorithm.name)),
        ("podium.dev/direction", name_of(objective.direction)),
        (
            "podium.dev/objective",
            asked_for.cloned().unwrap_or_default(),
        ),
    ])
}

/// The tags of the run of a trial, beside its key. Its parameters become those of the run when it ends: before, they would be in the way of a
/// program that logs its own, since none can be changed.
pub(super) fn tags_of_trial(
    job: &TuningJob,
    trial: &Trial,
    location: &str,
) -> BTreeMap<String, String> {
    let spec = &trial.spec;
    let parameters = serde_json::to_string(&spec.parameters).unwrap_or_default();
    let mut tags = texts([
        ("podium.dev/tuning-job", job.name_any()),
        (OWNER_UID_TAG, job.uid().unwrap_or_default()),
        (LOCATION_TAG, location.to_string()),
        ("podium.dev/trial", trial.name_any()),
        ("podium.dev/trial-index", spec.index.to_string()),
        ("podium.dev/origin", spec.origin.clone()),
        ("podium.dev/seed", spec.seed.to_string()),
    ]);
    if parameters.chars().count() <= LONGEST_TAG {
        tags.insert("podium.dev/parameters".to_string(), parameters);
    }
    tags
}

/// The objects of a run, as its tags name them; `None` for one that Podium has not started.
pub(super) fn owner_of(tags: &BTreeMap<String, String>) -> Option<RunOwner<'_>> {
    let text = |tag: &str| tags.get(tag).map(String::as_str);
    let of_trial = text(OWNER_UID_TAG).zip(text(TRIAL_UID_TAG));
    let of_trial = of_trial.map(|(search, trial)| RunOwner {
        search,
        trial: Some(trial),
    });
    let of_search = || {
        Some(RunOwner {
            search: text(SEARCH_UID_TAG)?,
            trial: None,
        })
    };
    of_trial.or_else(of_search)
}

/// What is logged when a trial has ended.
pub(super) fn end_of_trial(trial: &Trial, record: &TrialRecord) -> RunLog {
    let parameters = trial.spec.parameters.iter();
    let parameters = parameters.map(|(name, value)| (name.clone(), value.to_string()));
    let metrics = record.metrics.iter().map(|m| (m.name.clone(), m.value));
    let objective = record.objective.map(|value| (OBJECTIVE.to_string(), value));
    let reason = record.reason.map_or("", |reason| reason.as_str());
    RunLog {
        params: parameters.collect(),
        // A metric of that name is the trial's own.
        metrics: objective.into_iter().chain(metrics).collect(),
        at: record.completion.unwrap_or(Timestamp(0)),
        ..RunLog::of_tags(texts([
            ("podium.dev/phase", record.phase.as_str().to_string()),
            ("podium.dev/reason", reason.to_string()),
            ("podium.dev/attempts", record.attempts.len().to_string()),
        ]))
    }
}

/// What is logged when a search has ended. One that went on logs its metrics at a later step.
pub(super) fn end_of_search(status: &TuningJobStatus, at: Timestamp) -> RunLog {
    let (_, reason, _) = settled_condition(&status.conditions, "Ready").unwrap_or_default();
    let total = status.trials.as_ref().map_or(0, |trials| trials.total);
    let mut tags = texts([
        ("podium.dev/phase", status.phase.clone().unwrap_or_default()),
        ("podium.dev/reason", reason.to_string()),
        ("podium.dev/trials", total.to_string()),
    ]);
    let mut metrics = BTreeMap::new();
    if let Some(best) = &status.best {
        tags.insert("podium.dev/best-trial".to_string(), best.trial.clone());
        metrics.insert(OBJECTIVE.to_string(), best.objective);
        metrics.extend(best.metrics.clone());
    }
    RunLog {
        metrics,
        at,
        step: u32::try_from(total).unwrap_or_default(),
        ..RunLog::of_tags(tags)
    }
}

/// The tags of what MLflow has not taken as a whole, and why it has not.
pub(super) fn not_logged(log: &RunLog, why: &str) -> RunLog {
    let mut tags = log.tags.clone();
    let why = why.chars().take(LONGEST_TAG).collect();
    tags.insert(NOT_LOGGED_TAG.to_string(), why);
    RunLog::of_tags(tags)
}

/// What is logged in a run that nobody needs any more.
pub(super) fn ended_because(why: &str) -> RunLog {
    RunLog::of_tags(texts([(ENDED_TAG, why.to_string())]))
}

fn texts<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_string(), value))
        .collect()
}
