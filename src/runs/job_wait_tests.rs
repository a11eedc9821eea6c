//! What a run waits for, and since when.

use super::*;

#[test]
fn a_run_whose_end_its_job_has_not_told_yet_does_not_wait() {
    let job = mk_job(json!([]));
    let over = mk_train(
        "Failed",
        json!({"state": {"terminated": {"exitCode": 3, "startedAt": "2026-11-25T10:00:03Z", "finishedAt": "2026-11-25T13:00:00Z"}}}),
    );
    let told = run(Some(&job), std::slice::from_ref(&over));
    assert!(
        matches!(&told, Run::Running { since, pod: Some(_), overdue: None } if *since == at("2026-11-25T10:00:03Z")),
        "{told:?}"
    );
    // A pod that somebody deleted is gone before its Job says so.
    let mut deleted = job.clone();
    deleted.status.as_mut().unwrap().active = Some(1);
    let told = run(Some(&deleted), &[]);
    assert!(matches!(told, Run::Running { pod: None, .. }), "{told:?}");
    // What was refused before the pod ran is over; what is refused after it is waited for from its end on.
    let refused = |time: &str| {
        run_after(
            None,
            Some(&job),
            std::slice::from_ref(&over),
            Some(&mk_refusal(time)),
        )
    };
    let before = refused("2026-11-25T10:00:00Z");
    assert!(matches!(before, Run::Running { .. }), "{before:?}");
    for time in ["2026-11-25T13:00:01Z", "2026-11-25T13:30:00Z"] {
        let after = refused(time);
        assert!(
            matches!(&after, Run::Queued { since, reason: Reason::PodRefused, .. } if *since == at("2026-11-25T13:00:00Z")),
            "{after:?}"
        );
    }
}

#[test]
fn an_init_container_is_work_and_a_sidecar_is_none() {
    let initial = |phase: &str, container: Value, waiting: &str| {
        let status = |name: &str, state: Value| json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let mut pod = mk_pod(json!({
            "phase": phase, "startTime": "2026-11-25T10:00:02Z",
            "initContainerStatuses": [status("proxy", json!({"running": {"startedAt": "2026-11-25T10:00:03Z"}})), status("fetch", container)],
            "containerStatuses": [status("train", json!({"waiting": {"reason": waiting}}))],
        }));
        let sidecar = json!({"containers": [], "initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "fetch"}]});
        pod.spec = serde_json::from_value(sidecar).unwrap();
        run(Some(&mk_job(json!([]))), &[pod])
    };
    let fetching = json!({"running": {"startedAt": "2026-11-25T10:00:04Z"}});
    let works = initial("Pending", fetching, "PodInitializing");
    assert!(
        matches!(&works, Run::Running { since, .. } if *since == at("2026-11-25T10:00:02Z")),
        "{works:?}"
    );
    let waits = initial(
        "Pending",
        json!({"waiting": {"reason": "PodInitializing"}}),
        "PodInitializing",
    );
    assert!(
        matches!(
            waits,
            Run::Queued {
                reason: Reason::Starting,
                ..
            }
        ),
        "{waits:?}"
    );
    // What waits afterwards waits from then on.
    let fetched = json!({"terminated": {"exitCode": 0, "startedAt": "2026-11-25T10:00:04Z", "finishedAt": "2026-11-25T10:20:00Z"}});
    let pulls = initial("Pending", fetched, "ImagePullBackOff");
    assert!(
        matches!(&pulls, Run::Queued { since, reason: Reason::ImagePullFailed, .. } if *since == at("2026-11-25T10:20:00Z")),
        "{pulls:?}"
    );
}

#[test]
fn what_is_refused_waits_since_its_job_was_made_however_often_that_is_said() {
    for time in ["2026-11-25T10:00:00Z", "2026-11-25T11:00:00Z"] {
        let told = run_after(None, Some(&mk_job(json!([]))), &[], Some(&mk_refusal(time)));
        assert!(
            matches!(&told, Run::Queued { since, .. } if *since == at("2026-11-25T10:00:00Z")),
            "{told:?}"
        );
    }
}

#[test]
fn a_refusal_from_before_a_pod_that_is_gone_is_over() {
    let running = mk_train("Running", json!({"state": {"running": {}}}));
    let before = seen(&running, at("2026-11-25T13:00:00Z"));
    let mut job = mk_job(json!([]));
    job.status.as_mut().unwrap().failed = Some(1);
    let told = |before: Option<&LastPodRecord>, time: &str| {
        run_after(before, Some(&job), &[], Some(&mk_refusal(time)))
    };
    let old = told(before.as_ref(), "2026-11-25T10:00:00Z");
    assert!(matches!(old, Run::Running { .. }), "{old:?}");
    // One that was not seen to end has ended by the first look without it.
    let later = at("2026-11-25T13:00:20Z");
    let gone = LastPodRecord::seen(before.as_ref(), &job, &[], later);
    let old = told(gone.as_ref(), "2026-11-25T13:00:10Z");
    assert!(matches!(old, Run::Running { .. }), "{old:?}");
    let new = told(gone.as_ref(), "2026-11-25T13:00:30Z");
    assert!(
        matches!(&new, Run::Queued { since, .. } if *since == later),
        "{new:?}"
    );
    // Whoever has not seen the pod cannot tell what came first.
    let unseen = told(None, "2026-11-25T10:00:00Z");
    assert!(matches!(unseen, Run::Running { .. }), "{unseen:?}");
    // A Job that is ending gets no pod any more.
    let ending =
        mk_job(json!([{"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}]));
    let told = run_after(
        None,
        Some(&ending),
        &[],
        Some(&mk_refusal("2026-11-25T10:00:00Z")),
    );
    assert!(matches!(told, Run::Running { .. }), "{told:?}");
}

#[test]
fn a_job_waits_since_it_was_suspended_or_made() {
    let since = |job: &ObservedJob| match run(Some(job), &[]) {
        Run::Queued { since, .. } => since,
        other => panic!("it does not wait: {other:?}"),
    };
    let mut job = mk_job(
        json!([{"type": "Suspended", "status": "True", "lastTransitionTime": "2026-11-25T14:00:00Z"}]),
    );
    job.spec.as_mut().unwrap().suspend = Some(true);
    assert_eq!(since(&job), at("2026-11-25T14:00:00Z"));
    job.spec.as_mut().unwrap().suspend = Some(false);
    assert_eq!(since(&job), at("2026-11-25T10:00:00Z"));
    job.status.as_mut().unwrap().start_time =
        serde_json::from_value(json!("2026-11-25T15:00:00Z")).unwrap();
    assert_eq!(
        since(&job),
        at("2026-11-25T15:00:00Z"),
        "it was resumed then"
    );
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

    let refused = run_after(
        None,
        Some(&job),
        &[],
        Some(&mk_refusal("2026-11-25T10:00:00Z")),
    );
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
fn a_pod_with_gates_is_held_and_waits_for_room_from_when_they_are_gone() {
    let scheduled = |reason: &str| {
        mk_pod(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": reason, "message": "why"},
        ]}))
    };
    let job = mk_job(json!([]));
    let gated = scheduled("SchedulingGated");
    let held = run(Some(&job), std::slice::from_ref(&gated));
    assert!(
        matches!(&held, Run::Queued { reason, .. } if *reason == Reason::SchedulingGated && reason.is_held_by_a_queue()),
        "{held:?}"
    );
    let mut job = job;
    job.metadata.uid = Some("1".to_string());
    // Nobody looked for an hour until the gates were gone.
    let long_ago = Timestamp(NOW.0 - 3_600_000);
    let last = LastPodRecord::seen(None, &job, std::slice::from_ref(&gated), long_ago);
    assert_eq!(run_after(last.as_ref(), Some(&job), &[gated], None), held);
    let waits = run_after(
        last.as_ref(),
        Some(&job),
        &[scheduled("Unschedulable")],
        None,
    );
    assert!(
        matches!(&waits, Run::Queued { since, reason: Reason::Unschedulable, .. } if *since == NOW),
        "{waits:?}"
    );
}

#[test]
fn a_job_is_held_until_its_controller_has_resumed_it() {
    let resumed = |status: &str, start: Value| {
        let condition = json!([{"type": "Suspended", "status": status, "lastTransitionTime": "2026-11-25T10:00:00Z"}]);
        let mut job = mk_job(condition);
        job.spec.as_mut().unwrap().suspend = Some(false);
        job.status.as_mut().unwrap().start_time = serde_json::from_value(start).unwrap();
        run(Some(&job), &[])
    };
    let not_yet = resumed("True", Value::Null);
    assert!(
        matches!(
            &not_yet,
            Run::Queued {
                reason: Reason::JobSuspended,
                ..
            }
        ),
        "{not_yet:?}"
    );
    let waits = resumed("False", json!("2026-11-25T12:00:00Z"));
    assert!(
        matches!(&waits, Run::Queued { since, reason: Reason::Starting, .. } if *since == at("2026-11-25T12:00:00Z")),
        "{waits:?}"
    );
}
