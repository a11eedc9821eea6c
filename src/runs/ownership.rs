//! Which Jobs and pods are those of a run, and not of somebody who made them look alike. Pure.

use super::job_manifest::{OWNER_LABEL, RUN_LABEL, job_name};
use super::observed::{ObservedJob, ObservedPod};
use super::pod_state::is_terminal;
use crate::ports::RunId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

/// Whether a Job belongs to the object whose runs these are. A Job that a watch has shown has the label of runs, by which it is watched.
pub(super) fn is_owned(job: &ObservedJob, owner: Option<&str>) -> bool {
    let mut controllers = controllers(job.owner_references());
    controllers.any(|controller| Some(controller.uid.as_str()) == owner)
}

/// The same for a Job that was found by its name alone, and may be without the labels that admission policies go by.
pub(super) fn is_job_of(job: &ObservedJob, run: RunId<'_>) -> bool {
    let label = |name: &str| job.labels().get(name).map(String::as_str);
    is_owned(job, run.owner)
        && label(RUN_LABEL) == Some(run.name)
        && label(OWNER_LABEL) == run.owner
}

/// Whether a pod is one of the run's Job and not of somebody who gave it the same labels; `uid` is that of the Job, if it was ever seen.
///
/// Anybody can make up the uid of a Job that nobody has seen, so that the end of such a pod says nothing. While it runs it may be the run
/// itself, whose Job went when nobody looked.
pub(super) fn is_pod_of(pod: &ObservedPod, run: RunId<'_>, uid: Option<&str>) -> bool {
    let name = job_name(run.name, run.attempt);
    let mut controllers = controllers(pod.owner_references());
    controllers.any(|controller| {
        controller.kind == "Job"
            && controller.name == name
            && uid.map_or(!is_terminal(pod), |uid| controller.uid == uid)
    })
}

fn controllers(owners: &[OwnerReference]) -> impl Iterator<Item = &OwnerReference> {
    owners.iter().filter(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::job_manifest::{ATTEMPT_LABEL, CONTAINER_ANNOTATION};
    use crate::runs::job_status::READ_ANNOTATIONS;
    use serde_json::{Value, json};

    const RUN: RunId<'_> = RunId {
        name: "forest-1",
        attempt: 1,
        owner: Some("of-the-trial"),
    };

    fn mk_job(labels: Value, owner: Value) -> ObservedJob {
        let metadata = json!({"name": "forest-1-1", "labels": labels, "ownerReferences": [owner]});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn mk_owner(uid: &str, controller: Value) -> Value {
        let version = "podium.dev/v1alpha1";
        json!({"apiVersion": version, "kind": "Trial", "name": "forest-1", "uid": uid, "controller": controller})
    }

    fn mk_pod(job: &str, uid: &str, phase: &str) -> ObservedPod {
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": uid, "controller": true});
        let metadata = json!({"name": "forest-1-1-abcde", "ownerReferences": [owner]});
        serde_json::from_value(json!({"metadata": metadata, "status": {"phase": phase}})).unwrap()
    }

    #[test]
    fn a_job_found_by_its_name_is_of_a_run_with_its_labels_and_its_controller() {
        let labels = json!({RUN_LABEL: "forest-1", OWNER_LABEL: "of-the-trial"});
        let own = mk_owner("of-the-trial", json!(true));
        assert!(is_job_of(&mk_job(labels.clone(), own.clone()), RUN));
        for (labels, owner) in [
            (json!({}), own.clone()),
            (json!({OWNER_LABEL: "of-the-trial"}), own.clone()),
            (json!({RUN_LABEL: "forest-1"}), own.clone()),
            (
                json!({RUN_LABEL: "forest-2", OWNER_LABEL: "of-the-trial"}),
                own.clone(),
            ),
            (
                json!({RUN_LABEL: "forest-1", OWNER_LABEL: "of-another"}),
                own,
            ),
            (labels.clone(), mk_owner("of-the-trial", json!(false))),
            (labels.clone(), mk_owner("of-the-trial", Value::Null)),
            (labels, mk_owner("of-another", json!(true))),
        ] {
            let job = mk_job(labels, owner);
            assert!(!is_job_of(&job, RUN), "{job:?}");
        }
    }

    #[test]
    fn a_pod_counts_by_the_uid_of_its_job() {
        for phase in ["Running", "Succeeded", "Failed"] {
            let own = mk_pod("forest-1-1", "of-the-job", phase);
            assert!(is_pod_of(&own, RUN, Some("of-the-job")));
            assert!(!is_pod_of(&own, RUN, Some("of-another")));
            let of_another_run = mk_pod("forest-2-1", "of-the-job", phase);
            assert!(!is_pod_of(&of_another_run, RUN, Some("of-the-job")));
        }
    }

    #[test]
    fn a_pod_of_a_job_that_nobody_has_seen_says_nothing_by_its_end() {
        let with = |phase| mk_pod("forest-1-1", "made-up", phase);
        assert!(is_pod_of(&with("Running"), RUN, None));
        assert!(is_pod_of(&with("Pending"), RUN, None));
        assert!(!is_pod_of(&with("Succeeded"), RUN, None));
        assert!(!is_pod_of(&with("Failed"), RUN, None));
    }

    /// What is read of a run and could be changed is what the chart's admission policies keep as it is.
    #[test]
    fn the_chart_protects_what_is_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/charts/podium/templates/runpolicy.yaml"
        );
        let policy = std::fs::read_to_string(path).unwrap();
        let labels = format!("['{RUN_LABEL}', '{ATTEMPT_LABEL}', '{OWNER_LABEL}']");
        assert_eq!(policy.matches(&labels).count(), 2);
        let [container, index] = READ_ANNOTATIONS;
        assert_eq!(container, CONTAINER_ANNOTATION);
        assert!(policy.contains(&format!("['{container}', '{index}']")));
        assert!(policy.contains(&format!("key: {RUN_LABEL}\n")));
    }
}
