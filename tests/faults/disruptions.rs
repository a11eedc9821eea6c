//! A pod is evicted, runs end while the operator is away or as it dies.

use crate::bed::gates::{gated, open};
use crate::bed::manifests::{HANG, REPORT, container_of, pod_of, search};
use crate::bed::oracle::created;
use crate::bed::way::{Cut, Moment};
use crate::bed::{Bed, kubectl, on_bed, phase, trial_phase};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{EvictParams, ListParams};
use kube::{Api, ResourceExt};
use podium_api::TuningJob;
use serde_json::json;

pub async fn pods(bed: &Bed) -> Vec<Pod> {
    let list = bed.api::<Pod>().list(&ListParams::default()).await;
    list.map(|list| list.items).unwrap_or_default()
}

pub fn succeeded_after_losses(job: &TuningJob, retried: i32) {
    assert_eq!(phase(job), Some("Succeeded"));
    let counts = job.status.as_ref().unwrap().trials.unwrap();
    assert_eq!(
        (counts.succeeded, counts.failed, counts.retried),
        (2, 0, retried)
    );
}

#[test]
fn an_evicted_trial_runs_again_and_has_not_failed() {
    on_bed("evicted", async |bed| {
        let operator = bed.operator("a").await;
        let mut search = gated(&bed, "forest", 2, 2);
        search["spec"]["maxFailedTrials"] = json!(0);
        bed.apply(&search);
        bed.until_trial("forest", 1, "Running").await;
        let of_first = |pod: &&Pod| pod.name_any().starts_with("forest-1-1-");
        let pods = pods(&bed).await;
        let pod = pods.iter().find(of_first).unwrap().name_any();
        let how = EvictParams::default();
        bed.api::<Pod>().evict(&pod, &how).await.unwrap();
        let again = async || created([&operator]).contains_key("jobs forest-1-2");
        bed.wait(60, "the trial runs again", again).await;
        open(&bed, "all");
        let job = bed.until_finished("forest", 90).await;
        succeeded_after_losses(&job, 1);
    });
}

/// More important pods than those of trials, for as long as a test lasts.
struct PriorityClass(String);

impl PriorityClass {
    fn make(bed: &Bed) -> Self {
        let name = bed.namespace.clone();
        bed.kubectl(&["create", "priorityclass", &name, "--value=1000"])
            .unwrap();
        Self(name)
    }
}

impl Drop for PriorityClass {
    fn drop(&mut self) {
        let _ = kubectl(&["delete", "priorityclass", &self.0], None);
    }
}

#[test]
fn a_preempted_trial_runs_again_and_has_not_failed() {
    on_bed("preempted", async |bed| {
        let operator = bed.operator("a").await;
        let nodes: Api<Node> = Api::all(bed.client.clone());
        let node = &nodes.list(&ListParams::default()).await.unwrap().items[0];
        let free = node.status.as_ref().unwrap().allocatable.as_ref().unwrap();
        // Whole cores, as a node without reservations has them; two such pods do not fit.
        let cores: u32 = free["cpu"].0.parse().unwrap();
        let most = json!({"requests": {"cpu": format!("{}m", cores * 600)}});
        let there = json!({"kubernetes.io/hostname": node.labels()["kubernetes.io/hostname"]});
        let mut forest = gated(&bed, "forest", 2, 1);
        forest["spec"]["maxFailedTrials"] = json!(0);
        container_of(&mut forest)["resources"] = most.clone();
        pod_of(&mut forest)["nodeSelector"] = there.clone();
        bed.apply(&forest);
        bed.until_trial("forest", 1, "Running").await;
        let class = PriorityClass::make(&bed);
        let mut important = pod_of(&mut search("unused", 1, 1, HANG)).clone();
        important["containers"][0]["resources"] = most;
        important["nodeSelector"] = there;
        important["priorityClassName"] = json!(class.0);
        bed.apply(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "important"}, "spec": important}));
        let again = async || created([&operator]).contains_key("jobs forest-1-2");
        bed.wait(60, "the trial runs again", again).await;
        bed.kubectl(&["delete", "pod", "important"]).unwrap();
        open(&bed, "all");
        let job = bed.until_finished("forest", 90).await;
        succeeded_after_losses(&job, 1);
    });
}

#[test]
fn results_that_came_while_the_operator_was_away_count() {
    on_bed("away", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&gated(&bed, "forest", 2, 2));
        bed.until_trial("forest", 2, "Running").await;
        operator.kill();
        open(&bed, "all");
        let ended = async || {
            let of_pods = ["get", "jobs", "-o", "jsonpath={.items[*].status.succeeded}"];
            bed.kubectl(&of_pods).unwrap() == "1 1"
        };
        bed.wait(60, "both runs have ended", ended).await;
        operator.start_again();
        let job = bed.until_finished("forest", 60).await;
        succeeded_after_losses(&job, 0);
    });
}

#[test]
fn a_run_that_was_being_stopped_when_the_operator_died_was_not_lost() {
    on_bed("stopped", async |bed| {
        let operator = bed.dead_operator("a").await;
        operator.way.cut(Cut::KillAt {
            life: Some(1),
            what: |r| r.is("DELETE", "jobs"),
            nth: 1,
            moment: Moment::AfterRequest,
        });
        operator.start_again();
        let mut search = gated(&bed, "forest", 2, 2);
        search["spec"]["objective"]["target"] = json!(0.0);
        bed.apply(&search);
        bed.until_trial("forest", 1, "Running").await;
        bed.until_trial("forest", 2, "Running").await;
        open(&bed, "1");
        let stopped = async || operator.way.deaths() == 1 && pods(&bed).await.len() == 1;
        bed.wait(60, "the run is stopped", stopped).await;
        operator.start_again();
        let job = bed.until_finished("forest", 60).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        let trials = bed.trials("forest").await;
        assert_eq!(trial_phase(&trials[1]), "StoppedEarly");
        let attempts = &trials[1].status.as_ref().unwrap().attempts;
        assert!(attempts.iter().all(|a| a.reason.is_none()), "{attempts:?}");
        let told = operator
            .writes()
            .into_iter()
            .filter(|r| r.is("POST", "events"));
        let told: Vec<_> = told.map(|r| r.text("/reason").to_string()).collect();
        assert!(!told.contains(&"TrialRetried".to_string()), "{told:?}");
    });
}

#[test]
fn a_trial_that_a_rule_runs_again_is_run_again_after_any_death() {
    on_bed("rule", async |bed| {
        let operator = bed.dead_operator("a").await;
        operator.way.cut(Cut::KillAt {
            life: None,
            what: |r| r.is("POST", "jobs"),
            nth: 1,
            moment: Moment::AfterRequest,
        });
        // The second run of each trial reports.
        let script = format!("case $HOSTNAME in *-1-?????) exit 75;; esac; {REPORT}");
        let mut search = search("forest", 2, 1, &script);
        search["spec"]["trial"]["failureRules"] =
            json!([{"when": "exitCode == 75", "action": "Retry"}]);
        search["spec"]["maxFailedTrials"] = json!(0);
        bed.apply(&search);
        let job = operator.kept_alive(bed.until_finished("forest", 120)).await;
        succeeded_after_losses(&job, 2);
        assert!(created([&operator]).values().all(|times| *times == 1));
        assert_eq!(operator.way.deaths(), 4);
    });
}
