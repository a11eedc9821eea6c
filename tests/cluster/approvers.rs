//! People who consent: the chart's role for them, its check of their names, and the commands of podium in their names.

use crate::bed::manifests::{approval, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::{Bed, on_bed};
use crate::ledger_of_model::make_model;
use crate::mlflow_registry::mlflow_registry;
use crate::of_chart::OfChart;
use crate::people::Person;
use crate::policies::{champion, operator_with, policy, until, waits_for_consent, with};
use podium_api::champion_policy::PendingDecisionStatus;
use podium_operator::ports::ModelRegistry as _;
use serde_json::json;

/// Somebody with the chart's roles `podium-approver`, and `podium-view` to see what is decided.
async fn approver(bed: &Bed, name: &'static str) -> Person {
    let person = Person::new(bed, name);
    let role = |of: &str| format!("{}-{of}", bed.namespace);
    let rights: [(String, (&str, &[&str])); 2] = [
        (role("view"), ("championpolicies", &["get"])),
        (role("approver"), ("approvals", &["create"])),
    ];
    for (role, right) in rights {
        person.is_bound(bed, ("ClusterRole", &role), right).await;
    }
    person
}

/// Whoever asked lacks the right.
fn is_forbidden(who: &str, asked: Result<String, String>) {
    let why = asked.unwrap_err();
    assert!(why.contains(&format!("User \"{who}\" cannot")), "{why}");
}

/// Waits until an Approval that names somebody else is refused, and nothing is stored to find out.
async fn until_names_are_checked(bed: &Bed, ada: &Person, decision: &PendingDecisionStatus) {
    let of_eve = approval("probe", decision, "eve").to_string();
    let create = ["create", "--dry-run=server", "-f", "-"];
    bed.wait(60, "the API server checks names", async || {
        let refused = ada.kubectl(&create, Some(&of_eve));
        refused.is_err_and(|why| why.contains("the name of who asks, ada"))
    })
    .await;
}

/// Who approves the policy by now, by the Approvals that are there.
fn approvers(bed: &Bed) -> String {
    let names = "-o=jsonpath={.items[*].spec.approver}";
    bed.kubectl(&["get", "approvals", names]).unwrap()
}

#[test]
fn two_approvers_of_the_chart_consent_in_their_own_names_and_do_nothing_else() {
    on_bed("approvers", async |bed| {
        let _chart = OfChart::installed(
            &bed,
            "aggregatedRoles.create=true,approvers.verify=true",
            &["clusterrole", "admissionpolicy"],
        );
        let (mlflow, model) = (Mlflow::of_testbed(), bed.namespace.clone());
        let registry = mlflow_registry(&mlflow.url);
        make_model(&registry, &model, 2, false).await;
        let challenger = registry.move_alias(&model, "challenger", None, Some("1"));
        challenger.await.unwrap();
        let _operator = operator_with(&bed, &[("PODIUM_APPROVERS_VERIFIED", "true")]).await;
        bed.apply(&model_registry(&mlflow.url));
        let promotion = json!({"firstChampion": "Approval", "approval": {"required": 2}});
        bed.apply(&with(policy(&model), "promotion", promotion));
        let waiting = until(&bed, "waits for consent", waits_for_consent).await;
        let pending = waiting.status.unwrap().pending_decision.unwrap();
        let ada = approver(&bed, "ada").await;
        let bob = approver(&bed, "bob").await;
        until_names_are_checked(&bed, &ada, &pending).await;

        let shown = "-o=jsonpath={.status.pendingDecision.id}";
        let shown = ada.kubectl(&["get", "championpolicy", "fraud", shown], None);
        assert_eq!(shown, Ok(pending.id.clone()));
        may_do_nothing_else(&ada, "ada", &pending);
        let stranger = Person::new(&bed, "mallory");
        is_forbidden("mallory", stranger.podium(&["approve", "fraud"]));

        let as_eve = ada.podium(&["approve", "fraud", "--as", "eve"]);
        let why = as_eve.unwrap_err();
        assert!(why.contains("the name of who asks, ada"), "{why}");
        assert_eq!(approvers(&bed), "");
        // Without a name it is that of the kubeconfig.
        let said = ada.podium(&["approve", "fraud"]).unwrap();
        assert!(said.contains("ada approves that v1 becomes"), "{said}");
        assert_eq!(approvers(&bed), "ada");
        let why = ada.podium(&["approve", "fraud"]).unwrap_err();
        assert!(why.contains("is there already"), "{why}");
        until(&bed, "counts one of two", |policy| {
            let status = policy.status.clone().unwrap_or_default();
            status.pending_decision.is_some_and(|p| p.approvals == 1)
        })
        .await;
        bob.podium(&["approve", "fraud", "--as", "bob"]).unwrap();
        until(&bed, "has a champion", |policy| {
            champion(policy) == Some("1")
        })
        .await;
        assert_eq!(mlflow.alias(&model, "champion"), "1");
    });
}

/// Neither with the policy, nor with consent that was given, nor with accounts, nor anywhere else.
fn may_do_nothing_else(ada: &Person, name: &str, decision: &PendingDecisionStatus) {
    let pin = r#"{"spec": {"pin": {"version": "2", "reason": "mine"}}}"#;
    let attempts: [&[&str]; 8] = [
        &["patch", "chp", "fraud", "--type=merge", "-p", pin],
        &[
            "patch",
            "chp",
            "fraud",
            "--subresource=status",
            "--type=merge",
            "-p",
            "{}",
        ],
        &["delete", "chp", "fraud"],
        &["delete", "approval", "of-somebody"],
        &["get", "secrets"],
        &["get", "chp", "--all-namespaces"],
        &["get", "chp", "-n", "default"],
        &["get", "approvals", "-n", "default"],
    ];
    for attempt in attempts {
        is_forbidden(name, ada.kubectl(attempt, None));
    }
    let elsewhere = approval("elsewhere", decision, name).to_string();
    let create = ["create", "-n", "default", "-f", "-"];
    is_forbidden(name, ada.kubectl(&create, Some(&elsewhere)));
    let rollback = ["rollback", "fraud", "--to", "2", "--reason", "mine"];
    is_forbidden(name, ada.podium(&rollback));
}
