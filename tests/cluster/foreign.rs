//! What is not Podium's is left alone, also where it stands in the way.

use crate::bed::manifests::{REPORT, search};
use crate::bed::{on_bed, phase, trial_phase};
use crate::looks::{
    ready_message, states_written, status, stays, trial, trial_message, trial_reason, until_trial,
};
use k8s_openapi::api::batch::v1::Job;
use podium_api::{Trial, TuningJob};
use serde_json::json;

#[test]
fn a_job_of_somebody_else_under_a_trials_name_is_waited_for() {
    on_bed("job", async |bed| {
        let operator = bed.operator("a").await;
        // The second one even looks like a trial's.
        let report = "echo '{\"metrics\": {\"auc\": 77}}' > /dev/termination-log";
        let template = search("x", 1, 1, report)["spec"]["trial"]["job"]["template"].clone();
        for (name, labels) in [
            ("plain-1-1", json!({})),
            (
                "alike-1-1",
                json!({"podium.dev/trial": "alike-1", "podium.dev/attempt": "1"}),
            ),
        ] {
            let mut template = template.clone();
            template["spec"]["restartPolicy"] = json!("Never");
            template["metadata"] = json!({"labels": labels});
            bed.apply(&json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": {"template": template},
            }));
            bed.kubectl(&[
                "wait",
                "--for=condition=Complete",
                &format!("job/{name}"),
                "--timeout=60s",
            ])
            .unwrap();
        }
        for name in ["plain", "alike"] {
            bed.apply(&search(name, 1, 1, REPORT));
        }
        for name in ["plain", "alike"] {
            let trial = format!("{name}-1");
            let waits = |trial: &Trial| {
                trial_phase(trial) == "Queued" && trial_reason(trial) == "PodRefused"
            };
            let waiting = until_trial(&bed, &trial, 60, "waits", waits).await;
            let said = trial_message(&waiting);
            assert!(
                said.contains(&format!(
                    "the Job `{trial}-1` exists and belongs to something else"
                )),
                "{said}"
            );
            bed.kubectl(&["delete", "job", &format!("{trial}-1")])
                .unwrap();
            let job = bed.until_finished(name, 60).await;
            assert_eq!(phase(&job), Some("Succeeded"));
            let ended = self::trial(&bed, &trial).await;
            let objective = status(&ended).objective.unwrap();
            assert!(
                objective <= 1.0,
                "{objective} is the result of the foreign Job"
            );
            assert_eq!(status(&ended).attempts.len(), 1);
        }
        drop(operator);
    });
}

#[test]
fn a_foreign_job_survives_the_end_of_the_search_that_waits_for_its_name() {
    on_bed("survives", async |bed| {
        let _operator = bed.operator("a").await;
        let template =
            search("x", 1, 1, "exec sleep 600")["spec"]["trial"]["job"]["template"].clone();
        let labels = json!({"podium.dev/trial": "late-1", "podium.dev/attempt": "1"});
        let mut job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "late-1-1", "labels": labels}, "spec": {"template": template},
        });
        job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
        job["spec"]["template"]["metadata"] = json!({"labels": labels});
        bed.apply(&job);
        let mut late = search("late", 1, 1, REPORT);
        late["spec"]["activeDeadlineSeconds"] = json!(6);
        bed.apply(&late);
        let job = bed.until_finished("late", 60).await;
        assert_eq!(phase(&job), Some("Failed"));
        let foreign = bed
            .find::<Job>("late-1-1")
            .await
            .expect("it was not ours to delete");
        assert_eq!(foreign.metadata.deletion_timestamp, None);
    });
}

#[test]
fn a_trial_that_belongs_to_nobody_is_named_and_waited_for() {
    on_bed("trial", async |bed| {
        let operator = bed.operator("a").await;
        // What an earlier search of that name left when it was deleted without its trials.
        bed.apply(&search("taken", 1, 1, REPORT));
        bed.until_finished("taken", 60).await;
        // Not by `--cascade=orphan`: the garbage collector may not have seen the trial yet, and then deletes it all the same.
        let patch = r#"[{"op": "remove", "path": "/metadata/ownerReferences"}]"#;
        bed.kubectl(&["patch", "trial", "taken-1", "--type=json", "-p", patch])
            .unwrap();
        bed.kubectl(&["delete", "tj", "taken", "--timeout=60s"])
            .unwrap();
        operator.way.forget();
        bed.apply(&search("taken", 2, 2, REPORT));
        let named = |job: &TuningJob| {
            let says = "\"taken-1\" exists and belongs to something else";
            phase(job) == Some("Blocked") && ready_message(job).contains(says)
        };
        bed.until("taken", 60, "names what is in its way", named)
            .await;
        assert_eq!(bed.trials("taken").await.len(), 1);
        stays(5, "this is said once", async || {
            states_written(&operator, "taken").len() == 1 && operator.writes().len() <= 6
        })
        .await;
        bed.kubectl(&["delete", "trial", "taken-1"]).unwrap();
        let job = bed.until_finished("taken", 60).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        assert_eq!(job.status.unwrap().trials.unwrap().succeeded, 2);
    });
}

#[test]
fn what_admission_adds_to_a_job_or_its_pods_is_no_reason_to_write() {
    on_bed("defaults", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "defaults"},
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "200m", "memory": "64Mi"}, "defaultRequest": {"cpu": "10m"}}]},
        }));
        bed.apply(&search("limits", 2, 2, REPORT));
        let job = bed.until_finished("limits", 90).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        let about_jobs = || {
            let writes = operator.writes().into_iter();
            let of_jobs = writes.filter(|write| write.resource == "jobs");
            let mut asked: Vec<String> = of_jobs
                .map(|write| format!("{} {}", write.method, write.name))
                .collect();
            asked.sort();
            asked
        };
        stays(5, "each Job was written once", async || {
            about_jobs() == ["POST limits-1-1", "POST limits-2-1"]
        })
        .await;
    });
}
