//! Policies in a cluster, on a real MLflow whose own client is the witness.

use crate::bed::manifests::{champion_policy, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed};
use podium_api::{Approval, ChampionPolicy, ModelRegistry};
use serde_json::{Value, json};

/// A policy for `model` that polls often and takes the challenger by its alias.
pub fn policy(model: &str) -> Value {
    let mut policy = champion_policy("fraud", model);
    policy["spec"]["pollSeconds"] = json!(10);
    policy["spec"]["challengers"] = json!({"alias": {}});
    policy
}

/// An operator that may connect to this machine's MLflow.
pub async fn operator(bed: &Bed) -> Operator {
    let operator = bed.dead_operator("a").await;
    let operator = operator.with("PODIUM_ALLOWED_HOSTS", "*=127.0.0.1");
    operator.start_again();
    operator
}

/// Waits until the policy says so; what it says otherwise is in the message.
pub async fn until(
    bed: &Bed,
    what: &str,
    holds: impl Fn(&ChampionPolicy) -> bool,
) -> ChampionPolicy {
    let mut last = None;
    for _ in 0..600 {
        if let Some(policy) = bed.find::<ChampionPolicy>("fraud").await {
            if holds(&policy) {
                return policy;
            }
            last = Some(policy);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!(
        "waited in vain until the policy {what}: {:#?}",
        last.map(|policy| policy.status)
    );
}

/// Whether a decision waits for people.
pub fn waits_for_consent(policy: &ChampionPolicy) -> bool {
    let status = policy.status.as_ref();
    status.is_some_and(|status| status.pending_decision.is_some())
}

pub fn champion(policy: &ChampionPolicy) -> Option<&str> {
    let status = policy.status.as_ref()?;
    Some(status.champion.as_ref()?.version.as_str())
}

pub fn ready(policy: &ChampionPolicy) -> Option<(&str, &str)> {
    let conditions = &policy.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|c| c.type_ == "Ready")?;
    Some((ready.status.as_str(), ready.reason.as_str()))
}

pub fn with(mut policy: Value, pointer: &str, value: Value) -> Value {
    policy["spec"][pointer] = value;
    policy
}

#[test]
fn a_pin_moves_the_alias_once_and_a_move_by_hand_stays() {
    on_bed("policy-pin", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 3);
        let operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        bed.wait(60, "the registry is ready", async || {
            let found = bed.find::<ModelRegistry>("mlflow").await;
            let status = found.and_then(|found| found.status).unwrap_or_default();
            status.server_version.as_deref() == Some("3.17.2")
        })
        .await;

        let pinned = |version: &str| {
            let pin = json!({"version": version, "reason": "by a test"});
            with(policy(&model), "pin", pin)
        };
        bed.apply(&pinned("1"));
        until(&bed, "has version 1 as champion", |policy| {
            champion(policy) == Some("1") && ready(policy) == Some(("True", "Pinned"))
        })
        .await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
        let tags = mlflow.python(&format!(
            "print(client.get_model_version('{model}', '1').tags.get('podium.dev/evidence'))"
        ));
        assert_eq!(tags, "Pin");

        bed.apply(&pinned("2"));
        until(&bed, "has version 2 as champion", |policy| {
            champion(policy) == Some("2") && ready(policy) == Some(("True", "Pinned"))
        })
        .await;
        assert_eq!(mlflow.alias(&model, "champion"), "2");
        // Without the pin, what a person does stays.
        bed.kubectl(&[
            "patch",
            "chp",
            "fraud",
            "--type=json",
            "-p",
            r#"[{"op": "remove", "path": "/spec/pin"}]"#,
        ])
        .unwrap();
        mlflow.point(&model, "champion", "3");
        let adopted = until(&bed, "has adopted version 3", |policy| {
            champion(policy) == Some("3")
        })
        .await;
        let history = adopted.status.unwrap().history;
        let causes: Vec<&str> = history.iter().map(|entry| entry.cause.as_str()).collect();
        assert_eq!(causes, ["External", "Pin", "Pin"]);
        assert_eq!(mlflow.alias(&model, "champion"), "3");
        drop(operator);
    });
}

#[test]
fn a_first_champion_waits_for_consent_and_a_challenger_without_evidence_is_held() {
    on_bed("policy-first", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        mlflow.point(&model, "challenger", "1");
        bed.apply(&policy(&model));
        let waiting = until(&bed, "waits for consent", waits_for_consent).await;
        let pending = waiting.status.unwrap().pending_decision.unwrap();
        bed.apply(&json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "yes"},
            "spec": {
                "policyRef": {"name": "fraud"}, "decisionID": pending.id,
                "evidenceDigest": pending.evidence_digest, "verdict": "Approve", "approver": "ada",
            },
        }));
        until(&bed, "has a champion", |policy| {
            champion(policy) == Some("1")
        })
        .await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
        bed.wait(30, "the approval says that it is heard", async || {
            let approval = bed.find::<Approval>("yes").await.unwrap();
            let status = approval.status.unwrap_or_default();
            status.conditions.iter().any(|c| c.reason == "Recorded")
        })
        .await;

        mlflow.point(&model, "challenger", "2");
        let held = until(&bed, "is held for its evidence", |policy| {
            ready(policy).is_some_and(|(_, reason)| reason == "EvidenceMissing")
        })
        .await;
        assert_eq!(champion(&held), Some("1"));
    });
}

/// What a command of podium prints; it must end well.
fn podium(bed: &Bed, arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_podium"))
        .args(arguments)
        .args(["-n", &bed.namespace])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Reasons of the events about the policy.
fn told(bed: &Bed) -> String {
    let arguments = [
        "get",
        "events",
        "--field-selector=involvedObject.kind=ChampionPolicy",
    ];
    let reasons = "-o=jsonpath={range .items[*]}{.reason} {end}";
    bed.kubectl(&[&arguments[..], &[reasons]].concat()).unwrap()
}

#[test]
fn people_decide_by_the_commands_of_podium() {
    on_bed("policy-commands", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 3);
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        let point = |alias: &str, version: &str| mlflow.point(&model, alias, version);
        point("challenger", "3");
        bed.apply(&policy(&model));
        until(&bed, "waits for consent", waits_for_consent).await;
        podium(
            &bed,
            &["reject", "fraud", "--as", "ada", "--comment", "too young"],
        );
        until(&bed, "says that it was rejected", |policy| {
            ready(policy).is_some_and(|(_, reason)| reason == "Refused")
        })
        .await;
        point("challenger", "1");
        until(&bed, "waits for consent again", waits_for_consent).await;
        podium(&bed, &["approve", "fraud", "--as", "ada"]);
        until(&bed, "has version 1 as champion", |policy| {
            champion(policy) == Some("1")
        })
        .await;

        point("champion", "2");
        until(&bed, "has adopted version 2", |policy| {
            champion(policy) == Some("2")
        })
        .await;
        let printed = podium(
            &bed,
            &["rollback", "fraud", "--to", "v1", "--reason", "alerts"],
        );
        assert!(printed.contains("pinned v1"), "{printed}");
        until(&bed, "is pinned to version 1", |policy| {
            champion(policy) == Some("1") && ready(policy) == Some(("True", "Pinned"))
        })
        .await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
        let managers = bed
            .kubectl(&["get", "chp", "fraud", "--show-managed-fields", "-o=yaml"])
            .unwrap();
        assert!(managers.contains("manager: podium-rollback"), "{managers}");

        let history = podium(&bed, &["history", "fraud"]);
        for part in ["First", "External", "Pin", "alerts", "v3 by ada"] {
            assert!(history.contains(part), "{part}: {history}");
        }
        let told = told(&bed);
        for reason in ["ApprovalNeeded", "Promoted", "ChampionMoved", "Pinned"] {
            assert!(told.contains(reason), "{reason}: {told}");
        }
    });
}

#[test]
fn a_registry_that_cannot_be_used_names_what_mends_it() {
    on_bed("registry-wrong", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let _operator = operator(&bed).await;
        let secret = json!({"credentialsSecretRef": {"name": "nobody"}});
        let bundle = json!({"caBundleConfigMapRef": {"name": "nobody"}});
        let cases = [
            (
                "prefix",
                json!({"url": format!("{}/elsewhere", mlflow.url)}),
                "NotMLflow",
            ),
            (
                "closed",
                json!({"url": "http://127.0.0.1:9"}),
                "Unreachable",
            ),
            (
                "host",
                json!({"url": "http://169.254.169.254"}),
                "HostNotAllowed",
            ),
            (
                "secret",
                merged(json!({"url": mlflow.url}), secret),
                "ReferenceNotFound",
            ),
            (
                "bundle",
                merged(json!({"url": mlflow.url}), bundle),
                "ReferenceNotFound",
            ),
        ];
        for (name, spec, _) in &cases {
            bed.apply(&json!({
                "apiVersion": "podium.dev/v1alpha1", "kind": "ModelRegistry", "metadata": {"name": name},
                "spec": {"mlflow": spec},
            }));
        }
        for (name, _, reason) in &cases {
            let what = format!("{name} says {reason}");
            bed.wait(60, &what, async || {
                let found = bed.find::<ModelRegistry>(name).await.unwrap();
                let status = found.status.unwrap_or_default();
                let is_it = |kind: &str| {
                    status
                        .conditions
                        .iter()
                        .any(|c| c.type_ == kind && c.status == "False" && c.reason == *reason)
                };
                is_it("Ready")
            })
            .await;
        }
    });
}

fn merged(mut left: Value, right: Value) -> Value {
    for (key, value) in right.as_object().unwrap() {
        left[key] = value.clone();
    }
    left
}
