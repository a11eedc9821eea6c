//! What of a search's specification is not carried out, and where, by name.

use super::{Problems, below_spec};
use crate::tuning_job::{
    Aggregate, AlgorithmName, AlgorithmSpec, JobMetadata, JobTemplate, MetricsSource, MetricsSpec,
    ObjectiveSpec, RegisterSpec, TuningJobSpec,
};
use podium_core::problem::SpecProblem;
use podium_core::tuning::Register;

/// What only a cluster carries out of a search, with paths from the object's root.
#[must_use]
pub fn not_carried_out_locally(spec: &TuningJobSpec) -> Vec<SpecProblem> {
    let mut problems = Problems::default();
    if spec.ttl_seconds_after_finished.is_some() {
        let message = "must be left out here: a search is kept as long as its manifest stands, and the next run would begin it anew; `podium delete` removes it";
        problems.add("ttlSecondsAfterFinished", message);
    }
    let job = spec.trial.job.as_ref();
    if let Some(job) = job {
        refuse_labels_of_a_process(job, "trial.job", &mut problems);
    }
    below_spec(problems.0)
}

/// A process has none.
pub(super) fn refuse_labels_of_a_process(job: &JobTemplate, path: &str, problems: &mut Problems) {
    let JobMetadata {
        labels,
        annotations,
    } = job.metadata.clone().unwrap_or_default();
    for (field, given) in [("labels", labels), ("annotations", annotations)] {
        if !given.is_empty() {
            let message = "must be left out here: a process has none; labels of a queue may stand on the object itself";
            problems.add(&format!("{path}.metadata.{field}"), message);
        }
    }
}

pub(super) fn refuse_what_is_not_carried_out(spec: &TuningJobSpec, problems: &mut Problems) {
    let ObjectiveSpec {
        direction: _,
        metric: _,
        expression: _,
        target: _,
        constraints: _,
        confirm,
    } = &spec.objective;
    problems.unsupported("objective.confirm", confirm.as_ref());
    let AlgorithmSpec { name, hyperopt: _ } = &spec.algorithm;
    if matches!(name, AlgorithmName::GaussianProcess | AlgorithmName::Tpe) {
        let known =
            "must be Auto, Hyperopt, Random, Grid or Sobol: this version of Podium has no other";
        problems.add("algorithm.name", known);
    }
}

pub(super) fn refuse_metrics(metrics: &MetricsSpec, problems: &mut Problems) {
    let MetricsSpec {
        sources,
        deadline_seconds,
        aggregate: Aggregate::WeightedMean, // the only one
    } = metrics;
    if *deadline_seconds != MetricsSpec::default().deadline_seconds {
        let message = "must be left out: metrics come with the end of the container, so this version of Podium never waits for them";
        problems.add("metrics.deadlineSeconds", message);
    }
    for (position, source) in sources.iter().enumerate() {
        let MetricsSource {
            termination_message,
            log,
            mlflow,
            predictions,
        } = source;
        let path = |field: &str| format!("metrics.sources[{position}].{field}");
        if position > 0 && termination_message.is_some() {
            let message =
                "must be left out: this version of Podium reads one termination message, the first";
            problems.add(&path("terminationMessage"), message);
        }
        problems.unsupported(&path("log"), log.as_ref());
        problems.unsupported(&path("mlflow"), mlflow.as_ref());
        problems.unsupported(&path("predictions"), predictions.as_ref());
    }
}

/// Variables that `trial.outputURI` may hold.
const OF_OUTPUT_URI: [&str; 2] = ["PODIUM_TRIAL", "PODIUM_TUNING_JOB"];

/// Refuses what would stay in `trial.outputURI` as it is written.
pub(super) fn refuse_unknown_variables(uri: &str, problems: &mut Problems) {
    let mut rest = uri;
    while let Some((_, after)) = rest.split_once('$') {
        let (open, close) = match after.get(..1) {
            Some("(") => ('(', ')'),
            Some("{") => ('{', '}'),
            // `$$` is the sign itself.
            Some("$") => {
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            _ => {
                rest = after;
                continue;
            }
        };
        let name = after.get(1..).and_then(|inner| inner.split_once(close));
        let name = name.map_or(after, |(name, _)| name);
        if open == '{' || !OF_OUTPUT_URI.contains(&name) {
            let message = format!(
                "must hold no variables but `$(PODIUM_TRIAL)` and `$(PODIUM_TUNING_JOB)`; got `${open}{name}{close}`"
            );
            problems.add("trial.outputURI", message);
        }
        rest = after;
    }
}

pub(super) fn converted_register(
    register: Option<&RegisterSpec>,
    output: Option<&str>,
    trials: i32,
    problems: &mut Problems,
) -> Option<Register> {
    let RegisterSpec {
        registry_ref: _, // the engine looks it up
        model,
        alias,
        refit,
    } = register?;
    match output {
        None => {
            let message =
                format!("must be given: `register` makes a trial's files a version of {model}");
            problems.add("trial.outputURI", message);
        }
        Some(uri) if !uri.contains("$(PODIUM_TRIAL)") && (trials > 1 || *refit) => {
            let message = "must contain `$(PODIUM_TRIAL)`: all trials would write to one place, and `register` would take the files of the last one";
            problems.add("trial.outputURI", message);
        }
        Some(_) => {}
    }
    Some(Register {
        model: model.clone(),
        alias: alias.clone(),
        refit: *refit,
    })
}
