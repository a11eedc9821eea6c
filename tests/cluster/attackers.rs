//! People with rights of their own try to move an alias, or to read an account, that is not theirs. None of them may create anything but
//! the objects of a kind in one namespace.

use crate::bed::manifests::model_registry;
use crate::bed::mlflow::Mlflow;
use crate::bed::{Bed, helm, kubectl, on_bed};
use crate::policies::{champion, operator, policy, ready, until, waits_for_consent, with};
use podium_api::{ChampionPolicy, ModelRegistry, TuningJob};
use serde_json::{Value, json};

/// Bytes that must be nowhere but in the Secret.
const CANARY: &str = "canary-of-a-password-7f3a";
/// The same as a Secret and as basic authentication show them.
const ENCODED: [&str; 2] = [
    "Y2FuYXJ5LW9mLWEtcGFzc3dvcmQtN2YzYQ==",
    "cG9kaXVtOmNhbmFyeS1vZi1hLXBhc3N3b3JkLTdmM2E=",
];

fn approval(name: &str, decision: &str, evidence: &str, approver: &str) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "Approval", "metadata": {"name": name},
        "spec": {
            "policyRef": {"name": "fraud"}, "decisionID": decision, "evidenceDigest": evidence,
            "verdict": "Approve", "approver": approver,
        },
    })
}

/// The reason of an object's condition `Ready`, once it is false.
async fn refused_for<K>(bed: &Bed, name: &str) -> Option<String>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize,
{
    let found = bed.find::<K>(name).await?;
    let conditions = serde_json::to_value(found).unwrap()["status"]["conditions"].clone();
    let conditions = conditions.as_array()?;
    let ready = conditions.iter().find(|c| c["type"] == "Ready")?;
    (ready["status"] == "False").then(|| ready["reason"].as_str().unwrap().to_string())
}

async fn until_refused<K>(bed: &Bed, name: &str, reason: &str)
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize,
{
    let what = format!("{name} is refused for {reason}");
    bed.wait(60, &what, async || {
        refused_for::<K>(bed, name).await.as_deref() == Some(reason)
    })
    .await;
}

#[test]
fn nobody_moves_an_alias_that_is_not_theirs() {
    on_bed("attackers", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 3);
        let operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        let point = |alias: &str, version: &str| mlflow.point(&model, alias, version);
        point("challenger", "1");
        let mut owner = policy(&model);
        owner["spec"]["promotion"] =
            json!({"firstChampion": "Approval", "approval": {"required": 2}});
        bed.apply(&owner);
        // Whoever may create Approvals could be two people.
        until_refused::<ChampionPolicy>(&bed, "fraud", "ApproversUnverified").await;
        operator.kill();
        let operator = operator.with("PODIUM_APPROVERS_VERIFIED", "true");
        operator.start_again();
        let waiting = until(&bed, "waits for consent", waits_for_consent).await;
        let pending = waiting.status.unwrap().pending_decision.unwrap();

        // One approver who approves twice, and somebody who approves what was decided at another time or on something else.
        bed.apply(&approval(
            "once",
            &pending.id,
            &pending.evidence_digest,
            "ada",
        ));
        bed.apply(&approval(
            "twice",
            &pending.id,
            &pending.evidence_digest,
            "ada",
        ));
        bed.apply(&approval(
            "older",
            "0123456789abcdef0123",
            &pending.evidence_digest,
            "bob",
        ));
        bed.apply(&approval("other", &pending.id, "0123456789abcdef", "eve"));
        let counted = until(&bed, "counts one of them", |policy| {
            let status = policy.status.clone().unwrap_or_default();
            status.pending_decision.is_some_and(|p| p.approvals == 1)
        })
        .await;
        assert_eq!(champion(&counted), None);

        // A policy that is younger than the owner of the alias pins what it likes.
        let mut younger = with(
            policy(&model),
            "pin",
            json!({"version": "3", "reason": "mine"}),
        );
        younger["metadata"]["name"] = json!("younger");
        bed.apply(&younger);
        until_refused::<ChampionPolicy>(&bed, "younger", "AliasOwnedByOther").await;

        // An author of searches registers the winner as champion.
        let mut search = crate::bed::manifests::search("crowned", 1, 1, "true");
        search["spec"]["register"] =
            json!({"registryRef": {"name": "mlflow"}, "model": model, "alias": "champion"});
        bed.apply(&search);
        until_refused::<TuningJob>(&bed, "crowned", "InvalidSpec").await;
        assert_eq!(mlflow.alias(&model, "champion"), "");
        assert_eq!(
            ready(&counted).map(|(_, reason)| reason),
            Some("ApprovalNeeded")
        );
    });
}

#[test]
fn an_approval_names_who_creates_it() {
    on_bed("attackers-name", async |bed| {
        let name = &bed.namespace;
        let policy = helm(&[
            "template",
            "podium",
            "charts/podium",
            "--namespace",
            name,
            "--set=approvers.verify=true",
            &format!("--set=fullnameOverride={name}"),
            "--show-only=templates/admissionpolicy.yaml",
        ])
        .unwrap();
        kubectl(&["apply", "-f", "-"], Some(&policy)).unwrap();
        let create = |object: &str, approver: &str| {
            let object = approval(object, "0123456789abcdef0123", "none", approver).to_string();
            let user = ["--as=ada", "--as-group=system:masters", "-n", name];
            kubectl(&[&["create", "-f", "-"], &user[..]].concat(), Some(&object))
        };
        let mut refused = String::new();
        bed.wait(60, "the policy is in force", async || {
            refused = create("of-eve", "eve").err().unwrap_or_default();
            let _ = bed.kubectl(&["delete", "approval", "of-eve", "--ignore-not-found"]);
            !refused.is_empty()
        })
        .await;
        assert!(refused.contains("the name of who asks, ada"), "{refused}");
        create("of-ada", "ada").unwrap();
        kubectl(&["delete", "-f", "-"], Some(&policy)).unwrap();
    });
}

#[test]
fn who_writes_the_verdict_of_a_comparison_moves_nothing() {
    on_bed("attackers-verdict", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        for (alias, version) in [("champion", "1"), ("challenger", "2")] {
            mlflow.point(&model, alias, version);
        }
        bed.apply(&policy(&model));
        let is_held = |policy: &ChampionPolicy| {
            ready(policy).is_some_and(|(_, reason)| reason == "EvidenceMissing")
        };
        until(&bed, "is held for its evidence", is_held).await;
        let file = |version: &str| json!({"version": version, "predictions": format!("s3://evaluation/fraud/{version}/predictions.parquet")});
        bed.apply(&json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "Evaluation", "metadata": {"name": "fraud-1-2"},
            "spec": {
                "policyRef": {"name": "fraud"}, "model": model, "champion": file("1"), "challenger": file("2"),
                "columns": {"id": "id", "label": "label", "score": "score"},
                "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
            },
        }));
        let verdict = json!({"status": {
            "phase": "Compared", "verdict": "Superior", "sentence": "v2 is better.",
            "look": {"number": 1, "ordinal": 1, "challengers": 1, "allowedError": 0.01},
        }});
        let verdict = verdict.to_string();
        let forge = ["patch", "evaluation", "fraud-1-2", "--subresource=status"];
        bed.kubectl(&[&forge[..], &["--type=merge", "-p", &verdict]].concat())
            .unwrap();
        let found = || bed.find::<ChampionPolicy>("fraud");
        // Longer than a poll.
        crate::looks::stays(15, "it is held", async || is_held(&found().await.unwrap())).await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
    });
}

#[test]
fn a_namespace_names_no_host_of_another_one() {
    on_bed("attackers-host", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let operator = bed.dead_operator("a").await;
        let operator = operator.with("PODIUM_ALLOWED_HOSTS", "team-of-others=127.0.0.1");
        operator.start_again();
        bed.apply(&model_registry(&mlflow.url));
        until_refused::<ModelRegistry>(&bed, "mlflow", "HostNotAllowed").await;
    });
}

#[test]
fn what_a_secret_holds_is_nowhere_else() {
    on_bed("attackers-secret", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        let operator = operator(&bed).await;
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "account"},
            "stringData": {"username": "podium", "password": CANARY},
        }));
        let account = |mut registry: Value, name: &str| {
            registry["metadata"]["name"] = json!(name);
            registry["spec"]["mlflow"]["credentialsSecretRef"] = json!({"name": "account"});
            registry
        };
        bed.apply(&account(model_registry(&mlflow.url), "mlflow"));
        // Where something goes wrong most is said.
        for (name, url) in [
            ("closed", "http://127.0.0.1:9".to_string()),
            ("prefix", format!("{}/elsewhere", mlflow.url)),
        ] {
            bed.apply(&account(model_registry(&url), name));
            bed.wait(60, "the registry cannot be used", async || {
                refused_for::<ModelRegistry>(&bed, name).await.is_some()
            })
            .await;
        }
        let pin = json!({"version": "1", "reason": "by a test"});
        bed.apply(&with(policy(&model), "pin", pin));
        until(&bed, "has a champion", |policy| {
            champion(policy) == Some("1")
        })
        .await;

        // A Secret without an account is named, and not quoted.
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "account"},
            "stringData": {"username": "", "password": CANARY, "token": CANARY},
        }));
        let kinds = "championpolicies,modelregistries,approvals,tuningjobs,trials,events,leases";
        let said = [
            bed.kubectl(&["get", kinds, "-o", "yaml"]).unwrap(),
            operator.log(),
            operator.get("metrics").await.unwrap(),
            mlflow.python(&format!(
                "print(client.get_registered_model('{model}'), [dict(v) for v in client.search_model_versions(\"name='{model}'\")])"
            )),
        ];
        for text in &said {
            assert!(!text.is_empty());
            for secret in [CANARY].iter().chain(&ENCODED) {
                assert!(!text.contains(secret), "{secret} stands in {text}");
            }
        }
    });
}
