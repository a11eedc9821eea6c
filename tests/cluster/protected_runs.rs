//! Whoever may make pods or Jobs decides a comparison by a pod that looks like its Job's. With the chart's policies for runs they do not,
//! and runs go on.

use crate::bed::manifests::{HANG, REPORT, script_job, search};
use crate::bed::{Bed, kubectl, on_bed, phase};
use crate::evidence::{
    Scene, account, comparison, jobs_of, on_scene, pod, predictions, until_comparison, until_policy,
};
use crate::looks::{trial_message, until_trial};
use crate::of_chart::OfChart;
use crate::people::Person;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use podium_api::{Evaluation, Trial};
use podium_operator::runs::evaluation_message::{Outcome, encode};
use podium_operator::runs::evaluation_runner::question_of;
use serde_json::{Value, json};

/// What a pod of somebody else says of a comparison.
const MADE_UP: &str = "so says somebody else";
/// The Secret that a comparison waits for, with its pod.
const LATER: &str = "comes-later";

/// What the chart's policies say.
const BY_THE_JOB_CONTROLLER: &str =
    "a pod with the label podium.dev/run is made by the Job controller alone";
const BY_PODIUM: &str =
    "a Job with the label podium.dev/run, on itself or its pods, is made by Podium alone";
const NO_OTHER_POD: &str =
    "the labels and annotations that say whose run a pod is stay as they were made";
const NO_OTHER_JOB: &str =
    "the labels and annotations that say whose run a Job is stay as they were made";
const NO_OTHER_CONTROLLER: &str =
    "a pod with the label podium.dev/run gets no other controller than that it was made with";
const NO_OTHER_IMAGE: &str = "no container is added to a pod of a run, and none gets another image";
const BY_NODES: &str = "what became of the containers of a run is said by nodes alone";
const NO_EXEC: &str = "nobody runs anything in a pod, or attaches to one, where runs of Podium are";

/// A pod with these labels that runs a script.
fn mk_pod(name: &str, labels: &Value, script: &str) -> Value {
    let mut spec = script_job(script)["template"]["spec"].clone();
    spec["restartPolicy"] = json!("Never");
    spec["containers"][0]["name"] = json!("evaluator");
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": {"name": name, "labels": labels, "annotations": {"podium.dev/container": "evaluator"}},
    })
}

/// The labels of a Job's pods, among them that by which its controller finds them.
fn labels_of_pods(job: &Job) -> Value {
    let template = &job.spec.as_ref().unwrap().template;
    json!(template.metadata.as_ref().unwrap().labels)
}

/// What belongs to this object names as its owner.
fn owned_by(object: &impl Resource<DynamicType = ()>) -> Value {
    let owner = object.controller_owner_ref(&()).unwrap();
    // Asking for more would need a right of its own.
    json!([OwnerReference {
        block_owner_deletion: None,
        ..owner
    }])
}

/// A script that says of this comparison what is not so.
fn making_up(evaluation: &Evaluation) -> String {
    let question = question_of(&evaluation.spec).unwrap();
    let message = encode(&question, &Outcome::Refused(MADE_UP.to_string()));
    format!("printf %s '{message}' > /dev/termination-log")
}

/// A comparison whose own pod finds no node, and its Job.
async fn comparison_without_a_node(bed: &Bed, scene: &Scene) -> (Evaluation, Job) {
    scene.put_both();
    let mut policy = scene.policy();
    pod(&mut policy)["nodeSelector"] = json!({"podium.dev/no-node": "has-this"});
    bed.apply(&policy);
    comparison_that_says(bed, "nodes are available").await
}

/// The comparison and its Job, once its pod is there and says what it waits for.
async fn comparison_that_says(bed: &Bed, words: &str) -> (Evaluation, Job) {
    until_comparison(bed, &format!("says {words}"), |status| {
        let said = status.message.as_deref().unwrap_or_default();
        said.contains(words)
    })
    .await;
    let evaluation = comparison(bed).await.unwrap();
    let jobs = jobs_of(bed, &evaluation.uid().unwrap()).await;
    (evaluation, jobs.into_iter().next().unwrap())
}

/// Somebody who may create pods and nothing else has one decide, on a node of its own choice: a Job that has one pod too many ends the one
/// that has none.
async fn decides(bed: &Bed, mut pod: Value) {
    let node = ["get", "nodes", "-o=jsonpath={.items[0].metadata.name}"];
    pod["spec"]["nodeName"] = json!(kubectl(&node, None).unwrap());
    let mallory = Person::who_may_in(bed, "", "mallory", &[("pods", &["create"])]).await;
    mallory.creates(&pod);
    until_policy(bed, "EvaluationFailed", MADE_UP).await;
}

#[test]
fn without_the_policies_a_copied_owner_reference_decides() {
    on_scene("copied", async |bed, scene| {
        let (evaluation, job) = comparison_without_a_node(bed, scene).await;
        let mut pod = mk_pod("copied", &labels_of_pods(&job), &making_up(&evaluation));
        pod["metadata"]["ownerReferences"] = owned_by(&job);
        decides(bed, pod).await;
    });
}

#[test]
fn without_the_policies_a_pod_that_the_job_controller_adopts_decides() {
    on_scene("adopted", async |bed, scene| {
        let (evaluation, job) = comparison_without_a_node(bed, scene).await;
        let pod = mk_pod("adopted", &labels_of_pods(&job), &making_up(&evaluation));
        decides(bed, pod).await;
    });
}

/// A comparison whose pod waits for a Secret, and what others who may do much would do with it.
struct Attack<'a> {
    bed: &'a Bed,
    evaluation: Evaluation,
    job: Job,
    /// The pod of this Job.
    own: String,
    /// May write pods and all parts of them.
    mallory: Person,
    /// May write Jobs.
    trent: Person,
}

impl<'a> Attack<'a> {
    async fn on(bed: &'a Bed, evaluation: Evaluation, job: Job) -> Self {
        let own = format!("-lpodium.dev/owner={}", evaluation.uid().unwrap());
        let name = "-o=jsonpath={.items[0].metadata.name}";
        let of_pods: [(&str, &[&str]); 4] = [
            ("pods", &["create", "get", "patch"]),
            ("pods/status", &["get", "patch"]),
            ("pods/ephemeralcontainers", &["get", "patch"]),
            ("pods/exec", &["create", "get"]),
        ];
        let of_jobs: [(&str, &[&str]); 1] = [("jobs", &["create", "get", "patch"])];
        Self {
            bed,
            own: bed.kubectl(&["get", "pods", &own, name]).unwrap(),
            evaluation,
            job,
            mallory: Person::who_may_in(bed, "", "mallory", &of_pods).await,
            trent: Person::who_may_in(bed, "batch", "trent", &of_jobs).await,
        }
    }

    /// Waits until each of the policies refuses something, for which nothing is stored.
    async fn until_refused(&self) {
        let pod = self.lookalike("probe").to_string();
        let job = mk_job("probe", true, false).to_string();
        let create = ["create", "--dry-run=server", "-f", "-"];
        self.bed
            .wait(60, "the policies are in force", async || {
                let attempts = [
                    (
                        self.mallory.kubectl(&create, Some(&pod)),
                        BY_THE_JOB_CONTROLLER,
                    ),
                    (self.trent.kubectl(&create, Some(&job)), BY_PODIUM),
                    (self.exec(), NO_EXEC),
                ];
                let mut attempts = attempts.into_iter();
                attempts.all(|(asked, words)| asked.is_err_and(|why| why.contains(words)))
            })
            .await;
    }

    /// A pod with all labels of the Job's.
    fn lookalike(&self, name: &str) -> Value {
        mk_pod(
            name,
            &labels_of_pods(&self.job),
            &making_up(&self.evaluation),
        )
    }

    fn exec(&self) -> Result<String, String> {
        self.mallory
            .kubectl(&["exec", &self.own, "--", "true"], None)
    }

    fn patches(&self, pod: &str, patch: &Value, options: &[&str]) -> Result<String, String> {
        let patch = patch.to_string();
        let arguments = ["patch", "pod", pod, "-p", &patch];
        self.mallory
            .kubectl(&[&arguments[..], options].concat(), None)
    }

    fn creates_no_pod(&self) {
        let labelled = self.lookalike("labelled");
        let mut copied = self.lookalike("copied");
        copied["metadata"]["ownerReferences"] = owned_by(&self.job);
        let create = ["create", "-f", "-"];
        for pod in [labelled, copied] {
            let asked = self.mallory.kubectl(&create, Some(&pod.to_string()));
            is_refused(asked, BY_THE_JOB_CONTROLLER);
        }
    }

    /// `older` has the labels of the run since before there were policies.
    fn makes_no_running_pod_its_own(&self, older: &str) {
        self.mallory.creates(&mk_pod("plain", &json!({}), HANG));
        let owners = owned_by(&self.job);
        let labels = labels_of_pods(&self.job);
        let both = json!({"metadata": {"labels": labels, "ownerReferences": owners}});
        is_refused(
            self.patches("plain", &both, &["--type=merge"]),
            NO_OTHER_POD,
        );
        let owned = json!({"metadata": {"ownerReferences": owners}});
        is_refused(
            self.patches(older, &owned, &["--type=merge"]),
            NO_OTHER_CONTROLLER,
        );
    }

    fn changes_nothing_of_its_pod(&self) {
        let image = json!({"name": "evaluator", "image": "podium.dev/testbed/pause:1"});
        let image = json!({"spec": {"containers": [image]}});
        is_refused(self.patches(&self.own, &image, &[]), NO_OTHER_IMAGE);
        let debug = ["debug", &self.own, "--image=podium.dev/testbed/pause:1"];
        is_refused(self.mallory.kubectl(&debug, None), NO_OTHER_IMAGE);
        is_refused(self.exec(), NO_EXEC);

        let question = question_of(&self.evaluation.spec).unwrap();
        let message = encode(&question, &Outcome::Refused(MADE_UP.to_string()));
        let ended = json!({
            "name": "evaluator", "image": "podium", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "message": message}},
        });
        let parts = [
            json!({"phase": "Succeeded", "containerStatuses": [ended]}),
            json!({"containerStatuses": [ended]}),
            json!({"initContainerStatuses": [ended]}),
            json!({"phase": "Succeeded"}),
        ];
        for part in parts {
            let status = json!({"status": part});
            let asked = self.patches(
                &self.own,
                &status,
                &["--subresource=status", "--type=merge"],
            );
            is_refused(asked, BY_NODES);
        }
    }

    fn makes_no_job(&self) {
        let create = ["create", "-f", "-"];
        for (name, is_labelled, has_labelled_pods) in
            [("labelled", true, false), ("pods-of-others", false, true)]
        {
            let job = mk_job(name, is_labelled, has_labelled_pods);
            let asked = self.trent.kubectl(&create, Some(&job.to_string()));
            is_refused(asked, BY_PODIUM);
        }
        self.trent.creates(&mk_job("plain", false, false));
        let labels = json!({"metadata": {"labels": {"podium.dev/run": "mine"}}});
        for patch in [labels.clone(), json!({"spec": {"template": labels}})] {
            let patch = patch.to_string();
            let patch = ["patch", "job", "plain", "--type=merge", "-p", &patch];
            is_refused(self.trent.kubectl(&patch, None), NO_OTHER_JOB);
        }
    }
}

/// A Job that is suspended, so that its template may be changed.
fn mk_job(name: &str, is_labelled: bool, has_labelled_pods: bool) -> Value {
    let labels = |is_labelled: bool| match is_labelled {
        true => json!({"podium.dev/run": "mine"}),
        false => json!({}),
    };
    let mut spec = script_job("true");
    spec["suspend"] = json!(true);
    spec["template"]["spec"]["restartPolicy"] = json!("Never");
    spec["template"]["metadata"] = json!({"labels": labels(has_labelled_pods)});
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "spec": spec,
        "metadata": {"name": name, "labels": labels(is_labelled)},
    })
}

fn is_refused(asked: Result<String, String>, words: &str) {
    let why = asked.unwrap_err();
    assert!(why.contains(words), "{why}\n{words}");
}

/// Kubernetes knows all fields that the policies read.
async fn are_well_typed(bed: &Bed) {
    for policy in ["pods-of-runs", "jobs-of-runs"] {
        let name = format!("{}-{policy}", bed.namespace);
        let seen =
            "-o=jsonpath={.status.observedGeneration} {.status.typeChecking.expressionWarnings}";
        let get = ["get", "validatingadmissionpolicy", &name, seen];
        let mut said = String::new();
        bed.wait(60, "the types of a policy are checked", async || {
            said = kubectl(&get, None).unwrap();
            said.starts_with('1')
        })
        .await;
        assert_eq!(said.trim(), "1", "{policy}");
    }
}

#[test]
fn with_the_policies_runs_end_by_their_own_pods_alone() {
    on_scene("protected", async |bed, scene| {
        scene.put("1", predictions(0.1, 900));
        scene.put("made", predictions(0.4, 900));
        let mut policy = scene.policy();
        policy["spec"]["evidence"]["scorer"] = scene.copying_scorer();
        policy["spec"]["evidence"]["store"]["credentialsSecretRef"] = json!({"name": LATER});
        bed.apply(&policy);
        let named = format!("secret \"{LATER}\" not found");
        let (evaluation, job) = comparison_that_says(bed, &named).await;
        let attack = Attack::on(bed, evaluation, job).await;
        bed.apply(&mk_pod("older", &json!(attack.job.labels()), HANG));

        let _chart = OfChart::installed(
            bed,
            "runs.protect=true,runs.refuseExec=true,serviceAccount.name=podium",
            &["runpolicy"],
        );
        attack.until_refused().await;
        are_well_typed(bed).await;
        attack.creates_no_pod();
        attack.makes_no_running_pod_its_own("older");
        attack.changes_nothing_of_its_pod();
        attack.makes_no_job();

        // The comparison ends, finds nothing of version 2, and is made again once a scorer has run.
        bed.apply(&account(LATER));
        scene.until_promoted(bed).await;
        let ended = comparison(bed).await.unwrap();
        assert_eq!(ended.uid(), attack.evaluation.uid());
        let status = ended.status.unwrap();
        assert_eq!(status.verdict.as_deref(), Some("Superior"), "{status:#?}");
        assert!(status.attempts >= Some(2), "{status:#?}");
        bed.apply(&search("tried", 1, 1, REPORT));
        let tried = bed.until_finished("tried", 90).await;
        assert_eq!(phase(&tried), Some("Succeeded"));
    });
}

/// The chart's policies go by labels, and so does the operator: a Job that only names the right owner is not its own.
#[test]
fn a_job_that_names_its_owner_and_lacks_its_labels_is_waited_for() {
    on_bed("unlabelled", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}},
        }));
        let counted = ["get", "resourcequota", "none", "-o=jsonpath={.status.hard}"];
        bed.wait(60, "the quota holds", async || {
            bed.kubectl(&counted)
                .is_ok_and(|hard| hard.contains("jobs.batch"))
        })
        .await;
        bed.apply(&search("held", 1, 1, REPORT));
        let refused = |trial: &Trial| trial_message(trial).contains("exceeded quota");
        let held = until_trial(&bed, "held-1", 60, "waits for the quota", refused).await;
        operator.kill();
        bed.kubectl(&["delete", "resourcequota", "none"]).unwrap();
        let mut copied = mk_job("held-1-1", false, false);
        copied["metadata"]["ownerReferences"] = owned_by(&held);
        let copied = copied.to_string();
        let create = ["create", "-n", &bed.namespace, "-f", "-"];
        bed.wait(60, "the quota is gone", async || {
            kubectl(&create, Some(&copied)).is_ok()
        })
        .await;
        operator.start_again();
        let named = "the Job `held-1-1` exists and belongs to something else";
        let waits = |trial: &Trial| trial_message(trial).contains(named);
        until_trial(&bed, "held-1", 60, "waits for the name", waits).await;
        bed.kubectl(&["delete", "job", "held-1-1"]).unwrap();
        let held = bed.until_finished("held", 90).await;
        assert_eq!(phase(&held), Some("Succeeded"));
    });
}
