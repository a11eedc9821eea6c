//! The story of a champion from its first day to a rollback: models and rows in a real object store, scored and compared by pods of a real
//! cluster, and a real MLflow whose own client is the witness.

use crate::bed::forests::{IMAGE, scoring, source, store_all};
use crate::bed::manifests::{approval, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::object_store::ObjectStore;
use crate::bed::{Bed, on_bed};
use crate::mlflow_registry::mlflow_registry;
use crate::policies::{champion, looked_at_again, operator_with, ready, until, waits_for_consent};
use podium_api::ChampionPolicy;
use podium_api::champion_policy::ChampionPolicyStatus;
use podium_operator::ports::ModelRegistry as _;
use serde_json::{Value, json};

/// A registered model as MLflow's own client sees it.
struct Witness {
    mlflow: Mlflow,
    model: String,
}

impl Witness {
    /// Three versions whose files lie in the object store, of which nobody is champion.
    fn of_new_model(bed: &Bed, store: &ObjectStore) -> Self {
        let (mlflow, model) = (Mlflow::of_testbed(), bed.namespace.clone());
        mlflow.python(&format!("client.create_registered_model('{model}')"));
        for version in ["1", "2", "3"] {
            let source = source(store, version);
            mlflow.python(&format!(
                "client.create_model_version('{model}', '{source}')"
            ));
        }
        Self { mlflow, model }
    }

    /// Points an alias at a version, as people do.
    fn point(&self, alias: &str, version: &str) {
        self.mlflow.point(&self.model, alias, version);
    }

    /// All aliases of the model.
    fn aliases(&self) -> Value {
        let model = &self.model;
        let printed = self.mlflow.python(&format!(
            "import json\nprint(json.dumps(client.get_registered_model('{model}').aliases))"
        ));
        serde_json::from_str(&printed).unwrap()
    }

    /// What a version that became champion tells of the evidence for it.
    fn evidence_of(&self, version: &str) -> String {
        let model = &self.model;
        self.mlflow.python(&format!(
            "print(client.get_model_version('{model}', '{version}').tags.get('podium.dev/evidence', ''))"
        ))
    }
}

/// Waits until the policy says that its champion is this version, for this reason.
async fn until_settled(bed: &Bed, version: &str, reason: &str) -> ChampionPolicyStatus {
    let what = format!("has version {version} as champion and says {reason}");
    let settled = |policy: &ChampionPolicy| {
        let status = policy.status.as_ref();
        let is_moving = status.is_some_and(|status| status.in_flight.is_some());
        !is_moving && champion(policy) == Some(version) && ready(policy) == Some(("True", reason))
    };
    until(bed, &what, settled).await.status.unwrap()
}

/// The last comparison has this verdict, and a sentence with these words in it.
fn was_judged(status: &ChampionPolicyStatus, verdict: &str, words: &[&str]) {
    let last = status.last_evaluation.as_ref();
    let last = last.unwrap_or_else(|| panic!("nothing was judged: {status:#?}"));
    let last = json!(last);
    assert_eq!(last["verdict"], verdict, "{last}");
    let sentence = last["sentence"].as_str().unwrap();
    for part in words {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
}

/// What kubectl shows of the policy is what people are told to look at.
fn is_shown(bed: &Bed, parts: &[&str]) {
    let shown = bed.kubectl(&["get", "championpolicies"]).unwrap();
    for part in parts {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn a_first_champion_by_consent_a_better_one_a_worse_one_and_a_rollback_by_hand() {
    on_bed("story", async |bed| {
        let store = ObjectStore::of_testbed(&bed);
        store_all(&bed, &store, false);
        let witness = Witness::of_new_model(&bed, &store);
        let _operator = operator_with(&bed, &[("PODIUM_IMAGE", IMAGE)]).await;
        bed.apply(&model_registry(&witness.mlflow.url));
        witness.point("challenger", "1");
        let mut policy = scoring(&store, "fraud", &witness.model, "predictions");
        policy["spec"]["pollSeconds"] = json!(10);
        bed.apply(&policy);

        // The first champion waits for consent.
        let waiting = until(&bed, "waits for consent", waits_for_consent).await;
        assert_eq!(witness.aliases(), json!({"challenger": "1"}));
        let pending = waiting.status.unwrap().pending_decision.unwrap();
        bed.apply(&approval("yes", &pending, "ada"));
        until_settled(&bed, "1", "UpToDate").await;
        assert_eq!(
            witness.aliases(),
            json!({"challenger": "1", "champion": "1"})
        );

        // A better one is scored, compared and promoted.
        witness.point("challenger", "2");
        let promoted = until_settled(&bed, "2", "UpToDate").await;
        let words = ["v2 raises ROC AUC by 0.0", "transactions", "Promoted."];
        was_judged(&promoted, "Superior", &words);
        is_shown(&bed, &["Superior", "v2 raises ROC AUC by 0.0"]);
        let all = json!({"challenger": "2", "champion": "2", "previous-champion": "1"});
        assert_eq!(witness.aliases(), all);
        assert!(!witness.evidence_of("2").is_empty());

        // A worse one is held, and a sentence says why.
        witness.point("challenger", "3");
        let held = until_settled(&bed, "2", "Inferior").await;
        assert_eq!(held.phase.as_deref(), Some("Held"));
        was_judged(&held, "Inferior", &["v3 lowers ROC AUC by 0.1", "Held."]);
        let all = json!({"challenger": "3", "champion": "2", "previous-champion": "1"});
        assert_eq!(witness.aliases(), all);
        let looks = held.holdouts.first().map(|holdout| holdout.looks);
        assert_eq!(looks, Some(2), "each comparison looked once");

        // Somebody goes back, and what has won on this evidence before does not come back by itself.
        witness.point("challenger", "2");
        until_settled(&bed, "2", "UpToDate").await;
        witness.point("champion", "1");
        until_settled(&bed, "1", "Refused").await;
        let stayed = looked_at_again(&bed, "Refused").await.status.unwrap();
        let causes = stayed.history.iter().map(|entry| entry.cause.as_str());
        let causes: Vec<&str> = causes.collect();
        assert_eq!(causes, ["External", "Promotion", "First"]);
        assert_eq!(witness.aliases()["champion"], "1");
        let registry = mlflow_registry(&witness.mlflow.url);
        let registers = registry.registers(&witness.model).await.unwrap();
        let looks = registers.keys().filter(|key| key.starts_with("look/"));
        assert_eq!(looks.count(), 2, "{registers:#?}");
    });
}
