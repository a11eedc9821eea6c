//! `ChampionPolicy.spec.retrain` to what the core plans with, and the search that its template describes.

use super::champion_policy::bad_schedule;
use super::schedule::Schedule;
use super::{Problems, count, join, seconds};
use crate::champion_policy::{
    Challengers as ChallengersSpec, ChampionPolicySpec, ConcurrencyPolicySpec, RetrainSpec,
    TuningJobMetadata, TuningJobTemplate,
};
use crate::{CHAMPION_POLICY_LABEL, GROUP, VERSION};
use podium_core::problem::SpecProblem;
use podium_core::retraining::{Concurrency, Retraining, label_of};
use serde_json::{Map, Value, json};

/// Where the template of a search stands in a policy.
const TEMPLATE: &str = "spec.retrain.tuningJobTemplate";

/// What a policy asks for, after conversion.
#[derive(Clone, Debug)]
pub struct RetrainingSettings {
    /// What the core plans with.
    pub retraining: Retraining,
    /// When it is due.
    pub schedule: Schedule,
}

pub(super) fn convert(
    retrain: &RetrainSpec,
    policy_suspended: bool,
    challengers: &ChallengersSpec,
    problems: &mut Problems,
) -> Option<RetrainingSettings> {
    // Every field is named, so that a new one does not compile until it is carried out or refused.
    let RetrainSpec {
        schedule: pattern,
        time_zone,
        suspend,
        starting_deadline_seconds,
        concurrency_policy,
        successful_history_limit,
        failed_history_limit,
        tuning_job_template: _, // see `search_of`
    } = retrain;
    if challengers.tuning_jobs.is_some() && *successful_history_limit == 0 {
        let message = "must be at least 1 with `challengers.tuningJobs`: a winner is a challenger as long as its search is there";
        problems.add("retrain.successfulHistoryLimit", message);
    }
    let schedule = match Schedule::parse(pattern, time_zone.as_deref()) {
        Ok(schedule) => schedule,
        Err(bad) => {
            bad_schedule(bad, "retrain", problems);
            return None;
        }
    };
    let zone = time_zone.as_deref().unwrap_or("UTC");
    let retraining = Retraining {
        policy_suspended,
        schedule_suspended: *suspend,
        schedule: format!("{pattern} {zone}"),
        concurrency: match concurrency_policy {
            ConcurrencyPolicySpec::Allow => Concurrency::Allow,
            ConcurrencyPolicySpec::Forbid => Concurrency::Forbid,
            ConcurrencyPolicySpec::Replace => Concurrency::Replace,
        },
        starting_deadline_seconds: starting_deadline_seconds.map(seconds),
        successful_history_limit: count(*successful_history_limit),
        failed_history_limit: count(*failed_history_limit),
    };
    Some(RetrainingSettings {
        retraining,
        schedule,
    })
}

/// What of a policy nobody carries out who ends when nothing is left to do, with paths from the object's root.
#[must_use]
pub fn needs_somebody_who_stays(spec: &ChampionPolicySpec) -> Vec<SpecProblem> {
    let mut problems = Vec::new();
    if spec.poll_seconds != 60 {
        let message = "must be left out here: `podium run` looks at the registry until nothing is left to do, and ends; `podium run --watch` polls it";
        problems.push(SpecProblem::new("spec.pollSeconds", message));
    }
    if spec.retrain.is_some() {
        let message = "must be left out here: `podium run` ends when nothing is left to do, so nobody would keep the schedule; `podium run --watch` keeps it";
        problems.push(SpecProblem::new("spec.retrain", message));
    }
    problems
}

/// The search that the template of the policy called `policy` describes, without a name: what `register` leaves out is the policy's.
///
/// # Errors
/// Why its winner would be no challenger of the policy, and other labels that the template may not hold; with paths from the template.
pub fn search_of(
    policy: &str,
    spec: &ChampionPolicySpec,
    retrain: &RetrainSpec,
) -> Result<Value, Vec<SpecProblem>> {
    let TuningJobTemplate { metadata, spec: of } = &retrain.tuning_job_template;
    let TuningJobMetadata {
        labels,
        annotations,
    } = metadata.clone().unwrap_or_default();
    let mut problems = Problems::default();
    for (field, given) in [("labels", &labels), ("annotations", &annotations)] {
        for key in given.keys().filter(|key| key.starts_with("podium.dev/")) {
            let message =
                format!("must not hold `{key}`: what begins with `podium.dev/` is Podium's own");
            problems.add(&format!("metadata.{field}"), message);
        }
    }
    let mut search = of.0.clone();
    register_as_challenger(&mut search, spec, &mut problems);
    let selector = spec.challengers.tuning_jobs.as_ref();
    for (label, value) in selector.iter().flat_map(|by| &by.selector.match_labels) {
        let is_own = label == CHAMPION_POLICY_LABEL && *value == label_of(policy);
        if !is_own && labels.get(label) != Some(value) {
            let message = format!(
                "must hold `{label}: {value}`, which `spec.challengers.tuningJobs.selector` asks for: the winner would be no challenger"
            );
            problems.add("metadata.labels", message);
        }
    }
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    Ok(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "TuningJob",
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": search,
    }))
}

/// Lets the winner become the challenger of the policy. What has another type than it must have is left to the schema.
fn register_as_challenger(
    search: &mut Map<String, Value>,
    policy: &ChampionPolicySpec,
    problems: &mut Problems,
) {
    let given = search.entry("register").or_insert(Value::Null);
    if given.is_null() {
        *given = json!({});
    }
    let Some(register) = given.as_object_mut() else {
        return;
    };
    for (field, path, wanted) in [
        (
            "registryRef",
            "spec.register.registryRef.name",
            json!({"name": policy.registry_ref.name}),
        ),
        ("model", "spec.register.model", json!(policy.model)),
        (
            "alias",
            "spec.register.alias",
            json!(policy.aliases.challenger),
        ),
    ] {
        match register.get(field) {
            None | Some(Value::Null) => drop(register.insert(field.to_string(), wanted)),
            Some(found) if *found == wanted => {}
            Some(_) => {
                let shown = wanted.get("name").unwrap_or(&wanted);
                let shown = shown.as_str().unwrap_or_default();
                let message = format!(
                    "must be `{shown}` or left out: the winner becomes the challenger of this policy"
                );
                problems.add(path, message);
            }
        }
    }
}

/// A problem of a search as one of the template that it is made of.
#[must_use]
pub fn below_template(problem: &SpecProblem) -> SpecProblem {
    SpecProblem::new(join(TEMPLATE, &problem.path), problem.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{World, policy};

    fn spec(change: impl FnOnce(&mut Value)) -> ChampionPolicySpec {
        let mut spec = json!({
            "registryRef": {"name": "mlflow"}, "model": "fraud",
            "evidence": {"predictions": {"uri": "s3://a/$(version)", "columns": {"id": "i", "label": "l"}}},
            "retrain": {
                "schedule": "0 3 * * *", "timeZone": "Europe/Berlin",
                "tuningJobTemplate": {"spec": {"maxTrials": 3}},
            },
        });
        change(&mut spec);
        serde_json::from_value(spec).unwrap()
    }

    fn search(spec: &ChampionPolicySpec) -> Result<Value, Vec<String>> {
        let retrain = spec.retrain.as_ref().unwrap();
        search_of("fraud", spec, retrain).map_err(|problems| {
            let problems = problems.iter().map(below_template);
            problems.map(|problem| problem.to_string()).collect()
        })
    }

    #[test]
    fn each_field_changes_what_is_planned_with() {
        let settings = |change: &dyn Fn(&mut Value)| {
            let spec = spec(|spec| change(spec));
            let settings = policy(&spec, World::Cluster).unwrap().retraining.unwrap();
            settings.retraining
        };
        let base = settings(&|_| {});
        assert_eq!(base.schedule, "0 3 * * * Europe/Berlin");
        for (field, value) in [
            ("schedule", json!("@hourly")),
            ("timeZone", json!("UTC")),
            ("suspend", json!(true)),
            ("startingDeadlineSeconds", json!(60)),
            ("concurrencyPolicy", json!("Allow")),
            ("successfulHistoryLimit", json!(1)),
            ("failedHistoryLimit", json!(2)),
        ] {
            let changed = settings(&|spec| spec["retrain"][field] = value.clone());
            assert_ne!(changed, base, "{field}");
        }
        assert!(settings(&|spec| spec["suspend"] = json!(true)).policy_suspended);
    }

    #[test]
    fn a_search_is_kept_as_long_as_its_winner_is_challenger_by_it() {
        let said = |challengers: Value, kept: u32| {
            let spec = spec(|spec| {
                spec["challengers"] = challengers;
                spec["retrain"]["successfulHistoryLimit"] = json!(kept);
            });
            let problems = policy(&spec, World::Cluster).err().unwrap_or_default();
            let paths = problems.iter().map(|problem| problem.path.clone());
            paths.collect::<Vec<_>>()
        };
        let by_search = json!({"tuningJobs": {"selector": {"matchLabels": {"team": "risk"}}}});
        let limit = "spec.retrain.successfulHistoryLimit";
        assert_eq!(said(by_search.clone(), 0), [limit]);
        assert!(said(by_search, 1).is_empty());
        assert!(said(json!({"alias": {}}), 0).is_empty());
    }

    #[test]
    fn what_register_leaves_out_is_the_policys() {
        let own =
            json!({"registryRef": {"name": "mlflow"}, "model": "fraud", "alias": "challenger"});
        let register = |register: Value| {
            let spec = spec(|spec| {
                spec["retrain"]["tuningJobTemplate"]["spec"]["register"] = register;
            });
            search(&spec).map(|search| search["spec"]["register"].clone())
        };
        assert_eq!(search(&spec(|_| {})).unwrap()["spec"]["register"], own);
        assert_eq!(register(Value::Null).unwrap(), own);
        assert_eq!(register(own.clone()).unwrap(), own);
        assert_eq!(register(json!({"refit": true})).unwrap()["refit"], true);
        let others = json!({"registryRef": {"name": "a"}, "model": "b", "alias": "champion"});
        let said = register(others).unwrap_err();
        let field = |path: &str, value: &str| {
            format!(
                "spec.retrain.tuningJobTemplate.spec.register.{path}: must be `{value}` or left out: the winner becomes the challenger of this policy"
            )
        };
        assert_eq!(
            said,
            [
                field("registryRef.name", "mlflow"),
                field("model", "fraud"),
                field("alias", "challenger"),
            ]
        );
    }

    #[test]
    fn labels_let_the_winner_be_found_and_are_not_podiums() {
        let labelled = |labels: Value| {
            search(&spec(|spec| {
                spec["challengers"] =
                    json!({"tuningJobs": {"selector": {"matchLabels": {"team": "risk"}}}});
                spec["retrain"]["tuningJobTemplate"]["metadata"] = json!({"labels": labels});
            }))
        };
        let made = labelled(json!({"team": "risk"})).unwrap();
        assert_eq!(made["metadata"]["labels"], json!({"team": "risk"}));
        let path = "spec.retrain.tuningJobTemplate.metadata.labels: must";
        for labels in [json!({}), json!({"team": "risk", "podium.dev/a": "b"})] {
            let said = labelled(labels).unwrap_err();
            assert!(said[0].starts_with(path), "{said:?}");
        }
        let own = search(&spec(|spec| {
            let labels = json!({CHAMPION_POLICY_LABEL: "fraud"});
            spec["challengers"] = json!({"tuningJobs": {"selector": {"matchLabels": labels}}});
        }));
        assert!(own.is_ok(), "{own:?}");
    }
}
