//! One trial from its start to its end.

use super::*;

fn mk_ended(exit: Exit, message: Option<&str>) -> Run {
    Run::Ended(EndedRun {
        exit,
        started: Timestamp(10),
        ended: Timestamp(20),
        termination_message: message.map(str::to_string),
        log_tail: "Traceback: boom".to_string(),
    })
}

fn step(record: &TrialRecord, run: &Run) -> trial::TrialPlan {
    let objective = mk_objective(None);
    trial::plan(&TrialInput {
        objective: Some(&objective),
        failure_rules: &[],
        active_deadline_seconds: Some(60),
        max_infrastructure_failures: 2,
        record,
        run,
    })
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
    let running = step(
        &start.record,
        &Run::Running {
            since: Timestamp(10),
        },
    );
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
fn a_lost_run_is_repeated_and_does_not_count_until_there_were_too_many() {
    let lost = mk_ended(Exit::Infrastructure("node lost".to_string()), None);
    let first = step(&step(&TrialRecord::default(), &Run::Absent).record, &lost);
    assert_eq!(first.action, Some(TrialAction::Start { attempt: 2 }));
    assert_eq!(
        first.record.attempts[0],
        Attempt {
            number: 1,
            reason: Some(TrialReason::InfrastructureLost)
        }
    );
    let second = step(&first.record, &lost);
    assert_eq!(second.action, Some(TrialAction::Start { attempt: 3 }));
    let third = step(&second.record, &lost);
    assert_eq!(
        (third.record.phase, third.action),
        (TrialPhase::Failed, None)
    );
    assert_eq!(
        third.record.reason,
        Some(TrialReason::TooManyInfrastructureFailures)
    );
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
