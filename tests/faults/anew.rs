//! A search that is deleted and made anew under its name has nothing to do with what is left of the old one.

use crate::bed::gates::{gated_with, open};
use crate::bed::manifests::search;
use crate::bed::oracle::no_orphans;
use crate::bed::{on_bed, phase};
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

const OLD: &str = r#"echo '{"metrics": {"auc": 0.25}}' > /dev/termination-log"#;
const NEW: &str = r#"echo '{"metrics": {"auc": 0.75}}' > /dev/termination-log"#;

#[test]
fn a_search_made_anew_runs_all_of_its_own_trials() {
    on_bed("anew", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&gated_with(&bed, "forest", 3, 2, OLD));
        bed.until_trial("forest", 2, "Running").await;
        let old = bed.search("forest").await.unwrap().metadata.uid;
        bed.kubectl(&["delete", "tj", "forest", "--wait=false"])
            .unwrap();
        open(&bed, "all");
        bed.apply(&search("forest", 3, 2, NEW));
        let job = bed.until_finished("forest", 120).await;
        assert_ne!(job.metadata.uid, old);
        let objectives = bed.trials("forest").await;
        let objectives: Vec<_> = objectives
            .iter()
            .map(|trial| trial.status.as_ref().unwrap().objective)
            .collect();
        assert_eq!(objectives, [Some(0.75); 3]);
        let gone = async || {
            bed.api::<Job>()
                .list(&Default::default())
                .await
                .unwrap()
                .items
                .len()
                == 3
        };
        bed.wait(60, "nothing is left of the old search", gone)
            .await;
        no_orphans(&bed).await;
        assert!(operator.id().is_some());
    });
}

#[test]
fn a_run_of_an_old_trial_is_not_taken_for_that_of_a_new_one() {
    on_bed("old-run", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&gated_with(&bed, "forest", 1, 1, OLD));
        bed.until_trial("forest", 1, "Running").await;
        // Somebody else's finalizer keeps the old Job, and with it its pod.
        let keep = json!({"metadata": {"finalizers": ["podium.dev/kept-by-the-test"]}}).to_string();
        let patch = |patch: &str| {
            bed.kubectl(&["patch", "job", "forest-1-1", "--type=merge", "-p", patch])
                .unwrap()
        };
        patch(&keep);
        bed.kubectl(&["delete", "tj", "forest"]).unwrap();
        bed.apply(&search("forest", 1, 1, NEW));
        bed.until_trial("forest", 1, "Queued").await;
        // The old run ends while the new trial waits for its place.
        open(&bed, "all");
        let old_ended = async || {
            let of_old = ["get", "pods", "-o", "jsonpath={.items[*].status.phase}"];
            bed.kubectl(&of_old).unwrap() == "Succeeded"
        };
        bed.wait(30, "the old run has ended", old_ended).await;
        patch(r#"{"metadata": {"finalizers": null}}"#);
        let job = bed.until_finished("forest", 90).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        assert_eq!(job.status.unwrap().best.unwrap().objective, 0.75);
        assert!(operator.id().is_some());
    });
}
