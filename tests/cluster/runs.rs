//! Which objects of a cluster are a run, what of it decides, and what is put into its Job.

use crate::bed::gates::{gated, open};
use crate::bed::manifests::{HANG, REPORT, container_of, pod_of, search};
use crate::bed::{Bed, on_bed, phase, reason, trial_phase};
use crate::looks::{
    live_pods, ready_message, status, stays, trial, trial_message, trial_reason, until_running,
    until_trial,
};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use podium_api::{Trial, TuningJob};
use serde_json::{Value, json};

async fn succeeded(bed: &Bed, name: &str) {
    let job = bed.until_finished(name, 120).await;
    assert_eq!(phase(&job), Some("Succeeded"), "{job:#?}");
}

#[test]
fn a_container_beside_the_named_one_neither_hides_nor_spoils_a_result() {
    on_bed("beside", async |bed| {
        let _operator = bed.operator("a").await;
        for (name, then) in [("goes-on", HANG), ("fails", "exit 3")] {
            let mut beside = search(name, 2, 2, REPORT);
            let mut other = container_of(&mut beside).clone();
            other["name"] = json!("proxy");
            other["command"][2] = json!(then);
            let containers = pod_of(&mut beside)["containers"].as_array_mut();
            containers.unwrap().push(other);
            bed.apply(&beside);
            succeeded(&bed, name).await;
            for trial in bed.trials(name).await {
                assert_eq!(trial_phase(&trial), "Succeeded", "{trial:#?}");
                assert!(status(&trial).objective.is_some());
            }
        }
        bed.wait(60, "no proxy goes on", async || {
            live_pods(&bed).await.is_empty()
        })
        .await;
    });
}

/// Somebody who may create pods gives one the labels of a trial.
#[test]
fn a_pod_of_somebody_else_decides_nothing() {
    on_bed("forged", async |bed| {
        let _operator = bed.operator("a").await;
        let mut slow = gated(&bed, "forged", 1, 1);
        bed.apply(&slow);
        until_running(&bed, "forged-1").await;
        let real: Job = bed.find("forged-1-1").await.unwrap();
        let report = "echo '{\"metrics\": {\"auc\": 77}}' > /dev/termination-log";
        container_of(&mut slow)["command"][2] = json!(report);
        let mut spec = pod_of(&mut slow).clone();
        spec["restartPolicy"] = json!("Never");
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "alike", "labels": real.labels(), "annotations": {"podium.dev/container": "train"}},
            "spec": spec,
        }));
        bed.wait(60, "a forged pod has ended", async || {
            let pod: Option<Pod> = bed.find("alike").await;
            let phase = pod.and_then(|pod| pod.status?.phase);
            phase.as_deref() == Some("Succeeded")
        })
        .await;
        // Not before there is a pod that could be taken for the trial's.
        open(&bed, "all");
        succeeded(&bed, "forged").await;
        let ended = trial(&bed, "forged-1").await;
        assert!(status(&ended).objective.unwrap() <= 1.0, "{ended:#?}");
        assert_eq!(status(&ended).attempts.len(), 1);
    });
}

#[test]
fn a_job_carries_its_own_labels_and_those_of_a_queue() {
    on_bed("labels", async |bed| {
        let _operator = bed.operator("a").await;
        let mut labelled = search("labels", 1, 1, HANG);
        labelled["metadata"]["labels"] =
            json!({"kueue.x-k8s.io/queue-name": "team-a", "team": "risk"});
        labelled["spec"]["trial"]["job"]["metadata"] =
            json!({"labels": {"team": "loans"}, "annotations": {"example.com/note": "kept"}});
        bed.apply(&labelled);
        until_running(&bed, "labels-1").await;
        let job: Job = bed.find("labels-1-1").await.unwrap();
        let label = |name: &str| job.labels().get(name).map(String::as_str);
        assert_eq!(label("kueue.x-k8s.io/queue-name"), Some("team-a"));
        assert_eq!(label("team"), Some("loans"));
        assert_eq!(label("podium.dev/trial"), Some("labels-1"));
        assert_eq!(
            job.annotations()
                .get("example.com/note")
                .map(String::as_str),
            Some("kept")
        );
        bed.kubectl(&["delete", "tuningjob", "labels"]).unwrap();
    });
}

/// The first trial of a search is held for `because` also when its queue deadline of twelve seconds is over.
async fn is_held(bed: &Bed, name: &str, because: &str) {
    let held =
        |trial: &Trial| (trial_phase(trial), trial_reason(trial).as_str()) == ("Queued", because);
    let first = format!("{name}-1");
    until_trial(bed, &first, 60, because, held).await;
    stays(14, "it is held", async || held(&trial(bed, &first).await)).await;
}

#[test]
fn what_a_queue_holds_has_no_deadline() {
    on_bed("held", async |bed| {
        let _operator = bed.operator("a").await;
        let held = |name: &str| {
            let mut held = search(name, 1, 1, REPORT);
            held["spec"]["trial"]["queueDeadlineSeconds"] = json!(12);
            held
        };
        let mut suspended = held("suspended");
        suspended["spec"]["trial"]["job"]["suspend"] = json!(true);
        bed.apply(&suspended);
        let mut gated = held("gated");
        pod_of(&mut gated)["schedulingGates"] = json!([{"name": "example.com/hold"}]);
        bed.apply(&gated);
        is_held(&bed, "suspended", "JobSuspended").await;
        is_held(&bed, "gated", "SchedulingGated").await;
        bed.kubectl(&[
            "patch",
            "job",
            "suspended-1-1",
            "--type=merge",
            "-p",
            r#"{"spec":{"suspend":false}}"#,
        ])
        .unwrap();
        let pods = live_pods(&bed).await;
        let pod = pods
            .iter()
            .find(|pod| pod.starts_with("gated-1-1"))
            .unwrap();
        bed.kubectl(&[
            "patch",
            "pod",
            pod,
            "--type=json",
            "-p",
            r#"[{"op":"remove","path":"/spec/schedulingGates"}]"#,
        ])
        .unwrap();
        succeeded(&bed, "suspended").await;
        succeeded(&bed, "gated").await;
    });
}

/// What somebody gets wrong in a search.
type Mistake = fn(&mut Value);

#[test]
fn a_misspelt_field_is_refused_by_its_path() {
    let mistakes: [(&str, Mistake, &str); 3] = [
        (
            "in-container",
            |search| container_of(search)["resourcess"] = json!({}),
            "resourcess",
        ),
        (
            "in-pod",
            |search| pod_of(search)["nodeSelectr"] = json!({}),
            "nodeSelectr",
        ),
        (
            "in-job",
            |search| search["spec"]["trial"]["job"]["complettions"] = json!(1),
            "complettions",
        ),
    ];
    on_bed("misspelt", async |bed| {
        let _operator = bed.operator("a").await;
        for (name, mistake, field) in mistakes {
            let mut misspelt = search(name, 1, 1, REPORT);
            mistake(&mut misspelt);
            bed.apply(&misspelt);
            let blocked = |job: &TuningJob| phase(job) == Some("Blocked");
            let job = bed.until(name, 60, "is blocked", blocked).await;
            let said = ready_message(&job);
            assert!(
                said.contains("unknown field") && said.contains(field),
                "{said}"
            );
            assert!(bed.trials(name).await.is_empty());
        }
    });
}

#[test]
fn results_beyond_the_record_fail_their_trials_and_end_their_search() {
    on_bed("beyond", async |bed| {
        let _operator = bed.operator("a").await;
        let report =
            |metrics: &str| format!("echo '{{\"metrics\": {metrics}}}' > /dev/termination-log");
        for (name, metrics, said) in [
            (
                "value",
                r#"{"auc": 3.4e38}"#.to_string(),
                "between -1e18 and 1e18",
            ),
            (
                "name",
                format!(r#"{{"auc": 0.5, "{}": 1}}"#, "m".repeat(260)),
                "at most 250 characters",
            ),
        ] {
            let mut beyond = search(name, 1, 1, &report(&metrics));
            beyond["spec"]["maxFailedTrials"] = json!(1);
            bed.apply(&beyond);
            let job = bed.until_finished(name, 60).await;
            assert_eq!(
                (phase(&job), reason(&job)),
                (Some("Failed"), Some("NoSuccessfulTrial")),
                "{job:#?}"
            );
            let ended = trial(&bed, &format!("{name}-1")).await;
            assert_eq!(trial_reason(&ended), "MetricsInvalid");
            assert!(trial_message(&ended).contains(said), "{ended:#?}");
        }
    });
}

#[test]
fn no_default_of_podium_contradicts_the_job_that_a_user_wrote() {
    on_bed("defaults", async |bed| {
        let _operator = bed.operator("a").await;
        let mut indexed = search("indexed", 1, 1, REPORT);
        let job = &mut indexed["spec"]["trial"]["job"];
        job["completionMode"] = json!("Indexed");
        job["completions"] = json!(2);
        job["parallelism"] = json!(2);
        job["backoffLimitPerIndex"] = json!(1);
        bed.apply(&indexed);
        let mut replaced = search("replaced", 1, 1, REPORT);
        replaced["spec"]["trial"]["job"]["podReplacementPolicy"] = json!("TerminatingOrFailed");
        bed.apply(&replaced);
        succeeded(&bed, "indexed").await;
        succeeded(&bed, "replaced").await;
    });
}

/// It passes the schema of an API server, whose client cannot read it.
/// A search with 130 maps in each other, which the API server takes.
fn nested(name: &str) -> Value {
    let mut nested = search(name, 1, 1, REPORT);
    let mut inner = json!("end");
    for _ in 0..130 {
        inner = json!({"a": inner});
    }
    pod_of(&mut nested)["nested"] = inner;
    nested
}

fn unreadable(name: &str) -> Value {
    let mut unreadable = search(name, 1, 1, REPORT);
    unreadable["spec"]["initialTrials"] = json!([{"rate": true}]);
    unreadable
}

#[test]
fn an_object_that_cannot_be_read_says_so_and_stops_nobody() {
    on_bed("unreadable", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&unreadable("bad"));
        bed.apply(&nested("nested"));
        let says_so = |job: &TuningJob| {
            phase(job) == Some("Blocked") && ready_message(job).contains("spec.initialTrials[0]")
        };
        let is_told = async || {
            let told = bed.kubectl(&[
                "get",
                "tuningjob",
                "bad",
                "-o",
                "jsonpath={.status.phase} {.status.conditions[*].message}",
            ]);
            told.is_ok_and(|told| {
                told.starts_with("Blocked ") && told.contains("spec.initialTrials[0]")
            })
        };
        bed.wait(60, "the bad search says so", is_told).await;
        bed.apply(&search("beside", 1, 1, REPORT));
        succeeded(&bed, "beside").await;
        operator.kill();
        operator.start_again();
        operator.until_ready(60).await;
        bed.apply(&search("later", 1, 1, REPORT));
        succeeded(&bed, "later").await;
        let corrected = search("bad", 1, 1, REPORT);
        bed.kubectl(&[
            "patch",
            "tuningjob",
            "bad",
            "--type=json",
            "-p",
            r#"[{"op":"remove","path":"/spec/initialTrials"}]"#,
        ])
        .unwrap();
        bed.apply(&corrected);
        succeeded(&bed, "bad").await;
        let healed = bed.search("bad").await.unwrap();
        assert!(!says_so(&healed), "{healed:#?}");
    });
}
