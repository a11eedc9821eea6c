//! One trial from its start to its end.

use super::*;
use crate::report::TerminationMessage;

pub(super) fn mk_ended(exit: Exit, message: Option<&str>) -> Run {
    Run::Ended(EndedRun {
        exit,
        started: Timestamp(10),
        ended: Timestamp(20),
        message: TerminationMessage {
            text: message.map(str::to_string),
            kept_bytes: 4096,
        }
        .read(),
        log_tail: "Traceback: boom".to_string(),
        pod: None,
    })
}

pub(super) fn step(record: &TrialRecord, run: &Run) -> trial::TrialPlan {
    step_with(record, run, |_| {})
}

/// One step a million milliseconds after the epoch, with an input that `change` makes special.
pub(super) fn step_with(
    record: &TrialRecord,
    run: &Run,
    change: impl FnOnce(&mut TrialInput<'_>),
) -> trial::TrialPlan {
    let objective = mk_objective(None);
    let mut input = TrialInput {
        objective: Some(&objective),
        metrics: MetricsSources {
            order: &[Source::TerminationMessage],
            deadline_seconds: 120,
            tracked: &TrackedMetrics::NotAsked,
        },
        failure_rules: &[],
        active_deadline_seconds: Some(60),
        queue_deadline_seconds: Some(100),
        max_infrastructure_failures: 2,
        debounce_seconds: 0,
        hold: false,
        since: Timestamp(0),
        record,
        run,
        now: NOW,
    };
    change(&mut input);
    trial::plan(&input)
}

pub(super) fn mk_running(since: Timestamp) -> Run {
    Run::Running {
        since,
        pod: Some("forest-1-1-abcde".to_string()),
        overdue: None,
    }
}

pub(super) fn mk_queued(since: Timestamp, reason: TrialReason, why: &str) -> Run {
    Run::Queued {
        since,
        reason,
        why: why.to_string(),
    }
}

#[test]
fn a_trial_starts_runs_and_succeeds() {
    let start = step(&TrialRecord::default(), &Run::Absent);
    assert_eq!(start.action, Some(TrialAction::Start { attempt: 1 }));
    assert_eq!(
        step(&start.record, &Run::Absent),
        start,
        "asked again before it is there: the same attempt"
    );
    let running = step(&start.record, &mk_running(Timestamp(10)));
    assert_eq!(
        (running.record.phase, running.action),
        (TrialPhase::Running, None)
    );
    let done = step(
        &running.record,
        &mk_ended(Exit::Code(0), Some(r#"{"metrics": {"auc": 0.93}}"#)),
    );
    assert_eq!(
        (done.record.phase, done.record.objective),
        (TrialPhase::Succeeded, Some(0.93))
    );
    assert_eq!(done.record.completion, Some(Timestamp(20)));
}

#[test]
fn every_bad_end_is_a_failure_that_says_why() {
    for (exit, message, reason, says) in [
        (
            Exit::Code(1),
            None,
            TrialReason::NonZeroExit,
            "exited with code 1; its last lines: Traceback: boom",
        ),
        (Exit::Signal(11), None, TrialReason::Signalled, "signal 11"),
        (
            Exit::DeadlineExceeded,
            None,
            TrialReason::DeadlineExceeded,
            "longer than `trial.activeDeadlineSeconds` 60",
        ),
        (
            Exit::OutOfMemory,
            None,
            TrialReason::OutOfMemory,
            "more memory",
        ),
        (
            Exit::Code(0),
            None,
            TrialReason::MetricsMissing,
            "wrote no termination message",
        ),
        (
            Exit::Code(0),
            Some("auc=0.93"),
            TrialReason::MetricsInvalid,
            "JSON",
        ),
        (
            Exit::Code(0),
            Some(r#"{"metrics": {"auc": NaN}}"#),
            TrialReason::MetricsInvalid,
            "auc",
        ),
        (
            Exit::Code(0),
            Some(r#"{"metrics": {"loss": 1}}"#),
            TrialReason::MetricsInvalid,
            "auc",
        ),
    ] {
        let plan = step(&TrialRecord::default(), &mk_ended(exit, message));
        assert_eq!(
            (plan.record.phase, plan.record.reason),
            (TrialPhase::Failed, Some(reason))
        );
        assert!(
            plan.record.message.contains(says),
            "{}",
            plan.record.message
        );
        assert_eq!(plan.record.objective, None);
    }
}

#[test]
fn a_state_is_recorded_once_it_has_lasted() {
    let since = Timestamp(NOW.0 - 1_999);
    let fresh = TrialRecord::default();
    for (run, seconds) in [
        (mk_running(since), 10),
        (mk_queued(since, TrialReason::Starting, "soon"), 10),
        (mk_queued(since, TrialReason::Unschedulable, "no room"), 2),
    ] {
        let early = step_with(&fresh, &run, |input| input.debounce_seconds = 2);
        assert_eq!(early.record, fresh);
        assert_eq!(early.look_again_at, Some(since.plus_seconds(seconds)));
        let later = step_with(&fresh, &run, |input| {
            input.debounce_seconds = 2;
            input.now = since.plus_seconds(seconds);
        });
        assert_ne!(later.record.phase, TrialPhase::Pending);
    }
    let end = mk_ended(Exit::Code(0), Some(r#"{"metrics": {"auc": 0.93}}"#));
    let ended = step_with(&fresh, &end, |input| input.debounce_seconds = 2);
    assert_eq!(
        ended.record.phase,
        TrialPhase::Succeeded,
        "an end is never put off"
    );
}

#[test]
fn a_waiting_run_says_why_once_and_is_ended_at_its_deadline() {
    let since = Timestamp(NOW.0 - 10_000);
    let waiting = mk_queued(
        since,
        TrialReason::ImagePullFailed,
        "ErrImagePull: not found",
    );
    let first = step(&TrialRecord::default(), &waiting);
    assert_eq!(first.record.reason, Some(TrialReason::ImagePullFailed));
    assert_eq!(first.look_again_at, Some(since.plus_seconds(100)));
    let reworded = mk_queued(
        since,
        TrialReason::ImagePullFailed,
        "Back-off pulling image",
    );
    assert_eq!(step(&first.record, &reworded).record, first.record);
    let other = mk_queued(since, TrialReason::Unschedulable, "no room on 3 nodes");
    let no_room = step(&first.record, &other).record;
    assert_eq!(no_room.message, "no room on 3 nodes");
    let recounted = mk_queued(since, TrialReason::Unschedulable, "no room on 4 nodes");
    assert_eq!(step(&no_room, &recounted).record, no_room);
    let another = mk_queued(since, TrialReason::Unschedulable, "untolerated taint");
    assert_eq!(step(&no_room, &another).record.message, "untolerated taint");
    // What a queue holds has no deadline.
    for reason in [TrialReason::JobSuspended, TrialReason::SchedulingGated] {
        let held = step_with(&first.record, &mk_queued(since, reason, "held"), |input| {
            input.now = since.plus_seconds(1_000_000)
        });
        assert_eq!((held.action, held.record.phase), (None, TrialPhase::Queued));
    }
    let healed = step(&first.record, &mk_running(NOW)).record;
    assert_eq!((healed.phase, healed.reason), (TrialPhase::Running, None));

    let over = step_with(&first.record, &reworded, |input| {
        input.now = since.plus_seconds(100)
    });
    assert_eq!(over.action, Some(TrialAction::Stop { attempt: 1 }));
    assert_eq!(over.record.phase, TrialPhase::Failed);
    assert_eq!(over.record.reason, Some(TrialReason::QueueDeadlineExceeded));
    for part in [
        "`trial.queueDeadlineSeconds` 100",
        "ImagePullFailed",
        "Back-off pulling image",
    ] {
        assert!(
            over.record.message.contains(part),
            "{}",
            over.record.message
        );
    }
}

#[test]
fn nothing_is_started_while_the_search_holds() {
    let held = step_with(&TrialRecord::default(), &Run::Absent, |input| {
        input.hold = true
    });
    assert_eq!(held.action, None);
    let lost = mk_ended(Exit::Infrastructure("node lost".to_string()), None);
    let lost = step_with(&TrialRecord::default(), &lost, |input| input.hold = true);
    assert_eq!(
        (lost.action, lost.record.phase),
        (None, TrialPhase::Pending)
    );
    assert_eq!(
        step(&lost.record, &Run::Absent).action,
        Some(TrialAction::Start { attempt: 2 })
    );
}

#[test]
fn the_place_of_a_deleted_trial_is_given_away_again() {
    let settings = mk_settings(3, 3);
    let trials = [1, 3].map(|index| mk_trial(index, TrialPhase::Succeeded, Some(0.5)));
    assert_eq!(
        created(&plan(&mk_input(&settings, &trials), NOW)),
        ["forest-2"]
    );
}

#[test]
fn a_search_in_which_nothing_runs_says_what_it_waits_for() {
    let settings = mk_settings(3, 3);
    let mut trials = [1, 2].map(|index| mk_trial(index, TrialPhase::Queued, None));
    trials[0].record.reason = Some(TrialReason::ImagePullFailed);
    trials[0].record.message = "ErrImagePull: not found".to_string();
    let report = plan(&mk_input(&settings, &trials), NOW).report;
    assert_eq!(
        (report.phase, report.reason),
        (Phase::Running, Reason::ImagePullFailed)
    );
    assert_eq!(
        report.message,
        "0 of 3 trials ended, 0 running, 2 queued; forest-1: ErrImagePull: not found"
    );
    trials[1] = mk_trial(2, TrialPhase::Running, None);
    let report = plan(&mk_input(&settings, &trials), NOW).report;
    assert_eq!(report.reason, Reason::TrialsRunning);
    assert!(
        report.message.contains("ErrImagePull"),
        "{}",
        report.message
    );
}

#[test]
fn a_search_that_is_being_deleted_does_nothing_and_says_so() {
    let settings = mk_settings(3, 3);
    let trials = [mk_trial(1, TrialPhase::Running, None)];
    let mut input = mk_input(&settings, &trials);
    input.deleting = true;
    let plan = plan(&input, NOW);
    assert_eq!(plan.actions, []);
    assert_eq!(plan.report.phase, Phase::Terminating);
}

#[test]
fn the_conditions_follow_the_state_table() {
    use conditions::{Status, conditions};
    let settings = mk_settings(1, 1);
    let running = [mk_trial(1, TrialPhase::Running, None)];
    let done = [mk_trial(1, TrialPhase::Succeeded, Some(0.9))];
    let failed = [mk_trial(1, TrialPhase::Failed, None)];
    let row = |trials: &[ObservedTrial]| -> Vec<(&'static str, Status)> {
        let report = plan(&mk_input(&settings, trials), NOW).report;
        conditions(&report)
            .into_iter()
            .map(|c| (c.kind, c.status))
            .collect()
    };
    use Status::{False, True, Unknown};
    let common = |ready, succeeded, finished| {
        vec![
            ("Ready", ready),
            ("Succeeded", succeeded),
            ("Finished", finished),
            ("Suspended", False),
        ]
    };
    let mut pending = common(False, Unknown, False);
    pending.push(("Reconciling", True));
    assert_eq!(row(&[]), pending);
    assert_eq!(row(&running), common(True, Unknown, False));
    assert_eq!(row(&done), common(True, True, True));
    let mut stalled = common(False, False, True);
    stalled.push(("Stalled", True));
    assert_eq!(row(&failed), stalled);
}

#[test]
fn a_refused_job_says_the_cause_that_holds_now() {
    let quota = "jobs.batch \"forest-1-1\" is forbidden: exceeded quota: none, used: 4";
    let taken = "the Job `forest-1-1` exists and belongs to something else";
    let mut record = TrialRecord {
        phase: trial::Phase::Queued,
        reason: Some(trial::Reason::PodRefused),
        message: quota.to_string(),
        ..TrialRecord::default()
    };
    let refused = trial::Reason::PodRefused;
    trial::tell_other_cause(&mut record, refused, &quota.replace('4', "5"));
    assert_eq!(record.message, quota, "another count is no news");
    trial::tell_other_cause(&mut record, refused, taken);
    assert_eq!(record.message, taken);
    // What was not told yet may be over in a moment.
    record.phase = trial::Phase::Pending;
    trial::tell_other_cause(&mut record, refused, quota);
    assert_eq!(record.message, taken);
}
