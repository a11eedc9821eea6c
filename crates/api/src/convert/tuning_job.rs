//! `TuningJob` to the settings of a search and of its trials.

use super::tuning_refusals::{
    converted_register, refuse_metrics, refuse_unknown_variables, refuse_what_is_not_carried_out,
    sources_of,
};
use super::{Problems, below_spec, count, environment, seconds};
use crate::tuning_job::{
    AlgorithmName, DirectionSpec, FailureActionSpec, FailureRuleSpec, HyperoptSpec, JobMetadata,
    ParameterSpec, ScaleSpec, TrialTemplate, TuningJobSpec,
};
use crate::{TuningJob, tuning_job};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;
use podium_core::expression::{Expression, Names};
use podium_core::objective::{Objective, ObjectiveSource};
use podium_core::problem::SpecProblem;
use podium_core::search::{Algorithm, Direction, HyperoptSettings, initial_trials};
use podium_core::space::{Domain, Parameter, ParameterConstraint, Scale, Space};
use podium_core::tuning::Settings;
use podium_core::tuning::trial::{FAILURE_RULE_VARIABLES, FailureAction, FailureRule, Source};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the runs of a search's trials need besides their configuration.
#[derive(Debug)]
pub struct TrialSettings {
    /// The specification of the Job, as the user wrote it.
    pub job: Map<String, Value>,
    /// The pod template in it.
    pub template: PodTemplateSpec,
    /// Labels and annotations of the Job itself.
    pub job_metadata: JobMetadata,
    /// The container whose termination message holds the metrics; `None` for the first one.
    pub container: Option<String>,
    /// Where the metrics come from, in the order in which they are asked for.
    pub sources: Vec<Source>,
    /// Seconds after the end of the container for which metrics are waited for.
    pub metrics_deadline_seconds: u64,
    /// Running time in seconds.
    pub active_deadline_seconds: Option<u64>,
    /// Seconds that a run may wait.
    pub queue_deadline_seconds: Option<u64>,
    /// Where a trial leaves its files, with `$(PODIUM_TRIAL)` not yet expanded.
    pub output_uri: Option<String>,
    /// Rules of the user for the ends of runs.
    pub failure_rules: Vec<FailureRule>,
}

/// A Job's name has at most 63 characters and ends with a trial's index and an attempt's number.
const MAX_NAME_LENGTH: usize = 52;

/// The settings of a search.
///
/// # Errors
/// All problems, with their paths from the object's root.
pub fn tuning_settings(job: &TuningJob) -> Result<Settings, Vec<SpecProblem>> {
    let spec = &job.spec;
    // Every field is named, so that a new one does not compile until it is carried out or refused.
    let TuningJobSpec {
        suspend,
        seed: _, // below
        parallelism,
        max_trials,
        max_failed_trials,
        active_deadline_seconds,
        ttl_seconds_after_finished: _, // carried out by the engine in a cluster, refused elsewhere
        objective: _,                  // below
        parameters: _,                 // below
        parameter_constraints: _,      // below
        initial_trials: asked_first,
        warm_start,
        algorithm: _, // below
        early_stopping,
        metrics,
        trial,
        tracking,
        register,
    } = spec;
    let mut problems = Problems::default();
    problems.unsupported("warmStart", warm_start.as_ref());
    problems.unsupported("earlyStopping", early_stopping.as_ref());
    // The registry is looked up by the engine; the experiment is made where it is not there.
    refuse_metrics(metrics, tracking.is_some(), &mut problems);
    refuse_what_is_not_carried_out(spec, &mut problems);
    problems.unsupported("trial.resource", trial.resource.as_ref());
    let register = converted_register(
        register.as_ref(),
        trial.output_uri.as_deref(),
        *max_trials,
        &mut problems,
    );
    if job.name_any().len() > MAX_NAME_LENGTH {
        return Err(vec![SpecProblem::new(
            "metadata.name",
            format!(
                "must be at most {MAX_NAME_LENGTH} characters: the names of trials, Jobs and pods are made of it"
            ),
        )]);
    }
    let objective = problems.take(objective(spec));
    let space = problems.take(space(spec));
    let algorithm = algorithm(spec);
    let mut first = Vec::new();
    if let Some(space) = &space {
        problems.take(algorithm.check(space));
        let initial = initial_trials(space, asked_first, count(*max_trials), seed(job));
        first = problems.take(initial).unwrap_or_default();
    }
    let (Some(objective), Some(space), true) = (objective, space, problems.0.is_empty()) else {
        return Err(below_spec(problems.0));
    };
    Ok(Settings {
        name: job.name_any(),
        space,
        algorithm,
        objective,
        max_trials: count(*max_trials),
        max_failed_trials: max_failed_trials.map(count),
        parallelism: count(*parallelism),
        active_deadline_seconds: active_deadline_seconds.map(seconds),
        initial_trials: first,
        seed: seed(job),
        suspend: *suspend,
        register,
    })
}

/// `spec.seed`, else a number that the object's uid decides.
fn seed(job: &TuningJob) -> u64 {
    match job.spec.seed {
        Some(seed) => seconds(seed),
        None => job
            .uid()
            .unwrap_or_default()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            }),
    }
}

fn objective(spec: &TuningJobSpec) -> Result<Objective, Vec<SpecProblem>> {
    let given = &spec.objective;
    let source = match (&given.metric, &given.expression) {
        (Some(metric), None) => ObjectiveSource::Metric(metric.clone()),
        (None, Some(expression)) => ObjectiveSource::Expression(expression.clone()),
        _ => {
            let message = "exactly one of `metric` and `expression` must be set";
            return Err(vec![SpecProblem::new("objective", message)]);
        }
    };
    let direction = match given.direction {
        DirectionSpec::Maximize => Direction::Maximize,
        DirectionSpec::Minimize => Direction::Minimize,
    };
    Objective::new(direction, source, given.target, given.constraints.clone())
}

fn space(spec: &TuningJobSpec) -> Result<Space, Vec<SpecProblem>> {
    let mut problems = Problems::default();
    let parameters: Vec<Parameter> = spec
        .parameters
        .iter()
        .enumerate()
        .filter_map(|(position, given)| match domain(given) {
            Some(domain) => Some(Parameter {
                name: given.name.clone(),
                domain,
                when: given.when.clone(),
            }),
            None => {
                let message = "exactly one of `real`, `integer`, `categorical`, `ordinal` and `normal` must be set";
                problems.add(&format!("parameters[{position}]"), message);
                None
            }
        })
        .collect();
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    let constraints = spec
        .parameter_constraints
        .iter()
        .map(|given| ParameterConstraint {
            expression: given.expression.clone(),
            message: given
                .message
                .clone()
                .unwrap_or_else(|| format!("`{}` must hold", given.expression)),
        });
    Space::new(parameters, constraints.collect())
}

fn domain(given: &ParameterSpec) -> Option<Domain> {
    let ParameterSpec {
        name: _,
        when: _,
        real,
        integer,
        categorical,
        ordinal,
        normal,
    } = given;
    match (real, integer, categorical, ordinal, normal) {
        (Some(real), None, None, None, None) => Some(Domain::Real {
            min: real.min,
            max: real.max,
            scale: scale(real.scale),
            step: real.step,
        }),
        (None, Some(integer), None, None, None) => Some(Domain::Integer {
            min: integer.min,
            max: integer.max,
            step: Some(integer.step),
            scale: scale(integer.scale),
        }),
        (None, None, Some(choice), None, None) => Some(Domain::Categorical {
            values: choice.values.clone(),
        }),
        (None, None, None, Some(choice), None) => Some(Domain::Ordinal {
            values: choice.values.clone(),
        }),
        (None, None, None, None, Some(normal)) => Some(Domain::Normal {
            mean: normal.mean,
            deviation: normal.deviation,
            min: normal.min,
            max: normal.max,
            step: normal.step,
            scale: scale(normal.scale),
        }),
        _ => None,
    }
}

fn scale(given: ScaleSpec) -> Scale {
    match given {
        ScaleSpec::Linear => Scale::Linear,
        ScaleSpec::Log => Scale::Log,
    }
}

fn algorithm(spec: &TuningJobSpec) -> Algorithm {
    let settings =
        spec.algorithm
            .hyperopt
            .as_ref()
            .map_or_else(HyperoptSettings::default, |given| {
                let default = HyperoptSettings::default();
                let HyperoptSpec {
                    startup_trials,
                    gamma,
                    candidates,
                    prior_weight,
                    linear_forgetting,
                } = given;
                HyperoptSettings {
                    startup_trials: startup_trials.map_or(default.startup_trials, count),
                    gamma: gamma.unwrap_or(default.gamma),
                    candidates: candidates.map_or(default.candidates, count),
                    prior_weight: prior_weight.unwrap_or(default.prior_weight),
                    linear_forgetting: linear_forgetting.map_or(default.linear_forgetting, count),
                }
            });
    match spec.algorithm.name {
        AlgorithmName::Hyperopt => Algorithm::Hyperopt(settings),
        AlgorithmName::Random => Algorithm::Random,
        AlgorithmName::Grid => Algorithm::Grid,
        AlgorithmName::Sobol => Algorithm::Sobol,
        AlgorithmName::Auto | AlgorithmName::GaussianProcess | AlgorithmName::Tpe => {
            Algorithm::Auto
        }
    }
}

/// What the runs of a search's trials need.
///
/// # Errors
/// All problems, with their paths from the object's root.
pub fn trial_settings(spec: &TuningJobSpec) -> Result<TrialSettings, Vec<SpecProblem>> {
    let TrialTemplate {
        active_deadline_seconds,
        queue_deadline_seconds,
        output_uri,
        job,
        resource,
        failure_rules: rules,
    } = &spec.trial;
    let mut problems = Problems::default();
    if let Some(uri) = output_uri {
        refuse_unknown_variables(uri, &mut problems);
    }
    let template = job
        .as_ref()
        .and_then(|job| problems.take(pod_template(job, "trial.job")));
    if job.is_none() && resource.is_none() {
        problems.add("trial", "exactly one of `job` and `resource` must be set");
    }
    if let Some(job) = job {
        refuse_own_labels(job, "trial.job", &mut problems);
    }
    if let Some(template) = &template {
        require_named_containers(spec, template, &mut problems);
        let parameters = spec.parameters.iter();
        let parameters = parameters
            .map(|parameter| parameter.name.as_str())
            .collect();
        environment::refuse_hidden(
            template,
            "trial.job.template",
            &parameters,
            "parameter",
            &mut problems,
        );
        if spec.tracking.is_some() {
            environment::refuse_hidden_run(template, "trial.job.template", &mut problems);
        }
    }
    let known: BTreeMap<&str, Option<&[String]>> =
        FAILURE_RULE_VARIABLES.map(|name| (name, None)).into();
    let mut failure_rules = Vec::new();
    for (position, FailureRuleSpec { when, action }) in rules.iter().enumerate() {
        match Expression::compile(when, Names::Known(&known)) {
            Ok(when) => failure_rules.push(FailureRule {
                when,
                action: failure_action(*action),
            }),
            Err(message) => problems.add(&format!("trial.failureRules[{position}].when"), message),
        }
    }
    let (Some(template), true) = (template, problems.0.is_empty()) else {
        return Err(below_spec(problems.0));
    };
    Ok(TrialSettings {
        job: job.as_ref().map(job_spec).unwrap_or_default(),
        job_metadata: job
            .as_ref()
            .and_then(|job| job.metadata.clone())
            .unwrap_or_default(),
        template,
        container: spec
            .metrics
            .sources
            .iter()
            .find_map(|source| source.termination_message.as_ref())
            .and_then(|source| source.container.clone()),
        sources: sources_of(&spec.metrics),
        metrics_deadline_seconds: seconds(spec.metrics.deadline_seconds),
        active_deadline_seconds: active_deadline_seconds.map(seconds),
        queue_deadline_seconds: queue_deadline_seconds.map(seconds),
        output_uri: output_uri.clone(),
        failure_rules,
    })
}

/// A container that is not there would never report anything.
fn require_named_containers(
    spec: &TuningJobSpec,
    template: &PodTemplateSpec,
    problems: &mut Problems,
) {
    let pod = template.spec.as_ref();
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    for (position, source) in spec.metrics.sources.iter().enumerate() {
        let named = source.termination_message.as_ref();
        let Some(name) = named.and_then(|source| source.container.as_ref()) else {
            continue;
        };
        if containers.iter().all(|container| &container.name != name) {
            let path = format!("metrics.sources[{position}].terminationMessage.container");
            let message = format!(
                "must be the name of a container in `trial.job.template`, which has no `{name}`"
            );
            problems.add(&path, message);
        }
    }
}

/// What the owner of a Job says of its labels; those of Podium find its runs.
pub(super) fn refuse_own_labels(
    job: &tuning_job::JobTemplate,
    path: &str,
    problems: &mut Problems,
) {
    let labels = job
        .metadata
        .iter()
        .flat_map(|metadata| metadata.labels.keys());
    for label in labels.filter(|label| label.starts_with("podium.dev/")) {
        let message = format!("must not hold `{label}`: labels of `podium.dev/` are Podium's own");
        problems.add(&format!("{path}.metadata.labels"), message);
    }
}

/// The Job's specification as it was written.
#[must_use]
pub fn job_spec(job: &tuning_job::JobTemplate) -> Map<String, Value> {
    let mut spec = job.other.clone();
    spec.insert(
        "template".to_string(),
        Value::Object(job.template.0.clone()),
    );
    spec
}

/// The pod template that the Job template at `path` holds.
///
/// # Errors
/// The first field of a wrong type, with its path.
pub(super) fn pod_template(
    job: &tuning_job::JobTemplate,
    path: &str,
) -> Result<PodTemplateSpec, Vec<SpecProblem>> {
    let template = serde_json::Value::Object(job.template.0.clone());
    serde_path_to_error::deserialize(template).map_err(|error| {
        let field = format!("{path}.template.{}", error.path());
        let message = format!("does not fit a pod template: {}", error.inner());
        vec![SpecProblem::new(field, message)]
    })
}

fn failure_action(given: FailureActionSpec) -> FailureAction {
    match given {
        FailureActionSpec::Infeasible => FailureAction::Infeasible,
        FailureActionSpec::Fail => FailureAction::Fail,
        FailureActionSpec::Retry => FailureAction::Retry,
    }
}
