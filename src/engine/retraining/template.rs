//! Whether a search can be made of a policy's template. It is looked at when the policy is applied, and not at three in the morning: the
//! schema and the rules of a TuningJob, the conversion, the registry, and whether the world would take the search and a run of it.

use super::search_object;
use crate::admission::{self, Cause};
use crate::engine::pauses::{Generation, generation_of};
use crate::engine::search_settings::{self, SearchSettings};
use crate::engine::{Engine, trial_request};
use crate::ports::{Cluster, PortError, Ports, TrialRunner};
use kube::ResourceExt;
use podium_api::champion_policy::{ChampionPolicySpec, RetrainSpec};
use podium_api::convert::{below_template, read_object, search_of};
use podium_api::{ChampionPolicy, TuningJob};
use podium_core::problem::{SpecProblem, in_one_line};
use podium_core::retraining::{Fault, Occasion, Start, Unusable, search_name};
use podium_core::time::Timestamp;
use serde_json::json;
use std::sync::{Arc, PoisonError};

/// A refused template is asked about again after this time: what refuses it may have changed.
const REFUSED_AGAIN_SECONDS: u64 = 60;
/// What no search is started for, and what one is tried for that is not to be stored.
const TRIED: &str = "a dry run";
/// How admission begins to tell of a field that no schema knows.
const UNKNOWN_FIELD: &str = "strict decoding error: unknown field \"";

/// A template as it was last looked at.
#[derive(Debug)]
pub(in crate::engine) struct CheckedTemplate {
    made_of: Generation,
    template: Template,
}

/// What can be made of a template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// A search without a name of its own, if one can be made.
    pub(super) search: Option<Arc<TuningJob>>,
    /// Why none can be made.
    pub(super) unusable: Option<Unusable>,
    /// When to look again although the template did not change.
    pub(super) again_at: Option<Timestamp>,
}

impl Template {
    fn usable(search: TuningJob) -> Self {
        Self {
            search: Some(Arc::new(search)),
            unusable: None,
            again_at: None,
        }
    }

    fn unusable(fault: Fault, message: String, again_at: Option<Timestamp>) -> Self {
        Self {
            search: None,
            unusable: Some(Unusable { fault, message }),
            again_at,
        }
    }
}

impl<P: Ports> Engine<P> {
    /// What can be made of the template of a policy, as it was found once for its generation.
    ///
    /// # Errors
    /// A port is out of reach.
    pub(super) async fn template_of(
        &self,
        policy: &ChampionPolicy,
        retrain: &RetrainSpec,
        now: Timestamp,
    ) -> Result<Template, PortError> {
        let (name, made_of) = (policy.name_any(), generation_of(policy));
        let known = self.known_template(&name, &made_of, now);
        let template = match known {
            Some(template) => template,
            None => {
                let template = self.check_template(policy, retrain, now).await?;
                let mut templates = self
                    .templates
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let checked = CheckedTemplate {
                    made_of,
                    template: template.clone(),
                };
                templates.insert(name, checked);
                template
            }
        };
        // The registry may change without the template.
        let Some(search) = &template.search else {
            return Ok(template);
        };
        let problems = self.registration_problems(&search.spec).await;
        Ok(match problems.is_empty() {
            true => template,
            false => Template::unusable(Fault::Refused, said(&problems), None),
        })
    }

    fn known_template(&self, name: &str, made_of: &Generation, now: Timestamp) -> Option<Template> {
        let templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = templates.get(name)?;
        let is_due = known.template.again_at.is_some_and(|at| at <= now);
        (known.made_of == *made_of && !is_due).then(|| known.template.clone())
    }

    async fn check_template(
        &self,
        policy: &ChampionPolicy,
        retrain: &RetrainSpec,
        now: Timestamp,
    ) -> Result<Template, PortError> {
        let (name, spec, of) = (policy.name_any(), policy.spec.clone(), retrain.clone());
        let converted = self
            .ports
            .compute(move || convert(&name, &spec, &of))
            .await?;
        let (search, settings) = match converted {
            Ok(converted) => converted,
            Err(problems) => {
                return Ok(Template::unusable(Fault::Invalid, said(&problems), None));
            }
        };
        let unsupported = self.ports.unsupported(&search.spec);
        if !unsupported.is_empty() {
            return Ok(Template::unusable(Fault::Invalid, said(&unsupported), None));
        }
        let refused = match self.refusal(policy, &search, &settings).await? {
            Some(problem) => said(&[problem]),
            None => return Ok(Template::usable(search)),
        };
        let again_at = now.plus_seconds(REFUSED_AGAIN_SECONDS);
        Ok(Template::unusable(Fault::Refused, refused, Some(again_at)))
    }

    /// Why the world would not take a search as it is started, or a run of its first trial.
    async fn refusal(
        &self,
        policy: &ChampionPolicy,
        search: &TuningJob,
        settings: &SearchSettings,
    ) -> Result<Option<SpecProblem>, PortError> {
        let start = tried(&policy.name_any());
        let search = search_object(policy, search, &start);
        if let Some(why) = self.ports.cluster().dry_run(&search).await? {
            return Ok(Some(SpecProblem::new("", why)));
        }
        let first = trial_request::tried(&start.name);
        let request = trial_request::request(&search, &settings.trials, &first, 1, None);
        let why = self.ports.runner().dry_run(&request).await?;
        Ok(why.map(|why| SpecProblem::new("spec.trial.job", why)))
    }
}

/// What is tried in place of a search that is started.
fn tried(policy: &str) -> Start {
    let occasion = Occasion::RunNow(TRIED.to_string());
    Start {
        name: search_name(policy, &occasion),
        occasion,
    }
}

/// The search of a template with its settings, or all problems with their paths from the template. Pure.
fn convert(
    policy: &str,
    spec: &ChampionPolicySpec,
    retrain: &RetrainSpec,
) -> Result<(TuningJob, Arc<SearchSettings>), Vec<SpecProblem>> {
    let mut object = search_of(policy, spec, retrain)?;
    object["metadata"]["name"] = json!(tried(policy).name);
    let admitted = admission::admit(&object, None);
    let admitted = admitted.map_err(|causes| causes.iter().map(problem_of).collect::<Vec<_>>())?;
    let search: TuningJob = read_object(&admitted).map_err(|problem| vec![problem])?;
    match search_settings::convert(&search) {
        Ok(settings) => Ok((search, settings)),
        Err(problems) => Err(problems.to_vec()),
    }
}

/// What admission says, as a problem of a field.
fn problem_of(cause: &Cause) -> SpecProblem {
    let unknown = cause.message.strip_prefix(UNKNOWN_FIELD);
    match unknown.and_then(|rest| rest.strip_suffix('"')) {
        Some(field) => SpecProblem::new(field, "must be left out: a TuningJob has no such field"),
        None => SpecProblem::new(cause.path.clone(), cause.message.clone()),
    }
}

/// Problems of a search, in one line and with their paths in the policy.
fn said(problems: &[SpecProblem]) -> String {
    let problems: Vec<SpecProblem> = problems.iter().map(below_template).collect();
    in_one_line(&problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn problems(search: &Value) -> String {
        let spec: ChampionPolicySpec = serde_json::from_value(json!({
            "registryRef": {"name": "mlflow"}, "model": "fraud",
            "evidence": {"predictions": {"uri": "s3://a/$(version)", "columns": {"id": "i", "label": "l"}}},
            "retrain": {"schedule": "0 3 * * *", "tuningJobTemplate": {"spec": search}},
        }))
        .unwrap();
        let retrain = spec.retrain.as_ref().unwrap();
        let converted = convert("fraud", &spec, retrain);
        converted
            .err()
            .map_or_else(String::new, |problems| said(&problems))
    }

    fn search(change: impl FnOnce(&mut Value)) -> Value {
        let mut search = json!({
            "maxTrials": 2, "objective": {"direction": "Maximize", "metric": "auc"},
            "parameters": [{"name": "x", "real": {"min": 0, "max": 1}}],
            "trial": {
                "outputURI": "s3://a/$(PODIUM_TRIAL)",
                "job": {"template": {"spec": {"containers": [{"name": "train"}]}}},
            },
        });
        change(&mut search);
        search
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told_with_its_path_in_the_policy() {
        assert_eq!(problems(&search(|_| {})), "");
        let below = |rest: &str| format!("spec.retrain.tuningJobTemplate.spec.{rest}");
        for (changed, said) in [
            (
                search(|search| search["maxTrails"] = json!(3)),
                "maxTrails: must be left out: a TuningJob has no such field",
            ),
            (
                search(|search| search["maxTrials"] = json!(0)),
                "maxTrials: Invalid value: 0",
            ),
            (
                search(|search| search["parallelism"] = json!(3)),
                "parallelism: Invalid value",
            ),
            (
                search(|search| search["objective"] = Value::Null),
                "objective: Required value",
            ),
            (
                search(|search| search["trial"]["outputURI"] = json!("s3://a")),
                "trial.outputURI: must contain `$(PODIUM_TRIAL)`",
            ),
            (
                search(|search| search["earlyStopping"] = json!({"median": {}})),
                "earlyStopping: must be left out",
            ),
        ] {
            let problems = problems(&changed);
            assert!(problems.starts_with(&below(said)), "{said}: {problems}");
        }
    }
}
