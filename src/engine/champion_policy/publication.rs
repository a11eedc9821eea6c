//! The champion in a ConfigMap, for deployments that follow it.
//!
//! It says where the alias points, once that is recorded, so that each of its versions tells of one epoch and followers are woken once:
//!
//! | the alias | what is published |
//! |---|---|
//! | is being moved, or was moved and is recorded next | what was |
//! | is where it was recorded | that version, and how it became champion |
//! | is elsewhere, and nothing is recorded until somebody does something | that version alone |
//! | points at a version that the registry does not have, or the registry was set back | what was |
//! | does not exist | nothing: the ConfigMap is deleted, so that nothing starts with a champion that is none any more |
//! | is anywhere, and this operator may not publish | nothing is touched, so nothing is known of what stands there |
//!
//! Whatever keeps it from being written is said by the condition `Published`, and stops nothing else.

use super::observe::Observed;
use crate::engine::pauses::{Generation, generation_of};
use crate::engine::{Engine, without_block};
use crate::ports::{Announcer, PortError, PortErrorKind, Ports, Publication, Published};
use kube::{Resource, ResourceExt};
use podium_api::ChampionPolicy;
use podium_api::champion_policy::{ChampionPolicySpec, ChampionPolicyStatus, ChampionStatus};
use podium_api::convert::settled_condition;
use podium_core::champion::{Phase, Plan, Reason, RegistryView};
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};
use std::collections::BTreeMap;

/// The condition that says what became of it.
pub(super) const PUBLISHED: &str = "Published";

/// What people can change so that what could not be published can be: the policy, or who is champion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Cause {
    policy: Generation,
    wanted: Wanted,
}

/// What is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// What was.
    AsItWas,
    /// Nothing that this operator could do; why.
    Disabled(&'static str),
    /// No champion.
    Nothing,
    /// This champion.
    Champion(BTreeMap<String, String>),
}

/// What is to be said of a publication, and when to try again.
pub(super) struct PublicationReport {
    pub(super) condition: Option<Condition>,
    pub(super) again_at: Option<Timestamp>,
}

impl<P: Ports> Engine<P> {
    /// Makes what is published what it should be.
    pub(super) async fn publish_champion(
        &self,
        object: &ChampionPolicy,
        observed: &Observed,
        plan: &Plan,
        now: Timestamp,
    ) -> PublicationReport {
        let none = ChampionPolicyStatus::default();
        let status = object.status.as_ref().unwrap_or(&none);
        let registry = observed.registry.as_ref();
        let wanted = match &object.spec.publish {
            // What was published before goes.
            None => Wanted::Nothing,
            Some(_) => {
                let disabled = self.ports.announcer().disabled();
                wanted(&object.spec, status, registry, plan, disabled)
            }
        };
        match wanted {
            Wanted::AsItWas => return as_it_was(status, None),
            Wanted::Disabled(why) => return disabled(why),
            Wanted::Nothing | Wanted::Champion(_) => {}
        }
        let name = object.name_any();
        let policy = generation_of(object);
        let cause = Cause { policy, wanted };
        if let Some(until) = self.publications.until(&name, &cause, now) {
            return as_it_was(status, Some(until));
        }
        let published = self.publish(object, &cause.wanted).await;
        match published {
            Ok(condition) => {
                self.publications.forget(&name);
                PublicationReport {
                    condition,
                    again_at: None,
                }
            }
            // Somebody changed it at once, and what became of that is looked at.
            Err(error) if error.kind == PortErrorKind::Conflict => {
                as_it_was(status, Some(self.publications.failed(&name, cause, now)))
            }
            Err(error) => PublicationReport {
                condition: Some(of_failure(&error)),
                again_at: Some(self.publications.failed(&name, cause, now)),
            },
        }
    }

    async fn publish(
        &self,
        object: &ChampionPolicy,
        wanted: &Wanted,
    ) -> Result<Option<Condition>, PortError> {
        let announcer = self.ports.announcer();
        let uid = object.uid().unwrap_or_default();
        let Some(publish) = &object.spec.publish else {
            announcer.withdraw(&uid, None).await?;
            return Ok(None);
        };
        let name = publish.config_map.name.as_str();
        let (Wanted::Champion(data), Some(owner)) = (wanted, object.controller_owner_ref(&()))
        else {
            announcer.withdraw(&uid, None).await?;
            let message = format!("there is no champion, so the ConfigMap `{name}` does not exist");
            return Ok(Some(said(Status::False, "NoChampion", message)));
        };
        let publication = Publication {
            name: name.to_string(),
            owner: without_block(owner),
            data: data.clone(),
        };
        match announcer.publish(&publication).await? {
            Published::Stands => {
                announcer.withdraw(&uid, Some(name)).await?;
                let message = format!("the champion stands in the ConfigMap `{name}`");
                Ok(Some(said(Status::True, "Published", message)))
            }
            Published::Foreign(whose) => {
                announcer.withdraw(&uid, None).await?;
                let message = format!(
                    "the ConfigMap `{name}` {whose} and was left alone; delete it, or let spec.publish.configMap name another one"
                );
                Ok(Some(said(Status::False, "ConfigMapNotOurs", message)))
            }
        }
    }
}

fn said(status: Status, reason: &str, message: String) -> Condition {
    Condition {
        kind: PUBLISHED,
        status,
        reason: reason.to_string(),
        message,
    }
}

fn of_failure(error: &PortError) -> Condition {
    let reason = error.reason.unwrap_or(match error.kind {
        PortErrorKind::Forbidden => "Forbidden",
        PortErrorKind::Unavailable | PortErrorKind::Conflict => "Unavailable",
        PortErrorKind::Refused | PortErrorKind::Invalid | PortErrorKind::Missing => "CannotPublish",
    });
    said(Status::False, reason, error.message.clone())
}

fn disabled(why: &str) -> PublicationReport {
    let message = format!("spec.publish: {why}; what was published before stays as it was");
    PublicationReport {
        condition: Some(said(Status::False, "PublishingDisabled", message)),
        again_at: None,
    }
}

/// Says what was said before.
fn as_it_was(status: &ChampionPolicyStatus, again_at: Option<Timestamp>) -> PublicationReport {
    let before = settled_condition(&status.conditions, PUBLISHED);
    let condition = before.map(|(value, reason, message)| {
        let value = match value {
            "True" => Status::True,
            _ => Status::False,
        };
        said(value, reason, message.to_string())
    });
    PublicationReport {
        condition,
        again_at,
    }
}

/// See the table of this module. `status` is what is stored, so that nothing is published that a crash could make undone; `disabled` is why
/// nothing may be published here.
fn wanted(
    spec: &ChampionPolicySpec,
    status: &ChampionPolicyStatus,
    registry: Option<&RegistryView>,
    plan: &Plan,
    disabled: Option<&'static str>,
) -> Wanted {
    if let Some(why) = disabled {
        return Wanted::Disabled(why);
    }
    let is_moving = status.in_flight.is_some() || plan.memory.in_flight.is_some();
    if is_moving || plan.reason == Reason::RegistrySetBack {
        return Wanted::AsItWas;
    }
    let alias = &spec.aliases.champion;
    let found = registry.and_then(|view| view.aliases.get(alias));
    let recorded = status.champion.as_ref();
    let is_recorded = recorded.map(|champion| &champion.version) == found;
    if !is_recorded && plan.phase != Phase::Blocked {
        return Wanted::AsItWas;
    }
    let Some(version) = found else {
        return Wanted::Nothing;
    };
    let known = registry.and_then(|view| view.versions.get(version));
    match known {
        None => Wanted::AsItWas,
        Some(known) => {
            let mut data = BTreeMap::from([
                ("version".to_string(), version.clone()),
                ("uri".to_string(), known.source.clone()),
                ("model".to_string(), spec.model.clone()),
                ("alias".to_string(), alias.clone()),
            ]);
            if let Some(champion) = recorded.filter(|_| is_recorded) {
                data.extend(history_of(champion));
            }
            Wanted::Champion(data)
        }
    }
}

/// How a version became champion. What is not known is left out.
fn history_of(champion: &ChampionStatus) -> impl Iterator<Item = (String, String)> {
    let known = [
        ("since", Some(champion.since.0.to_string())),
        ("decisionID", champion.decision_id.clone()),
        ("epoch", champion.epoch.map(|epoch| epoch.to_string())),
        ("digest", champion.evidence_digest.clone()),
    ];
    let known = known.into_iter();
    known.filter_map(|(key, value)| Some((key.to_string(), value?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::champion::{Memory, VersionView};
    use serde_json::{Value, json};

    fn spec() -> ChampionPolicySpec {
        serde_json::from_value(json!({
            "registryRef": {"name": "mlflow"}, "model": "fraud", "publish": {"configMap": {"name": "champion"}},
            "evidence": {"predictions": {"uri": "s3://a/$(version)", "columns": {"id": "i", "label": "l", "score": "s"}}},
        }))
        .unwrap()
    }

    fn status(champion: &str, more: &Value) -> ChampionPolicyStatus {
        let mut status = json!({});
        if !champion.is_empty() {
            status["champion"] = json!({
                "version": champion, "since": "2026-01-01T00:00:00Z", "decisionID": "abc", "origin": "Promoted",
                "epoch": 3, "evidenceDigest": "rows",
            });
        }
        for (field, value) in more.as_object().unwrap() {
            status[field] = value.clone();
        }
        serde_json::from_value(status).unwrap()
    }

    /// A registry of the versions 1 and 2 whose alias points at this one; empty for none.
    fn registry(champion: &str) -> RegistryView {
        let version = |name: &str| {
            let view = VersionView {
                source: format!("s3://models/{name}"),
                ..VersionView::default()
            };
            (name.to_string(), view)
        };
        let alias = ("champion".to_string(), champion.to_string());
        let aliases = [alias].into_iter();
        RegistryView {
            aliases: aliases.filter(|(_, version)| !version.is_empty()).collect(),
            versions: BTreeMap::from(["1", "2"].map(version)),
        }
    }

    fn plan_of(reason: Reason) -> Plan {
        Plan {
            actions: Vec::new(),
            memory: Memory::default(),
            phase: reason.phase(),
            reason,
            message: String::new(),
            pending: None,
            conclusion: None,
            closed: None,
            held_back: None,
            again: false,
            look_again_at: None,
        }
    }

    fn data(of: Wanted) -> BTreeMap<String, String> {
        match of {
            Wanted::Champion(data) => data,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_recorded_champion_is_published_with_how_it_became_one() {
        let status = status("2", &json!({}));
        let found = wanted(
            &spec(),
            &status,
            Some(&registry("2")),
            &plan_of(Reason::UpToDate),
            None,
        );
        let expected = [
            ("alias", "champion"),
            ("decisionID", "abc"),
            ("digest", "rows"),
            ("epoch", "3"),
            ("model", "fraud"),
            ("since", "2026-01-01T00:00:00Z"),
            ("uri", "s3://models/2"),
            ("version", "2"),
        ];
        let expected = expected.map(|(key, value)| (key.to_string(), value.to_string()));
        assert_eq!(data(found), BTreeMap::from(expected));
    }

    #[test]
    fn what_is_not_recorded_yet_is_not_published() {
        let of = |status: &ChampionPolicyStatus, alias: &str, reason: Reason| {
            let plan = plan_of(reason);
            wanted(&spec(), status, Some(&registry(alias)), &plan, None)
        };
        let at_rest = status("1", &json!({}));
        // Moved by hand, and recorded by the next plan.
        assert_eq!(of(&at_rest, "2", Reason::ChampionAdopted), Wanted::AsItWas);
        let in_flight = json!({"inFlight": {
            "decisionID": "abc", "epoch": 4, "cause": "Pin", "phase": "Applied", "from": "1", "to": "2",
            "sentence": "why", "since": "2026-01-01T00:00:00Z",
        }});
        let moving = status("1", &in_flight);
        for alias in ["1", "2"] {
            assert_eq!(of(&moving, alias, Reason::MovingAlias), Wanted::AsItWas);
        }
        assert_eq!(of(&at_rest, "1", Reason::RegistrySetBack), Wanted::AsItWas);
        // Such as one that was deleted, or that an older look at the registry does not have yet.
        let unknown = status("3", &json!({}));
        assert_eq!(of(&unknown, "3", Reason::VersionNotFound), Wanted::AsItWas);
    }

    #[test]
    fn a_policy_that_records_nothing_publishes_the_version_alone() {
        let status = status("1", &json!({}));
        let plan = plan_of(Reason::AliasOwnedByOther);
        let registry = registry("2");
        let found = data(wanted(&spec(), &status, Some(&registry), &plan, None));
        let keys: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(keys, ["alias", "model", "uri", "version"]);
        assert_eq!(found["version"], "2");
    }

    #[test]
    fn without_a_champion_nothing_is_published() {
        let none = status("", &json!({}));
        for (view, reason) in [
            (Some(registry("")), Reason::ApprovalNeeded),
            (Some(registry("")), Reason::ChampionRemoved),
            (None, Reason::ModelNotFound),
        ] {
            let found = wanted(&spec(), &none, view.as_ref(), &plan_of(reason), None);
            assert_eq!(found, Wanted::Nothing, "{reason:?}");
        }
    }

    #[test]
    fn who_may_not_publish_says_so_with_a_champion_and_without() {
        for (champion, reason) in [
            ("2", Reason::UpToDate),
            ("", Reason::ApprovalNeeded),
            ("2", Reason::RegistrySetBack),
        ] {
            let (status, registry) = (status(champion, &json!({})), registry(champion));
            let plan = plan_of(reason);
            let found = wanted(&spec(), &status, Some(&registry), &plan, Some("why"));
            assert_eq!(found, Wanted::Disabled("why"), "{reason:?}");
        }
        let condition = disabled("why").condition.unwrap();
        assert_eq!(condition.reason, "PublishingDisabled");
        assert!(!condition.message.contains("does not exist"));
    }

    #[test]
    fn what_was_said_is_said_again() {
        let said = json!({
            "type": "Published", "status": "False", "reason": "ConfigMapNotOurs", "message": "why",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let status = status("1", &json!({"conditions": [said]}));
        let condition = as_it_was(&status, None).condition.unwrap();
        assert_eq!(condition.status, Status::False);
        assert_eq!(
            (condition.reason.as_str(), condition.message.as_str()),
            ("ConfigMapNotOurs", "why")
        );
        assert!(
            as_it_was(&ChampionPolicyStatus::default(), None)
                .condition
                .is_none()
        );
    }
}
