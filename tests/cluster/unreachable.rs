//! A policy whose registry does not answer any more: whoever deletes it, or its namespace, does not wait for the registry.

use crate::bed::manifests::model_registry;
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_proxy::{self, Fate};
use crate::bed::operator::Operator;
use crate::bed::{Bed, kubectl, on_bed};
use crate::ledger_of_model::make_model;
use crate::looks::champion_in;
use crate::mlflow_registry::mlflow_registry;
use crate::policies::{operator, pinned, until_pinned};
use podium_api::ChampionPolicy;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// A way to MLflow on which requests get no answer until it has an end.
struct Silence {
    url: String,
    is_kept: watch::Sender<bool>,
    held: Arc<AtomicUsize>,
    /// Requests to set an alias.
    sets: Arc<AtomicUsize>,
}

impl Silence {
    async fn before(mlflow: &Mlflow) -> Self {
        let (is_kept, heard) = watch::channel(false);
        let (held, sets) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (holds, sees) = (Arc::clone(&held), Arc::clone(&sets));
        let url = mlflow_proxy::open(&mlflow.url, move |call| {
            if call.is_write() && call.path == "registered-models/alias" {
                sees.fetch_add(1, Ordering::SeqCst);
            }
            if !*heard.borrow() {
                return Fate::Pass;
            }
            holds.fetch_add(1, Ordering::SeqCst);
            let mut heard = heard.clone();
            Fate::PassAfter(Box::pin(async move {
                let _ = heard.wait_for(|is_kept| !*is_kept).await;
            }))
        })
        .await;
        Self {
            url,
            is_kept,
            held,
            sets,
        }
    }

    /// Begins, and returns once the operator waits for an answer about what `change` asked for.
    async fn falls_over(&self, bed: &Bed, change: &serde_json::Value) {
        self.held.store(0, Ordering::SeqCst);
        self.is_kept.send_replace(true);
        bed.apply(change);
        bed.wait(60, "the operator waits for an answer", async || {
            self.held.load(Ordering::SeqCst) > 0
        })
        .await;
    }

    /// What waits for an answer gets it.
    fn ends(&self) {
        self.is_kept.send_replace(false);
    }
}

/// How often a policy was looked at to the end.
async fn looks(operator: &Operator) -> usize {
    let metrics = operator.get("metrics").await.unwrap_or_default();
    let of_policies = "podium_reconcile_total{kind=\"ChampionPolicy\",";
    let counts = metrics.lines().filter_map(|line| {
        let (_, count) = line.strip_prefix(of_policies)?.rsplit_once(' ')?;
        count.parse::<usize>().ok()
    });
    counts.sum()
}

#[test]
fn who_deletes_a_policy_does_not_wait_for_its_registry_and_no_alias_moves() {
    on_bed("silence", async |bed| {
        let (mlflow, model) = (Mlflow::of_testbed(), bed.namespace.clone());
        make_model(&mlflow_registry(&mlflow.url), &model, 2, true).await;
        let operator = operator(&bed).await;
        let silence = Silence::before(&mlflow).await;
        bed.apply(&model_registry(&silence.url));
        bed.apply(&pinned(&model, "1"));
        until_pinned(&bed, "1").await;

        silence.falls_over(&bed, &pinned(&model, "2")).await;
        let before = looks(&operator).await;
        let delete = ["delete", "championpolicy", "fraud", "--wait=false"];
        bed.kubectl(&delete).unwrap();
        // Whatever had to be done first, a finalizer, would keep it.
        let left = bed.api::<ChampionPolicy>().get_opt("fraud").await.unwrap();
        assert!(left.is_none(), "{left:#?}");
        // An answer that comes after all is about nothing.
        silence.ends();
        bed.wait(60, "the look has ended", async || {
            looks(&operator).await > before
        })
        .await;
        assert_eq!(silence.sets.load(Ordering::SeqCst), 0);
        assert_eq!(champion_in(&mlflow, &model).await, "1");

        silence.falls_over(&bed, &pinned(&model, "2")).await;
        let delete = ["delete", "namespace", &bed.namespace, "--timeout=180s"];
        kubectl(&delete, None).unwrap();
        operator.kill();
        silence.ends();
        assert_eq!(silence.sets.load(Ordering::SeqCst), 0);
        assert_eq!(mlflow.alias(&model, "champion"), "1");
    });
}
