//! People with rights of their own try to move an alias that is not theirs. What each of them may do is a Role, each attempt is made in
//! their name, and after each the champion is who it was: MLflow was not even asked to set an alias.

use crate::bed::manifests::{approval, model_registry, search};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_proxy::{self, Call, Fate};
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed};
use crate::ledger_of_model::make_model;
use crate::looks::{champion_in, until_says};
use crate::mlflow_registry::mlflow_registry;
use crate::people::Person;
use crate::policies::{
    looked_at_again, operator, operator_with, policy, until, waits_for_consent, with,
};
use podium_api::champion_policy::{ChampionPolicyStatus, PendingDecisionStatus};
use podium_api::{Approval, ChampionPolicy, Evaluation, ModelRegistry, TuningJob};
use podium_operator::ports::ModelRegistry as _;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A model with three versions, the first of which is the challenger, and an operator whose every request to set an alias is seen.
struct Scene {
    mlflow: Mlflow,
    model: String,
    operator: Operator,
    way: MlflowWay,
}

impl Scene {
    async fn of(bed: &Bed) -> Self {
        let (mlflow, model) = (Mlflow::of_testbed(), bed.namespace.clone());
        let registry = mlflow_registry(&mlflow.url);
        make_model(&registry, &model, 3, false).await;
        let challenger = registry.move_alias(&model, "challenger", None, Some("1"));
        challenger.await.unwrap();
        let operator = operator(bed).await;
        let way = MlflowWay::open(&mlflow.url, &operator).await;
        bed.apply(&model_registry(&way.url));
        Self {
            mlflow,
            model,
            operator,
            way,
        }
    }

    /// What the policy says once it was looked at again: its reason and its champion are these, as they were before, and nothing moves.
    async fn nothing_moved(&self, bed: &Bed, reason: &str, champion: &str) -> ChampionPolicyStatus {
        let status = looked_at_again(bed, reason).await.status.unwrap();
        assert_eq!(status.in_flight, None);
        let found = status.champion.as_ref().map(|found| found.version.as_str());
        assert_eq!(found.unwrap_or_default(), champion);
        assert_eq!(champion_in(&self.mlflow, &self.model).await, champion);
        let sets = self.way.writes().into_iter();
        let sets: Vec<Call> = sets
            .filter(|write| write.path == "registered-models/alias")
            .collect();
        assert!(sets.is_empty(), "{sets:?}");
        status
    }
}

#[test]
fn nobody_moves_an_alias_that_is_not_theirs() {
    on_bed("attackers", async |bed| {
        let scene = Scene::of(&bed).await;
        let model = scene.model.as_str();
        bed.apply(&policy(model));
        let waiting = until(&bed, "waits for consent", waits_for_consent).await;
        let overtaken = waiting.status.unwrap().pending_decision.unwrap();
        scene.mlflow.point(model, "champion", "2");
        let before = scene.nothing_moved(&bed, "EvidenceMissing", "2").await;
        assert_eq!(before.epoch, Some(1), "the epoch of the decision has ended");

        approves_an_epoch_that_ended(&bed, &overtaken).await;
        scene.nothing_moved(&bed, "EvidenceMissing", "2").await;
        registers_a_champion(&bed, model).await;
        scene.nothing_moved(&bed, "EvidenceMissing", "2").await;
        pins_beside_the_owner(&bed, model).await;
        scene.nothing_moved(&bed, "EvidenceMissing", "2").await;
        writes_a_verdict(&bed, model).await;
        let after = scene.nothing_moved(&bed, "EvidenceMissing", "2").await;
        assert_eq!(after.history, before.history);
        assert_eq!(scene.mlflow.alias(model, "champion"), "2");
    });
}

/// The decision was real: a move by hand was faster.
async fn approves_an_epoch_that_ended(bed: &Bed, decision: &PendingDecisionStatus) {
    let approver = Person::who_may(bed, "eve", &[("approvals", &["create"])]).await;
    approver.creates(&approval("late", decision, "eve"));
    until_says::<Approval>(bed, "late", "Recorded").await;
}

/// An author of searches has the winner registered as champion.
async fn registers_a_champion(bed: &Bed, model: &str) {
    let author = Person::who_may(bed, "author", &[("tuningjobs", &["create"])]).await;
    let mut crowned = search("crowned", 1, 1, "true");
    crowned["spec"]["register"] =
        json!({"registryRef": {"name": "mlflow"}, "model": model, "alias": "champion"});
    author.creates(&crowned);
    let said = until_says::<TuningJob>(bed, "crowned", "InvalidSpec").await;
    assert!(said.contains("spec.register"), "{said}");
    assert!(bed.trials("crowned").await.is_empty());
}

/// A policy that is younger than the owner of the alias pins what it likes, and would take the alias over as from a cluster that is gone.
async fn pins_beside_the_owner(bed: &Bed, model: &str) {
    let rival = Person::who_may(bed, "rival", &[("championpolicies", &["create"])]).await;
    let pin = json!({"version": "3", "reason": "mine"});
    let mut younger = with(policy(model), "pin", pin);
    younger["metadata"] = json!({"name": "younger", "annotations": {"podium.dev/take-over": "1"}});
    rival.creates(&younger);
    let said = until_says::<ChampionPolicy>(bed, "younger", "AliasOwnedByOther").await;
    assert!(said.contains("the policy `fraud`"), "{said}");
}

/// Somebody makes the comparison that the policy lacks, and its verdict.
async fn writes_a_verdict(bed: &Bed, model: &str) {
    let forger = Person::who_may(
        bed,
        "forger",
        &[
            ("evaluations", &["create", "get"]),
            ("evaluations/status", &["get", "patch"]),
        ],
    )
    .await;
    let file = |version: &str| json!({"version": version, "predictions": format!("s3://evaluation/fraud/{version}/predictions.parquet")});
    forger.creates(&json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "Evaluation", "metadata": {"name": "fraud-2-1"},
        "spec": {
            "policyRef": {"name": "fraud"}, "model": model, "champion": file("2"), "challenger": file("1"),
            "columns": {"id": "id", "label": "label", "score": "score"},
            "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
        },
    }));
    // The operator, which gives the conditions back, has seen the rest then.
    let forged = json!({"status": {
        "phase": "Compared", "verdict": "Superior", "sentence": "v1 is better.", "conditions": [],
        "look": {"number": 1, "ordinal": 1, "challengers": 1, "allowedError": 0.01},
    }});
    let forged = forged.to_string();
    let patch = ["patch", "evaluation", "fraud-2-1", "--subresource=status"];
    let patch = [&patch[..], &["--type=merge", "-p", &forged]].concat();
    forger.kubectl(&patch, None).unwrap();
    until_says::<Evaluation>(bed, "fraud-2-1", "NotAsked").await;
    let verdict = [
        "get",
        "evaluation",
        "fraud-2-1",
        "-o=jsonpath={.status.verdict}",
    ];
    assert_eq!(bed.kubectl(&verdict).unwrap(), "Superior");
}

#[test]
fn one_person_is_one_approver_of_the_decision_that_waits() {
    on_bed("attackers-twice", async |bed| {
        let mut scene = Scene::of(&bed).await;
        let promotion = json!({"firstChampion": "Approval", "approval": {"required": 2}});
        bed.apply(&with(policy(&scene.model), "promotion", promotion));
        // Whoever may create Approvals could be two people.
        until_says::<ChampionPolicy>(&bed, "fraud", "ApproversUnverified").await;
        scene.operator.kill();
        scene.operator = scene.operator.with("PODIUM_APPROVERS_VERIFIED", "true");
        scene.operator.start_again();
        let waiting = until(&bed, "waits for consent", waits_for_consent).await;
        let pending = waiting.status.unwrap().pending_decision.unwrap();

        let ada = Person::who_may(&bed, "ada", &[("approvals", &["create"])]).await;
        ada.creates(&approval("once", &pending, "ada"));
        ada.creates(&approval("twice", &pending, "ada"));
        ada.creates(&approval("thrice", &pending, " Ada"));
        let on_something_else = PendingDecisionStatus {
            evidence_digest: "0123456789abcdef".to_string(),
            ..pending.clone()
        };
        ada.creates(&approval("elsewhere", &on_something_else, "eve"));
        for name in ["once", "twice", "thrice", "elsewhere"] {
            until_says::<Approval>(&bed, name, "Recorded").await;
        }
        let heard = scene.nothing_moved(&bed, "ApprovalNeeded", "").await;
        let heard = heard.pending_decision.unwrap();
        assert_eq!((heard.id, heard.approvals), (pending.id.clone(), 1));

        // Who consents to one version has said nothing of another.
        scene.mlflow.point(&scene.model, "challenger", "2");
        let other = scene.nothing_moved(&bed, "ApprovalNeeded", "").await;
        let other = other.pending_decision.unwrap();
        assert_eq!((other.to.as_str(), other.approvals), ("2", 0));
        assert_ne!(other.id, pending.id);
        assert_eq!(scene.mlflow.alias(&scene.model, "champion"), "");
    });
}

#[test]
fn a_namespace_names_no_host_of_another_one() {
    on_bed("attackers-host", async |bed| {
        let (mlflow, model) = (Mlflow::of_testbed(), bed.namespace.clone());
        make_model(&mlflow_registry(&mlflow.url), &model, 2, true).await;
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        let url = mlflow_proxy::open(&mlflow.url, move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
            Fate::Pass
        })
        .await;
        let (_, port) = url.rsplit_once(':').unwrap();
        // The namespace may name any host but those that must be named, and of these one is another team's.
        let rules = format!("{}=*,team-of-others=127.0.0.1", bed.namespace);
        let _operator = operator_with(&bed, &[("PODIUM_ALLOWED_HOSTS", &rules)]).await;
        let tenant = Person::who_may(
            &bed,
            "tenant",
            &[
                ("modelregistries", &["create"]),
                ("championpolicies", &["create"]),
            ],
        )
        .await;
        for (name, host) in [
            ("mlflow", "127.0.0.1"),
            ("by-name", "localhost"),
            ("as-a-number", "2130706433"),
            ("mapped", "[::ffff:127.0.0.1]"),
        ] {
            let mut registry = model_registry(&format!("http://{host}:{port}"));
            registry["metadata"]["name"] = json!(name);
            tenant.creates(&registry);
            until_says::<ModelRegistry>(&bed, name, "HostNotAllowed").await;
        }
        let pin = json!({"version": "2", "reason": "mine"});
        tenant.creates(&with(policy(&model), "pin", pin));
        until_says::<ChampionPolicy>(&bed, "fraud", "HostNotAllowed").await;
        looked_at_again(&bed, "HostNotAllowed").await;
        assert_eq!(requests.load(Ordering::SeqCst), 0);
        assert_eq!(mlflow.alias(&model, "champion"), "1");
    });
}
