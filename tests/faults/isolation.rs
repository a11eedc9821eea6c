//! What is wrong with one search does not hold up another.

use crate::bed::manifests::{REPORT, search};
use crate::bed::oracle::nothing_ran_twice;
use crate::bed::{on_bed, phase, trial_phase};
use podium_api::Trial;
use serde_json::json;

#[test]
fn a_search_that_cannot_have_its_trials_holds_up_no_other() {
    on_bed("collision", async |bed| {
        let operator = bed.operator("a").await;
        let foreign_trial = json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "Trial", "metadata": {"name": "first-1"},
            "spec": {"index": 7, "parameters": {"rate": 0.5}, "seed": 1, "origin": "Somebody"},
        });
        bed.apply(&foreign_trial);
        bed.apply(&search("first", 2, 2, REPORT));
        bed.until("first", 30, "has a status", |job| job.status.is_some())
            .await;
        bed.apply(&search("second", 2, 2, REPORT));
        let second = bed.until_finished("second", 60).await;
        assert_eq!(phase(&second), Some("Succeeded"));
        let there: Trial = bed.find("first-1").await.unwrap();
        assert_eq!((there.spec.index, trial_phase(&there)), (7, "Pending"));
        bed.kubectl(&["delete", "trial", "first-1"]).unwrap();
        let first = bed.until_finished("first", 120).await;
        assert_eq!(phase(&first), Some("Succeeded"));
        assert_eq!(operator.way.deaths(), 0);
    });
}

#[test]
fn a_job_of_somebody_else_is_left_alone() {
    on_bed("foreign-job", async |bed| {
        let operator = bed.operator("a").await;
        let mut foreign = search("any", 1, 1, "exit 7")["spec"]["trial"]["job"].take();
        foreign["template"]["spec"]["restartPolicy"] = json!("Never");
        foreign["backoffLimit"] = json!(0);
        // It looks like one of a trial in all but its owner.
        let labels = json!({"podium.dev/trial": "first-1", "podium.dev/tuning-job": "first", "podium.dev/attempt": "1"});
        foreign["template"]["metadata"] = json!({"labels": labels});
        bed.apply(&json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "first-1-1", "labels": labels}, "spec": foreign,
        }));
        bed.apply(&search("first", 1, 1, REPORT));
        bed.until_trial("first", 1, "Queued").await;
        bed.kubectl(&["delete", "job", "first-1-1"]).unwrap();
        let first = bed.until_finished("first", 90).await;
        assert_eq!(phase(&first), Some("Succeeded"));
        assert_eq!(first.status.unwrap().trials.unwrap().retried, 0);
        nothing_ran_twice("first", 1, [&operator]);
    });
}
