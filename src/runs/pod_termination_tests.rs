//! How a pod ended, told apart.

use super::*;

#[test]
fn the_ends_of_a_container_are_told_apart() {
    assert_eq!(exit(mk_failed(json!({"exitCode": 3}))), Exit::Code(3));
    assert_eq!(
        exit(mk_failed(json!({"exitCode": 137, "reason": "OOMKilled"}))),
        Exit::OutOfMemory
    );
    // A node that comes back does not know how it ended, and starts nothing of it again.
    for (code, reason) in [(255, "Unknown"), (137, "ContainerStatusUnknown")] {
        let rebooted = exit(mk_failed(json!({"exitCode": code, "reason": reason})));
        assert!(
            matches!(&rebooted, Exit::Infrastructure(why) if why.starts_with(reason)),
            "{rebooted:?}"
        );
    }
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
    let exit =
        |job: &ObservedJob, pod: &ObservedPod| match run(Some(job), std::slice::from_ref(pod)) {
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
    let before = seen(&again, NOW);
    let after = |before: Option<&LastPodRecord>, pods: &[ObservedPod]| match run_after(
        before,
        Some(&job),
        pods,
        None,
    ) {
        Run::Ended(ended) => (ended.exit, ended.log_tail),
        other => panic!("it did not end: {other:?}"),
    };
    assert_eq!(after(before.as_ref(), &[]), by_itself);
    let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
    ended.status.as_mut().unwrap().conditions = serde_json::from_value(disrupted).unwrap();
    assert!(matches!(exit(&job, &ended).0, Exit::Infrastructure(_)));
    // What a pod had failed with before it was disrupted, or before another one came, is over.
    let was_disrupted = LastPodRecord::seen(before.as_ref(), &job, &[ended], NOW);
    assert!(matches!(
        after(was_disrupted.as_ref(), &[]).0,
        Exit::Infrastructure(_)
    ));
    let mut next = mk_train("Running", json!({"state": {"running": {}}}));
    next.spec.clone_from(&again.spec);
    let next = made(next, "forest-1-1-fghij", "2026-11-25T10:01:00Z");
    let replaced = LastPodRecord::seen(before.as_ref(), &job, &[again, next], NOW);
    assert!(matches!(
        after(replaced.as_ref(), &[]).0,
        Exit::Infrastructure(_)
    ));
}

#[test]
fn a_container_that_was_ended_by_its_deletion_has_not_failed() {
    let killed =
        json!({"state": {"terminated": {"exitCode": 143, "finishedAt": "2026-11-25T10:00:08Z"}}});
    let mut pod = deleted(mk_train("Failed", killed), "2026-11-25T10:00:07Z");
    pod.spec =
        serde_json::from_value(json!({"restartPolicy": "OnFailure", "containers": []})).unwrap();
    assert!(matches!(exit(pod), Exit::Infrastructure(_)));
}

#[test]
fn the_pod_that_was_taken_away_decides_and_not_one_that_failed_before_it() {
    let first = mk_failed(json!({"exitCode": 3, "finishedAt": "2026-11-25T10:00:05Z"}));
    let second = made(
        mk_pod(json!({"phase": "Running"})),
        "forest-1-1-fghij",
        "2026-11-25T10:00:15Z",
    );
    let exit =
        |before: Option<&LastPodRecord>, job: &ObservedJob, pods: &[ObservedPod]| match run_after(
            before,
            Some(job),
            pods,
            None,
        ) {
            Run::Ended(ended) => ended.exit,
            other => panic!("it did not end: {other:?}"),
        };
    let mut evicted = mk_job(failed("PodFailurePolicy"));
    evicted
        .status
        .as_mut()
        .unwrap()
        .conditions
        .as_mut()
        .unwrap()[0]
        .message = Some(
        "Pod team/forest-1-1-fghij has condition DisruptionTarget matching FailJob rule at index 0"
            .to_string(),
    );
    let pods = std::slice::from_ref(&first);
    assert!(matches!(
        exit(None, &evicted, pods),
        Exit::Infrastructure(_)
    ));
    let too_often = mk_job(failed("BackoffLimitExceeded"));
    let before = seen(&second, NOW);
    assert!(matches!(
        exit(before.as_ref(), &too_often, pods),
        Exit::Infrastructure(_)
    ));
    assert_eq!(exit(None, &too_often, pods), Exit::Code(3));
    // Pods that ran beside the one that failed are taken away by their Job.
    let beside = seen(
        &made(second, "forest-1-1-fghij", "2026-11-25T10:00:02Z"),
        NOW,
    );
    assert_eq!(exit(beside.as_ref(), &too_often, pods), Exit::Code(3));
}

#[test]
fn of_pods_beside_each_other_the_one_that_failed_decides() {
    let mut job = mk_job(failed("BackoffLimitExceeded"));
    job.spec.as_mut().unwrap().completions = Some(2);
    let exit = |pods: &[ObservedPod]| match run(Some(&job), pods) {
        Run::Ended(ended) => ended.exit,
        other => panic!("it did not end: {other:?}"),
    };
    let own = mk_failed(json!({"exitCode": 3, "finishedAt": "2026-11-25T10:00:05Z"}));
    let mut beside = mk_failed(json!({"exitCode": 0}));
    beside.status.as_mut().unwrap().phase = Some("Succeeded".to_string());
    let done = made(beside, "forest-1-1-zzzzz", "2026-11-25T10:00:01Z");
    assert_eq!(exit(&[own.clone(), done]), Exit::Code(3));
    let ended = mk_failed(json!({"exitCode": 143, "finishedAt": "2026-11-25T10:00:07Z"}));
    let ended = deleted(ended, "2026-11-25T10:00:06Z");
    let beside = made(ended.clone(), "forest-1-1-zzzzz", "2026-11-25T10:00:01Z");
    assert_eq!(exit(&[own.clone(), beside]), Exit::Code(3));
    let after = made(ended, "forest-1-1-zzzzz", "2026-11-25T10:00:05Z");
    assert!(matches!(exit(&[own, after]), Exit::Infrastructure(_)));
}

#[test]
fn a_program_that_was_told_to_end_and_left_no_result_was_lost() {
    let done = |message: &str| {
        mk_train(
            "Succeeded",
            json!({"state": {"terminated": {"exitCode": 0, "message": message, "finishedAt": "2026-11-25T10:00:08Z"}}}),
        )
    };
    assert_eq!(exit(done("")), Exit::Code(0));
    let asked = "2026-11-25T10:00:07Z";
    assert!(matches!(
        exit(deleted(done(""), asked)),
        Exit::Infrastructure(_)
    ));
    assert_eq!(exit(deleted(done("{}"), asked)), Exit::Code(0));
    let mut evicted = done("");
    let disrupted =
        json!([{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]);
    evicted.status.as_mut().unwrap().conditions = serde_json::from_value(disrupted).unwrap();
    assert!(
        matches!(exit(evicted), Exit::Infrastructure(why) if why.starts_with("EvictionByEvictionAPI"))
    );
}

#[test]
fn a_node_whose_clock_is_ahead_ends_nothing_in_the_future() {
    let ahead = json!({"exitCode": 3, "startedAt": "2100-01-01T00:00:00Z", "finishedAt": "2100-01-01T00:00:09Z"});
    let Run::Ended(ended) = run(
        Some(&mk_job(failed("BackoffLimitExceeded"))),
        &[mk_failed(ahead)],
    ) else {
        panic!("it ended")
    };
    assert_eq!((ended.started, ended.ended), (NOW, NOW));
}

#[test]
fn what_ended_before_its_deletion_was_asked_for_has_ended_by_itself() {
    let of = |code: i32, asked: &str| {
        let end = json!({"exitCode": code, "finishedAt": "2026-11-25T10:00:05Z"});
        exit(deleted(mk_failed(end), asked))
    };
    assert_eq!(of(3, "2026-11-25T10:00:11Z"), Exit::Code(3));
    // The clocks of a node and of the API server differ.
    assert!(matches!(
        of(3, "2026-11-25T10:00:10Z"),
        Exit::Infrastructure(_)
    ));
    // A signal is what a deletion ends it by, whatever the clocks say.
    assert!(matches!(
        of(143, "2026-11-25T10:00:40Z"),
        Exit::Infrastructure(_)
    ));
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
        matches!(&never, Exit::NeverStarted(why) if why.contains("120 seconds") && why.contains("no answer")),
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
    // A kubelet ends what has not begun as well.
    let unknown =
        json!({"state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}});
    assert!(matches!(
        exit(at_the_deadline(unknown, 120)),
        Exit::NeverStarted(_)
    ));
    let crashed = json!({"lastState": {"terminated": {"exitCode": 3}}, "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    let mut restarted = at_the_deadline(crashed, 120);
    restarted.spec.as_mut().unwrap().restart_policy = Some("OnFailure".to_string());
    assert_eq!(exit(restarted), Exit::DeadlineExceeded);
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
    let kept = |pod: &ObservedPod| match run(
        Some(&mk_job(failed("BackoffLimitExceeded"))),
        std::slice::from_ref(pod),
    ) {
        Run::Ended(ended) => ended.message.kept_bytes,
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

/// A pod whose container `train` ended with `code` beside a proxy that goes on.
fn mk_beside_a_proxy(code: i32, policy: Option<&str>) -> ObservedPod {
    let status = |name: &str, state: Value| json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    let end = json!({"terminated": {"exitCode": code, "message": "{\"metrics\":{\"auc\":1}}", "finishedAt": "2026-11-25T11:00:00Z"}});
    let mut pod = mk_pod(json!({"phase": "Running", "containerStatuses": [
        status("proxy", json!({"running": {"startedAt": "2026-11-25T10:00:03Z"}})), status("train", end),
    ]}));
    pod.spec = serde_json::from_value(json!({"containers": [], "restartPolicy": policy})).unwrap();
    pod
}

#[test]
fn the_container_that_matters_decides_while_another_goes_on() {
    let job = mk_job(json!([]));
    for (code, policy) in [
        (0, Some("Never")),
        (0, Some("OnFailure")),
        (3, Some("Never")),
    ] {
        let pod = mk_beside_a_proxy(code, policy);
        let ended = run(Some(&job), std::slice::from_ref(&pod));
        assert!(
            matches!(&ended, Run::Ended(end) if end.exit == Exit::Code(code) && end.message.text.is_some()),
            "{ended:?}"
        );
        assert!(goes_on(&job, &[pod]), "its proxy is to be ended");
    }
    let restarts = run(Some(&job), &[mk_beside_a_proxy(3, Some("OnFailure"))]);
    assert!(matches!(restarts, Run::Running { .. }), "{restarts:?}");
    let mut parallel = job.clone();
    parallel.spec.as_mut().unwrap().completions = Some(2);
    let one_of_two = run(Some(&parallel), &[mk_beside_a_proxy(0, None)]);
    assert!(matches!(one_of_two, Run::Running { .. }), "{one_of_two:?}");
    let mut deleted = mk_beside_a_proxy(143, None);
    deleted.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-11-25T11:00:00Z")).unwrap());
    let taken_away = run(Some(&job), std::slice::from_ref(&deleted));
    assert!(!matches!(taken_away, Run::Ended(_)), "{taken_away:?}");
    assert!(!goes_on(
        &mk_job(json!([{"type": "Complete", "status": "True"}])),
        &[]
    ));
    assert!(
        goes_on(&job, &[]),
        "a Job that appeared after its trial ended"
    );
}
