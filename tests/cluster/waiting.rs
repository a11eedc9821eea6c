//! Everything that a trial can wait for: it is said on the trial and on its search, and heals without counting as a failure.

use crate::bed::manifests::{HANG, REPORT, SECOND_TIME_LUCKY, container_of, pod_of, search};
use crate::bed::{Bed, kubectl, on_bed, phase, phases, reason, trial_phase};
use crate::looks::{
    live_pods, patch, ready_message, states_written, status, stays, trial, trial_message,
    trial_reason, until_recorded, until_running, until_trial,
};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::EvictParams;
use podium_api::TuningJob;
use serde_json::{Value, json};

/// The first trial of `search` and the search itself say what is waited for; returns the trial's words.
async fn until_waiting(bed: &Bed, search: &str, because: &str) -> String {
    let waits = |trial: &podium_api::Trial| {
        (trial_phase(trial), trial_reason(trial).as_str()) == ("Queued", because)
    };
    let name = format!("{search}-1");
    let trial = until_trial(bed, &name, 60, &format!("waits: {because}"), waits).await;
    let is_held = because == "JobSuspended";
    let expected = if is_held { "Suspended" } else { "Running" };
    let said = |job: &TuningJob| (phase(job), reason(job)) == (Some(expected), Some(because));
    let what = format!("says {because}");
    bed.until(search, 60, &what, said).await;
    let message = trial_message(&trial);
    // The search quotes the first of its trials that wait, which may be another one for a moment.
    let quotes = |job: &TuningJob| ready_message(job).contains(&format!("{name}: {message}"));
    bed.until(search, 60, "quotes its trial", quotes).await;
    message
}

/// It went on to its end, and nothing of what it waited for counts.
async fn healed(bed: &Bed, search: &str) {
    let job = bed.until_finished(search, 120).await;
    assert_eq!(
        (phase(&job), reason(&job)),
        (Some("Succeeded"), Some("MaxTrialsReached"))
    );
    let counts = job.status.unwrap().trials.unwrap();
    assert_eq!((counts.failed, counts.retried), (0, 0));
}

/// A search of one trial whose image is nowhere.
fn without_an_image(name: &str) -> Value {
    let mut image = search(name, 1, 1, REPORT);
    // Nothing listens there, so that no network is needed to fail.
    container_of(&mut image)["image"] = json!("127.0.0.1:1/nothing:1");
    image
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_and_ends_at_the_queue_deadline() {
    on_bed("image", async |bed| {
        let operator = bed.operator("a").await;
        let mut image = without_an_image("image");
        image["spec"]["trial"]["queueDeadlineSeconds"] = json!(20);
        bed.apply(&image);
        let why = until_waiting(&bed, "image", "ImagePullFailed").await;
        assert!(why.contains("127.0.0.1:1/nothing:1"), "{why}");
        let job = bed.until_finished("image", 60).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Failed"), Some("NoSuccessfulTrial"))
        );
        let trial = trial(&bed, "image-1").await;
        assert_eq!(
            (trial_phase(&trial), trial_reason(&trial).as_str()),
            ("Failed", "QueueDeadlineExceeded")
        );
        let said = trial_message(&trial);
        assert!(
            said.contains("`trial.queueDeadlineSeconds` 20 (ImagePullFailed)"),
            "{said}"
        );
        assert!(said.contains("127.0.0.1:1/nothing:1"), "{said}");
        bed.wait(60, "its pod is gone", async || {
            live_pods(&bed).await.is_empty()
        })
        .await;
        // The kubelet words it differently from try to try; that is no news.
        let writes = operator.writes();
        let statuses = writes
            .iter()
            .filter(|write| write.resource == "trials/status");
        assert!(statuses.count() <= 3, "{writes:#?}");
    });
}

#[test]
fn pods_whose_time_is_over_before_their_image_came_wait_together() {
    on_bed("together", async |bed| {
        let _operator = bed.operator("a").await;
        let mut image = without_an_image("together");
        image["spec"]["trial"]["activeDeadlineSeconds"] = json!(4);
        image["spec"]["trial"]["queueDeadlineSeconds"] = json!(15);
        bed.apply(&image);
        bed.until_finished("together", 90).await;
        let trial = trial(&bed, "together-1").await;
        assert_eq!(
            (trial_phase(&trial), trial_reason(&trial).as_str()),
            ("Failed", "QueueDeadlineExceeded"),
            "{trial:#?}"
        );
        let attempts = trial.status.unwrap().attempts;
        assert!(attempts.len() > 1, "{attempts:#?}");
        assert!(attempts.iter().all(|attempt| attempt.start_time.is_none()));
    });
}

/// A label of the node that is gone again after the test, also after one that failed.
struct NodeLabel {
    node: String,
    key: String,
}

impl NodeLabel {
    fn of(bed: &Bed) -> Self {
        let node = kubectl(
            &["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"],
            None,
        )
        .unwrap();
        Self {
            node,
            key: format!("podium.dev/{}", bed.namespace),
        }
    }

    fn set(&self) {
        kubectl(
            &["label", "node", &self.node, &format!("{}=yes", self.key)],
            None,
        )
        .unwrap();
    }
}

impl Drop for NodeLabel {
    fn drop(&mut self) {
        let _ = kubectl(
            &["label", "node", &self.node, &format!("{}-", self.key)],
            None,
        );
    }
}

#[test]
fn a_pod_without_a_node_waits_until_there_is_one() {
    on_bed("node", async |bed| {
        let operator = bed.operator("a").await;
        let label = NodeLabel::of(&bed);
        let mut picky = search("picky", 2, 2, REPORT);
        pod_of(&mut picky)["nodeSelector"] = json!({&label.key: "yes"});
        bed.apply(&picky);
        let why = until_waiting(&bed, "picky", "Unschedulable").await;
        assert!(why.contains("0/1 nodes are available"), "{why}");
        // The second trial may have begun to wait just after the first one.
        bed.until("picky", 60, "counts both of them", |job| {
            let counts = job.status.clone().unwrap_or_default().trials;
            counts.is_some_and(|c| (c.queued, c.running, c.failed) == (2, 0, 0))
        })
        .await;
        label.set();
        healed(&bed, "picky").await;
        states_written(&operator, "picky");
    });
}

#[test]
fn a_quota_that_refuses_pods_is_quoted_and_waited_for() {
    on_bed("quota", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}},
        }));
        let counted = [
            "get",
            "resourcequota",
            "none",
            "-o",
            "jsonpath={.status.hard.pods}",
        ];
        bed.wait(60, "the quota holds", async || {
            bed.kubectl(&counted).is_ok_and(|hard| hard == "0")
        })
        .await;
        bed.apply(&search("full", 2, 2, REPORT));
        let why = until_waiting(&bed, "full", "PodRefused").await;
        assert!(
            why.contains("exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0"),
            "{why}"
        );
        bed.kubectl(&["delete", "resourcequota", "none"]).unwrap();
        healed(&bed, "full").await;
        let states = states_written(&operator, "full");
        let waited = ("Running".to_string(), "PodRefused".to_string());
        assert!(states.contains(&waited), "{states:?}");
    });
}

#[test]
fn a_quota_that_refuses_jobs_is_quoted_and_waited_for() {
    on_bed("jobquota", async |bed| {
        let _operator = bed.operator("a").await;
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}},
        }));
        let counted = [
            "get",
            "resourcequota",
            "none",
            "-o",
            "jsonpath={.status.hard}",
        ];
        bed.wait(60, "the quota holds", async || {
            bed.kubectl(&counted)
                .is_ok_and(|hard| hard.contains("jobs.batch"))
        })
        .await;
        bed.apply(&search("full", 1, 1, REPORT));
        let why = until_waiting(&bed, "full", "PodRefused").await;
        assert!(
            why.contains("exceeded quota: none, requested: count/jobs.batch=1"),
            "{why}"
        );
        bed.kubectl(&["delete", "resourcequota", "none"]).unwrap();
        healed(&bed, "full").await;
    });
}

#[test]
fn a_namespace_that_forbids_such_pods_is_quoted_and_waited_for() {
    on_bed("forbidden", async |bed| {
        let _operator = bed.operator("a").await;
        let label = "pod-security.kubernetes.io/enforce";
        kubectl(
            &[
                "label",
                "namespace",
                &bed.namespace,
                &format!("{label}=restricted"),
            ],
            None,
        )
        .unwrap();
        bed.apply(&search("forbidden", 1, 1, REPORT));
        let why = until_waiting(&bed, "forbidden", "PodRefused").await;
        assert!(
            why.contains("violates PodSecurity \"restricted:latest\"") && why.contains("hostPath"),
            "{why}"
        );
        kubectl(
            &["label", "namespace", &bed.namespace, &format!("{label}-")],
            None,
        )
        .unwrap();
        healed(&bed, "forbidden").await;
    });
}

#[test]
fn a_config_map_that_is_missing_is_named_and_waited_for() {
    on_bed("configmap", async |bed| {
        let _operator = bed.operator("a").await;
        let mut lacking = search("lacking", 1, 1, REPORT);
        container_of(&mut lacking)["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]);
        bed.apply(&lacking);
        let why = until_waiting(&bed, "lacking", "ContainerNotCreated").await;
        assert!(why.contains("configmap \"settings\" not found"), "{why}");
        bed.kubectl(&["create", "configmap", "settings", "--from-literal=a=b"])
            .unwrap();
        healed(&bed, "lacking").await;
    });
}

#[test]
fn a_suspended_job_waits_and_one_suspended_while_it_runs_begins_anew() {
    on_bed("held", async |bed| {
        let _operator = bed.operator("a").await;
        // A pod that starts before it is allowed to report runs until somebody ends it.
        let mut held = search(
            "held",
            1,
            1,
            &format!("[ \"$MAY_REPORT\" ] || {HANG}; {REPORT}"),
        );
        container_of(&mut held)["env"] = json!([{
            "name": "MAY_REPORT",
            "valueFrom": {"configMapKeyRef": {"name": "held", "key": "report", "optional": true}},
        }]);
        held["spec"]["trial"]["job"]["suspend"] = json!(true);
        bed.apply(&held);
        let suspend = |value: bool| {
            let patch = json!({"spec": {"suspend": value}}).to_string();
            bed.kubectl(&["patch", "job", "held-1-1", "--type=merge", "-p", &patch])
                .unwrap();
        };
        until_waiting(&bed, "held", "JobSuspended").await;
        suspend(false);
        until_running(&bed, "held-1").await;
        suspend(true);
        until_waiting(&bed, "held", "JobSuspended").await;
        bed.kubectl(&["create", "configmap", "held", "--from-literal=report=yes"])
            .unwrap();
        suspend(false);
        healed(&bed, "held").await;
        assert_eq!(status(&trial(&bed, "held-1").await).attempts.len(), 1);
    });
}

#[test]
fn a_volume_that_is_missing_is_named_and_stays_named() {
    on_bed("volume", async |bed| {
        let _operator = bed.operator("a").await;
        let mut volume = search("volume", 1, 1, REPORT);
        let missing = json!({"name": "settings", "configMap": {"name": "not-there"}});
        let pod = pod_of(&mut volume);
        pod["volumes"].as_array_mut().unwrap().push(missing);
        let mounts = container_of(&mut volume)["volumeMounts"].as_array_mut();
        let mount = json!({"name": "settings", "mountPath": "/settings"});
        mounts.unwrap().push(mount);
        bed.apply(&volume);
        let why = until_waiting(&bed, "volume", "ContainerNotCreated").await;
        assert!(why.contains("\"not-there\" not found"), "{why}");
        stays(20, "it stays named", async || {
            let trial = trial(&bed, "volume-1").await;
            trial_message(&trial).contains("\"not-there\" not found")
        })
        .await;
        bed.kubectl(&["create", "configmap", "not-there"]).unwrap();
        healed(&bed, "volume").await;
    });
}

#[test]
fn a_trial_whose_label_is_stripped_is_still_one_of_its_search() {
    on_bed("label", async |bed| {
        let _operator = bed.operator("a").await;
        bed.apply(&search("label", 2, 1, &format!("sleep 6; {REPORT}")));
        until_running(&bed, "label-1").await;
        bed.kubectl(&["label", "trial", "label-1", "podium.dev/tuning-job-"])
            .unwrap();
        healed(&bed, "label").await;
    });
}

#[test]
fn an_end_after_a_resume_has_an_event_of_its_own() {
    on_bed("resumed", async |bed| {
        let _operator = bed.operator("a").await;
        bed.apply(&search("resumed", 2, 2, REPORT));
        bed.until_finished("resumed", 60).await;
        patch(&bed, "resumed", json!({"maxTrials": 4}));
        let ended = |job: &TuningJob| {
            let counts = job
                .status
                .as_ref()
                .and_then(|status| status.trials.as_ref());
            phase(job) == Some("Succeeded") && counts.is_some_and(|counts| counts.total == 4)
        };
        bed.until("resumed", 60, "has ended again", ended).await;
        bed.wait(60, "both ends have their event", async || {
            let events = bed
                .kubectl(&[
                    "get",
                    "events",
                    "--field-selector=involvedObject.name=resumed,reason=MaxTrialsReached",
                    "-o",
                    "jsonpath={.items[*].message}",
                ])
                .unwrap();
            events.contains("2 trials ended") && events.contains("4 trials ended")
        })
        .await;
    });
}

#[test]
fn runs_that_somebody_takes_away_are_run_again_and_have_not_failed() {
    on_bed("taken", async |bed| {
        let _operator = bed.operator("a").await;
        let mut taken = search("taken", 3, 3, SECOND_TIME_LUCKY);
        taken["spec"]["maxFailedTrials"] = json!(0);
        bed.apply(&taken);
        let mut first = Vec::new();
        for index in 1..=3 {
            first.push(until_recorded(&bed, &format!("taken-{index}")).await);
        }
        bed.api::<Pod>()
            .evict(&first[0], &EvictParams::default())
            .await
            .unwrap();
        bed.kubectl(&["delete", "pod", &first[1], "--wait=false"])
            .unwrap();
        bed.kubectl(&["delete", "job", "taken-3-1", "--wait=false"])
            .unwrap();
        let job = bed.until_finished("taken", 120).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Succeeded"), Some("MaxTrialsReached"))
        );
        let counts = job.status.unwrap().trials.unwrap();
        assert_eq!((counts.succeeded, counts.failed, counts.retried), (3, 0, 3));
        for (trial, first) in bed.trials("taken").await.iter().zip(first) {
            let runs = status(trial).attempts;
            let lost = &runs[0];
            assert_eq!(
                (lost.number, lost.reason.as_deref()),
                (1, Some("InfrastructureLost"))
            );
            assert_eq!(lost.pod_name.as_ref(), Some(&first));
            let second = &runs[1];
            assert_eq!((second.number, second.reason.as_deref()), (2, None));
            let pod = second.pod_name.clone().unwrap();
            assert!(
                pod.starts_with(&format!("{}-2-", trial.metadata.name.as_ref().unwrap())),
                "{pod}"
            );
        }
        assert_eq!(phases(&bed.trials("taken").await).len(), 3);
        // What was lost leaves a trace for whoever wonders: the Jobs of both runs of an evicted pod.
        assert!(bed.find::<Job>("taken-1-1").await.is_some());
    });
}
