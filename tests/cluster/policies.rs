//! Policies in a cluster, on a real MLflow whose own client is the witness.

use crate::bed::manifests::{approval, champion_policy, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed};
use crate::looks::until_says;
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
    operator_with(bed, &[]).await
}

/// The same, started with further variables.
pub async fn operator_with(bed: &Bed, variables: &[(&'static str, &str)]) -> Operator {
    let mut operator = bed.dead_operator("a").await;
    let hosts = [("PODIUM_ALLOWED_HOSTS", "*=127.0.0.1")];
    for &(variable, value) in hosts.iter().chain(variables) {
        operator = operator.with(variable, value);
    }
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
    // MLflow with accounts takes a tenth of a second to check a password, and much longer where others work beside it.
    for _ in 0..2_400 {
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

/// The policy once the operator has looked again at all that it knows by now: its specification is changed, and its status follows.
pub async fn looked_at_again(bed: &Bed, reason: &str) -> ChampionPolicy {
    let before = bed.find::<ChampionPolicy>("fraud").await.unwrap();
    let patch = json!({"spec": {"pollSeconds": before.spec.poll_seconds + 1}}).to_string();
    bed.kubectl(&["patch", "chp", "fraud", "--type=merge", "-p", &patch])
        .unwrap();
    let what = format!("says {reason}, looked at again");
    until(bed, &what, |policy| {
        let status = policy.status.as_ref();
        let observed = status.and_then(|status| status.observed_generation);
        observed > before.metadata.generation
            && ready(policy).is_some_and(|(_, said)| said == reason)
    })
    .await
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

/// A policy that pins this version.
pub fn pinned(model: &str, version: &str) -> Value {
    let pin = json!({"version": version, "reason": "by a test"});
    with(policy(model), "pin", pin)
}

/// Waits until the pinned version is champion and nothing is left to do.
pub async fn until_pinned(bed: &Bed, version: &str) {
    let what = format!("has version {version} as champion");
    until(bed, &what, |policy| {
        champion(policy) == Some(version) && ready(policy) == Some(("True", "Pinned"))
    })
    .await;
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
        let way = MlflowWay::open(&mlflow.url, &operator).await;
        let moves = || {
            let writes = way.writes().into_iter();
            writes.filter(|write| write.moves("champion")).count()
        };
        bed.apply(&model_registry(&way.url));
        bed.wait(60, "the registry is ready", async || {
            let found = bed.find::<ModelRegistry>("mlflow").await;
            let status = found.and_then(|found| found.status).unwrap_or_default();
            status.server_version.as_deref() == Some("3.17.2")
        })
        .await;

        bed.apply(&pinned(&model, "1"));
        until_pinned(&bed, "1").await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
        assert_eq!(moves(), 1);
        let tags = mlflow.python(&format!(
            "print(client.get_model_version('{model}', '1').tags.get('podium.dev/evidence'))"
        ));
        assert_eq!(tags, "Pin");

        bed.apply(&pinned(&model, "2"));
        until_pinned(&bed, "2").await;
        assert_eq!(mlflow.alias(&model, "champion"), "2");
        assert_eq!(moves(), 2);
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
        assert_eq!(moves(), 2);
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
        bed.apply(&approval("yes", &pending, "ada"));
        until(&bed, "has a champion", |policy| {
            champion(policy) == Some("1")
        })
        .await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
        until_says::<Approval>(&bed, "yes", "Recorded").await;

        mlflow.point(&model, "challenger", "2");
        let held = until(&bed, "is held for its evidence", |policy| {
            ready(policy).is_some_and(|(_, reason)| reason == "EvidenceMissing")
        })
        .await;
        is_held_for_its_evidence(&held);
        assert_eq!(mlflow.alias(&model, "champion"), "1");
    });
}

/// Version 1 stays champion, and what is missing of version 2 is named. Rejecting a challenger is no failure of the policy.
fn is_held_for_its_evidence(policy: &ChampionPolicy) {
    assert_eq!(champion(policy), Some("1"));
    let status = policy.status.clone().unwrap();
    assert_eq!(status.phase.as_deref(), Some("Held"));
    assert_eq!(status.challenger.as_deref(), Some("2"));
    let condition = |kind: &str| {
        let found = status.conditions.iter().find(|c| c.type_ == kind);
        found.unwrap_or_else(|| panic!("{kind}: {status:#?}"))
    };
    for (kind, value) in [
        ("Ready", "True"),
        ("ChampionPresent", "True"),
        ("AliasInSync", "True"),
        ("EvidenceComplete", "False"),
        ("PromotionAllowed", "False"),
    ] {
        let found = condition(kind);
        assert_eq!(
            (found.status.as_str(), found.reason.as_str()),
            (value, "EvidenceMissing"),
            "{kind}"
        );
    }
    let said = &condition("EvidenceComplete").message;
    assert!(said.contains("v2"), "{said}");
    // Of champion and challenger, whichever is looked for first.
    let uris = ["1", "2"].map(|v| format!("s3://evaluation/fraud/{v}/predictions.parquet"));
    assert!(uris.iter().any(|uri| said.contains(uri)), "{said}");
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
pub fn told(bed: &Bed) -> String {
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
        until_pinned(&bed, "1").await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
        let managers = bed
            .kubectl(&["get", "chp", "fraud", "--show-managed-fields", "-o=yaml"])
            .unwrap();
        assert!(managers.contains("manager: podium-rollback"), "{managers}");

        let history = podium(&bed, &["history", "fraud"]);
        for part in ["First", "External", "Pin", "alerts", "v3 by ada"] {
            assert!(history.contains(part), "{part}: {history}");
        }
        for reason in ["ApprovalNeeded", "Promoted", "ChampionMoved", "Pinned"] {
            // It is told after the status is written.
            bed.wait(60, &format!("{reason} is told"), async || {
                told(&bed).contains(reason)
            })
            .await;
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

#[test]
fn no_step_of_a_move_waits_for_the_next_poll() {
    on_bed("policy-steps", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        for version in ["1", "2"] {
            bed.apply(&with(pinned(&model, version), "pollSeconds", json!(86_400)));
            until_pinned(&bed, version).await;
            assert_eq!(mlflow.alias(&model, "champion"), version);
        }
    });
}
