//! What of a search's specification is not carried out, and where, by name.

use super::{Problems, below_spec};
use crate::tuning_job::{
    Aggregate, AlgorithmName, AlgorithmSpec, JobMetadata, JobTemplate, MetricsSource, MetricsSpec,
    ObjectiveSpec, RegisterSpec, TuningJobSpec,
};
use podium_core::problem::SpecProblem;
use podium_core::tuning::Register;
use podium_core::tuning::trial::Source;

/// What only a cluster carries out of a search, with paths from the object's root.
#[must_use]
pub fn not_carried_out_locally(spec: &TuningJobSpec) -> Vec<SpecProblem> {
    let mut problems = Problems::default();
    if spec.ttl_seconds_after_finished.is_some() {
        let message = "must be left out here: a search is kept as long as its manifest stands, and the next run would begin it anew; `podium delete` removes it";
        problems.add("ttlSecondsAfterFinished", message);
    }
    if spec.tracking.is_some() {
        let message = "must be left out here: `podium run` reaches no MLflow server";
        problems.add("tracking", message);
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

pub(super) fn refuse_metrics(metrics: &MetricsSpec, is_tracked: bool, problems: &mut Problems) {
    let MetricsSpec {
        sources,
        deadline_seconds,
        aggregate: Aggregate::WeightedMean, // the only one
    } = metrics;
    let has_mlflow = sources.iter().any(|source| source.mlflow.is_some());
    if !has_mlflow && *deadline_seconds != MetricsSpec::default().deadline_seconds {
        let message = "must be left out without the source `mlflow`: other metrics come with the end of the container, so that nothing is waited for";
        problems.add("metrics.deadlineSeconds", message);
    }
    let (mut messages, mut runs) = (0, 0);
    for (position, source) in sources.iter().enumerate() {
        let MetricsSource {
            termination_message,
            log,
            mlflow,
            predictions,
        } = source;
        let path = |field: &str| format!("metrics.sources[{position}].{field}");
        if termination_message.is_some() {
            messages += 1;
            if messages > 1 {
                let message = "must be left out: this version of Podium reads one termination message, the first";
                problems.add(&path("terminationMessage"), message);
            }
        }
        if mlflow.is_some() {
            runs += 1;
            if !is_tracked {
                let message = "must be left out without `tracking`: the metrics are those of the trial's run in MLflow";
                problems.add(&path("mlflow"), message);
            } else if runs > 1 {
                let message = "must be left out: it stands in the list already";
                problems.add(&path("mlflow"), message);
            }
        }
        problems.unsupported(&path("log"), log.as_ref());
        problems.unsupported(&path("predictions"), predictions.as_ref());
    }
}

/// The sources of metrics in their order. Those that are refused are left out.
pub(super) fn sources_of(metrics: &MetricsSpec) -> Vec<Source> {
    let of_one = |source: &MetricsSource| match (&source.termination_message, &source.mlflow) {
        (Some(_), _) => Some(Source::TerminationMessage),
        (None, Some(_)) => Some(Source::Mlflow),
        (None, None) => None,
    };
    let sources: Vec<Source> = metrics.sources.iter().filter_map(of_one).collect();
    match sources.is_empty() {
        true => vec![Source::TerminationMessage],
        false => sources,
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
