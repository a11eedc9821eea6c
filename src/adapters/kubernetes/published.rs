//! The ConfigMap in which a champion is published: what is to be done with what stands there.

use crate::ports::Publication;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use podium_core::champion::ledger::bounded;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Names the policy whose champion stands in a ConfigMap; a name that is no value of a label is cut, and ends with its digest.
pub const CHAMPION_POLICY_LABEL: &str = "podium.dev/champion-policy";
/// Characters that the value of a label has at most.
const LABEL: usize = 63;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// It is what it is to be.
    Nothing,
    /// There is none.
    Create(Box<ConfigMap>),
    /// It is brought back by this merge patch.
    Change(Value),
    /// Somebody made it immutable as it is, so that another one takes its place.
    Replace(Box<ConfigMap>),
    /// It is somebody else's; whose.
    Leave(String),
}

/// The step from what stands there to what is to stand there.
pub(super) fn step(found: Option<&ConfigMap>, wanted: &Publication) -> Step {
    let Some(found) = found else {
        return Step::Create(Box::new(config_map(wanted)));
    };
    if !belongs_to(found, &wanted.owner.uid) {
        return Step::Leave(whose(found));
    }
    let is_same = found.data.as_ref() == Some(&wanted.data)
        && found.binary_data.as_ref().is_none_or(BTreeMap::is_empty);
    let is_labelled = found.labels().get(CHAMPION_POLICY_LABEL) == Some(&label(wanted));
    match (is_same, is_labelled) {
        (true, true) => Step::Nothing,
        (false, _) if found.immutable == Some(true) => Step::Replace(Box::new(config_map(wanted))),
        _ => Step::Change(change(found, wanted)),
    }
}

/// Whether the policy with this uid controls it.
pub(super) fn belongs_to(found: &ConfigMap, uid: &str) -> bool {
    controller(found).is_some_and(|owner| owner.uid == uid)
}

fn controller(found: &ConfigMap) -> Option<&OwnerReference> {
    let mut owners = found.owner_references().iter();
    owners.find(|owner| owner.controller == Some(true))
}

fn whose(found: &ConfigMap) -> String {
    match controller(found) {
        Some(owner) => format!(
            "belongs to another object, the {} `{}`,",
            owner.kind, owner.name
        ),
        None => "was not made by Podium for this policy".to_string(),
    }
}

fn label(wanted: &Publication) -> String {
    bounded(&wanted.owner.name, LABEL)
}

fn config_map(wanted: &Publication) -> ConfigMap {
    let labels = BTreeMap::from([(CHAMPION_POLICY_LABEL.to_string(), label(wanted))]);
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(wanted.name.clone()),
            labels: Some(labels),
            owner_references: Some(vec![wanted.owner.clone()]),
            ..ObjectMeta::default()
        },
        data: Some(wanted.data.clone()),
        ..ConfigMap::default()
    }
}

/// Keys that others added are removed: it is Podium's alone. Labels and annotations of others stay.
fn change(found: &ConfigMap, wanted: &Publication) -> Value {
    let there = found.data.iter().flatten();
    let gone = there.map(|(key, _)| (key.clone(), Value::Null));
    let data = wanted.data.iter();
    let data = data.map(|(key, value)| (key.clone(), json!(value)));
    let data: Map<String, Value> = gone.chain(data).collect();
    json!({
        // It reaches this very object as it was read, or nothing.
        "metadata": {
            "uid": found.uid(),
            "resourceVersion": found.resource_version(),
            "labels": {CHAMPION_POLICY_LABEL: label(wanted)},
        },
        "data": data,
        "binaryData": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Publication {
        let owner = json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy", "name": "fraud", "uid": "a",
            "controller": true,
        });
        Publication {
            name: "champion".to_string(),
            owner: serde_json::from_value(owner).unwrap(),
            data: BTreeMap::from([("version".to_string(), "2".to_string())]),
        }
    }

    /// What was made, as it is stored, after a change.
    fn stored(change: impl FnOnce(&mut ConfigMap)) -> ConfigMap {
        let mut stored = config_map(&wanted());
        stored.metadata.uid = Some("b".to_string());
        stored.metadata.resource_version = Some("7".to_string());
        change(&mut stored);
        stored
    }

    fn data(pairs: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(key, value)| ((*key).to_string(), (*value).to_string()));
        Some(pairs.collect())
    }

    #[test]
    fn what_is_right_is_not_written() {
        assert!(matches!(step(None, &wanted()), Step::Create(_)));
        let untouched = stored(|_| {});
        assert_eq!(step(Some(&untouched), &wanted()), Step::Nothing);
        let annotated = stored(|found| {
            let annotation = ("example.com/owner".to_string(), "team-a".to_string());
            found.metadata.annotations = Some(BTreeMap::from([annotation]));
            found.immutable = Some(true);
        });
        assert_eq!(step(Some(&annotated), &wanted()), Step::Nothing);
    }

    #[test]
    fn what_was_edited_is_brought_back() {
        let edited = stored(|found| found.data = data(&[("version", "1"), ("more", "x")]));
        let Step::Change(patch) = step(Some(&edited), &wanted()) else {
            panic!("it stays edited");
        };
        assert_eq!(patch["data"], json!({"version": "2", "more": null}));
        assert_eq!(patch["metadata"]["uid"], "b");
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(
            patch["metadata"]["labels"],
            json!({CHAMPION_POLICY_LABEL: "fraud"})
        );
        let emptied = stored(|found| found.data = None);
        assert!(matches!(step(Some(&emptied), &wanted()), Step::Change(_)));
        let unlabelled = stored(|found| found.metadata.labels = None);
        assert!(matches!(
            step(Some(&unlabelled), &wanted()),
            Step::Change(_)
        ));
        let frozen = stored(|found| {
            found.data = data(&[("version", "1")]);
            found.immutable = Some(true);
        });
        assert!(matches!(step(Some(&frozen), &wanted()), Step::Replace(_)));
    }

    #[test]
    fn what_is_somebody_elses_is_left_alone() {
        let nobodys = stored(|found| found.metadata.owner_references = None);
        let Step::Leave(whose) = step(Some(&nobodys), &wanted()) else {
            panic!("it is taken");
        };
        assert!(whose.contains("was not made by Podium"), "{whose}");
        // A policy that was made anew under its name is another one, and one that only belongs to it is not its own.
        let of_another = stored(|found| {
            for owner in found.metadata.owner_references.iter_mut().flatten() {
                owner.uid = "c".to_string();
            }
        });
        let Step::Leave(whose) = step(Some(&of_another), &wanted()) else {
            panic!("it is taken");
        };
        assert!(whose.contains("ChampionPolicy `fraud`"), "{whose}");
        let uncontrolled = stored(|found| {
            for owner in found.metadata.owner_references.iter_mut().flatten() {
                owner.controller = None;
            }
        });
        assert!(matches!(
            step(Some(&uncontrolled), &wanted()),
            Step::Leave(_)
        ));
    }

    #[test]
    fn a_name_that_is_no_label_is_cut() {
        let mut long = wanted();
        long.owner.name = "a".repeat(200);
        assert!(label(&long).len() <= LABEL);
        assert_eq!(label(&wanted()), "fraud");
    }
}
