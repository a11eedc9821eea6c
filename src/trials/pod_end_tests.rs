//! How a pod ended, told apart.

use super::*;

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
    let mut deadline = mk_train(
        "Failed",
        json!({"state": {"terminated": {"exitCode": 137, "startedAt": "2026-11-25T10:00:03Z"}}}),
    );
    deadline.status.as_mut().unwrap().reason = Some("DeadlineExceeded".to_string());
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
fn a_container_that_failed_in_each_of_its_restarts_has_failed_by_itself() {
    let mut job = mk_job(
        json!([{"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"}]),
    );
    let last = json!({"terminated": {"exitCode": 3, "message": "KeyError: auc", "finishedAt": "2026-11-25T10:00:05Z"}});
    let mut again = mk_train(
        "Running",
        json!({"lastState": last, "state": {"running": {}}}),
    );
    again.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-11-25T10:00:37Z")).unwrap();
    let restarts = json!({"restartPolicy": "OnFailure", "containers": []});
    again.spec = serde_json::from_value(restarts).unwrap();
    let exit = |job: &Job, pod: &Pod| match run(Some(job), std::slice::from_ref(pod)) {
        Run::Ended(ended) => (ended.exit, ended.log_tail),
        other => panic!("it did not end: {other:?}"),
    };
    let by_itself = (Exit::Code(3), "KeyError: auc".to_string());
    assert_eq!(exit(&job, &again), by_itself);
    // The same when its Job has waited for the end of the pod, which its own deletion ended.
    let failed = mk_job(failed("BackoffLimitExceeded"));
    job.status.clone_from(&failed.status);
    let killed = json!({"terminated": {"exitCode": 137, "finishedAt": "2026-11-25T10:00:08Z"}});
    let mut ended = mk_train("Failed", json!({"lastState": last, "state": killed}));
    ended.spec.clone_from(&again.spec);
    ended
        .metadata
        .deletion_timestamp
        .clone_from(&again.metadata.deletion_timestamp);
    assert_eq!(exit(&job, &ended), by_itself);
    // The same when the pod is gone before its Job has said anything.
    let seen = failure_so_far(&[again], NOW).unwrap();
    let remembered = run_of(Known {
        job: Some(&job),
        pods: &[],
        refusal: None,
        failure: Some(&seen),
        now: NOW,
    });
    assert_eq!(remembered, Run::Ended(seen));
    let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
    ended.status.as_mut().unwrap().conditions = serde_json::from_value(disrupted).unwrap();
    assert!(matches!(exit(&job, &ended).0, Exit::Infrastructure(_)));
}

#[test]
fn what_ended_before_its_deletion_was_asked_for_has_ended_by_itself() {
    let mut pod = mk_failed(json!({"exitCode": 3, "finishedAt": "2026-11-25T10:00:05Z"}));
    pod.metadata.deletion_grace_period_seconds = Some(30);
    for (deleted, by_itself) in [
        ("2026-11-25T10:00:36Z", true),
        ("2026-11-25T10:00:35Z", false),
    ] {
        pod.metadata.deletion_timestamp = serde_json::from_value(json!(deleted)).unwrap();
        assert_eq!(exit(pod.clone()) == Exit::Code(3), by_itself, "{deleted}");
    }
}

#[test]
fn a_deadline_that_a_pull_used_up_is_not_the_trials() {
    let at_the_deadline = |container: Value, limit: i64| {
        let mut pod = mk_train("Failed", container);
        pod.status.as_mut().unwrap().reason = Some("DeadlineExceeded".to_string());
        pod.spec =
            serde_json::from_value(json!({"activeDeadlineSeconds": limit, "containers": []}))
                .unwrap();
        pod
    };
    let pulling =
        json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no answer"}}});
    let never = exit(at_the_deadline(pulling, 120));
    assert!(
        matches!(&never, Exit::Infrastructure(why) if why.contains("120 seconds") && why.contains("no answer")),
        "{never:?}"
    );
    let late =
        json!({"state": {"terminated": {"exitCode": 137, "startedAt": "2026-11-25T10:01:32Z"}}});
    assert!(matches!(
        exit(at_the_deadline(late.clone(), 120)),
        Exit::Infrastructure(_)
    ));
    assert_eq!(
        exit(at_the_deadline(late.clone(), 3600)),
        Exit::DeadlineExceeded
    );
    // An init container is the trial's own.
    let mut fetched = at_the_deadline(late, 120);
    let fetch = json!([{"name": "fetch", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "startedAt": "2026-11-25T10:00:03Z", "finishedAt": "2026-11-25T10:01:31Z"}}}]);
    fetched.status.as_mut().unwrap().init_container_statuses =
        serde_json::from_value(fetch).unwrap();
    assert_eq!(exit(fetched), Exit::DeadlineExceeded);
}

#[test]
fn a_message_is_kept_in_as_many_bytes_as_its_pod_has_for_it() {
    let mut pod = mk_failed(json!({"exitCode": 1}));
    let kept = |pod: &Pod| match run(
        Some(&mk_job(failed("BackoffLimitExceeded"))),
        std::slice::from_ref(pod),
    ) {
        Run::Ended(ended) => ended.kept_bytes,
        other => panic!("it did not end: {other:?}"),
    };
    assert_eq!(kept(&pod), 4096);
    let all = pod
        .status
        .as_mut()
        .unwrap()
        .container_statuses
        .as_mut()
        .unwrap();
    let side = all[0].clone();
    all.extend([side.clone(), side]);
    assert_eq!(kept(&pod), 3072);
}
