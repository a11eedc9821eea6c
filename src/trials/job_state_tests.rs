use super::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn mk_job(conditions: Value) -> Job {
    serde_json::from_value(json!({
        "metadata": {"name": "forest-1-1", "creationTimestamp": "2026-11-25T10:00:00Z", "annotations": {CONTAINER_ANNOTATION: "train"}},
        "spec": {"template": {}},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn mk_pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "forest-1-1-abcde", "creationTimestamp": "2026-11-25T10:00:01Z"},
        "status": status,
    }))
    .unwrap()
}

/// A pod whose container `train` ended, beside a sidecar that comes first and ended well.
fn mk_failed(terminated: Value) -> Pod {
    mk_pod(json!({"phase": "Failed", "containerStatuses": [
        {"name": "side", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}},
        {"name": "train", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated}},
    ]}))
}

fn failed(reason: &str) -> Value {
    json!([{"type": "Failed", "status": "True", "reason": reason, "message": "Job has failed"}])
}

fn run(job: Option<&Job>, pods: &[Pod]) -> Run {
    run_of(Known {
        job,
        pods,
        refusal: None,
        now: NOW,
    })
}

fn exit(pod: Pod) -> Exit {
    match run(Some(&mk_job(failed("BackoffLimitExceeded"))), &[pod]) {
        Run::Ended(ended) => ended.exit,
        other => panic!("it did not end: {other:?}"),
    }
}

#[test]
fn a_run_that_ended_well_brings_its_message_and_times() {
    let pod = mk_pod(json!({"phase": "Succeeded", "containerStatuses": [
        {"name": "train", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated":
            {"exitCode": 0, "message": "{}", "startedAt": "2026-11-25T10:00:02Z", "finishedAt": "2026-11-25T10:00:05Z"}}},
    ]}));
    let Run::Ended(ended) = run(Some(&mk_job(json!([]))), std::slice::from_ref(&pod)) else {
        panic!("the pod of a Job with one completion decides")
    };
    assert_eq!(
        (ended.exit, ended.termination_message.as_deref()),
        (Exit::Code(0), Some("{}"))
    );
    assert_eq!(ended.ended.milliseconds_since(ended.started), 3_000);
    assert_eq!(ended.pod.as_deref(), Some("forest-1-1-abcde"));
    let Run::Ended(kept) = run(None, &[pod]) else {
        panic!("a result outlives its Job")
    };
    assert_eq!(kept.exit, Exit::Code(0));
}

#[test]
fn the_ends_of_a_container_are_told_apart() {
    assert_eq!(exit(mk_failed(json!({"exitCode": 3}))), Exit::Code(3));
    assert_eq!(
        exit(mk_failed(json!({"exitCode": 137, "reason": "OOMKilled"}))),
        Exit::OutOfMemory
    );
    let start =
        mk_failed(json!({"exitCode": 128, "reason": "StartError", "message": "no such file"}));
    assert_eq!(
        exit(start),
        Exit::CannotStart("StartError: no such file".to_string())
    );
    let deadline = mk_pod(json!({"phase": "Failed", "reason": "DeadlineExceeded"}));
    assert_eq!(exit(deadline), Exit::DeadlineExceeded);
}

#[test]
fn what_the_infrastructure_does_is_told_apart_from_what_the_container_does() {
    let disrupted = mk_pod(json!({"phase": "Failed", "conditions": [
        {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}]}));
    assert_eq!(
        exit(disrupted),
        Exit::Infrastructure("EvictionByEvictionAPI: Eviction API: evicting".to_string())
    );
    let evicted = mk_pod(
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}),
    );
    assert!(matches!(exit(evicted), Exit::Infrastructure(why) if why.starts_with("Evicted: ")));
    let mut deleted = mk_failed(json!({"exitCode": 143}));
    deleted.metadata.deletion_timestamp = deleted.metadata.creation_timestamp.clone();
    assert!(matches!(exit(deleted), Exit::Infrastructure(why) if why.contains("deleted")));
    let Run::Ended(gone) = run(Some(&mk_job(failed("PodFailurePolicy"))), &[]) else {
        panic!("it ended")
    };
    assert!(
        matches!(gone.exit, Exit::Infrastructure(_)),
        "{:?}",
        gone.exit
    );
}

#[test]
fn a_failed_init_container_decides() {
    let pod = mk_pod(json!({"phase": "Failed", "initContainerStatuses": [
        {"name": "fetch", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 7}}}]}));
    assert_eq!(exit(pod), Exit::Code(7));
}

#[test]
fn a_sidecar_that_was_ended_afterwards_does_not_decide() {
    let mut pod = mk_failed(json!({"exitCode": 3}));
    let sidecar = json!({"name": "proxy", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 137}}});
    let status = pod.status.as_mut().unwrap();
    status.init_container_statuses = Some(vec![serde_json::from_value(sidecar).unwrap()]);
    assert_eq!(exit(pod), Exit::Code(3));
}

#[test]
fn the_log_of_a_failure_is_its_message() {
    let pod = mk_failed(json!({"exitCode": 1, "message": "a\nb\n\nc\nKeyError: auc\n"}));
    let Run::Ended(ended) = run(Some(&mk_job(failed("BackoffLimitExceeded"))), &[pod]) else {
        panic!("it ended")
    };
    assert_eq!(ended.log_tail, "b | c | KeyError: auc");
}

#[test]
fn what_a_run_waits_for_is_named() {
    let job = mk_job(json!([]));
    let reason = |status: Value| match run(Some(&job), &[mk_pod(status)]) {
        Run::Queued { reason, why, .. } => (reason, why),
        other => panic!("it does not wait: {other:?}"),
    };
    let pulling = json!({"phase": "Pending", "containerStatuses": [{"name": "train", "image": "", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]});
    assert_eq!(
        reason(pulling),
        (
            Reason::ImagePullFailed,
            "ErrImagePull: not found".to_string()
        )
    );
    let no_room = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
    assert_eq!(
        reason(no_room),
        (
            Reason::Unschedulable,
            "Unschedulable: 0/1 nodes are available".to_string()
        )
    );
    assert_eq!(reason(json!({"phase": "Pending"})).0, Reason::Starting);

    let refused = run_of(Known {
        job: Some(&job),
        pods: &[],
        refusal: Some("exceeded quota"),
        now: NOW,
    });
    assert!(
        matches!(
            refused,
            Run::Queued {
                reason: Reason::PodRefused,
                ..
            }
        ),
        "{refused:?}"
    );
    let mut suspended = job.clone();
    suspended.spec.as_mut().unwrap().suspend = Some(true);
    assert!(matches!(
        run(Some(&suspended), &[]),
        Run::Queued {
            reason: Reason::JobSuspended,
            ..
        }
    ));
}

#[test]
fn a_run_goes_on_as_long_as_a_pod_of_it_does() {
    let pod = mk_pod(json!({"phase": "Running", "startTime": "2026-11-25T10:00:02Z"}));
    let running = run(Some(&mk_job(json!([]))), std::slice::from_ref(&pod));
    assert!(
        matches!(&running, Run::Running { pod: Some(name), .. } if name == "forest-1-1-abcde"),
        "{running:?}"
    );
    assert!(
        matches!(run(None, &[pod]), Run::Running { .. }),
        "its Job was deleted, its pod still ends"
    );
    assert_eq!(run(None, &[]), Run::Absent);
    let over = mk_pod(json!({"phase": "Failed"}));
    assert_eq!(run(None, &[over]), Run::Absent);
}

#[test]
fn an_end_without_its_pod_is_worth_a_look() {
    assert!(lacks_the_end(&mk_job(failed("BackoffLimitExceeded")), &[]));
    assert!(!lacks_the_end(&mk_job(json!([])), &[]));
    let pod = mk_failed(json!({"exitCode": 3}));
    assert!(!lacks_the_end(
        &mk_job(failed("BackoffLimitExceeded")),
        &[pod]
    ));
}
