//! Runs that are lost, repeated, or do not end.

use super::trials::{mk_ended, mk_queued, mk_running, step, step_with};
use super::*;
use crate::expression::Names;

#[test]
fn a_lost_run_is_repeated_and_does_not_count_until_there_were_too_many() {
    let lost = mk_ended(Exit::Infrastructure("node lost".to_string()), None);
    let first = step(&step(&TrialRecord::default(), &Run::Absent).record, &lost);
    assert_eq!(first.action, Some(TrialAction::Start { attempt: 2 }));
    assert_eq!(
        first.record.attempts[0],
        Attempt {
            number: 1,
            pod: None,
            started: Some(Timestamp(10)),
            reason: Some(TrialReason::InfrastructureLost),
            ended: Some(Timestamp(20)),
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
fn each_run_after_the_second_lost_one_waits_longer() {
    let mut record = TrialRecord::default();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let mut lost = mk_ended(Exit::Infrastructure("node lost".to_string()), None);
        if let Run::Ended(run) = &mut lost {
            run.ended = NOW;
        }
        let plan = step_with(&record, &lost, |input| {
            input.max_infrastructure_failures = 10;
        });
        pauses.push(
            plan.look_again_at
                .map(|at| at.milliseconds_since(NOW) / 1000),
        );
        assert_eq!(plan.action.is_some(), plan.look_again_at.is_none());
        record = plan.record;
    }
    let longer = [10, 20, 40, 80, 160, 300, 300, 300].map(Some);
    assert_eq!(pauses, [&[None][..], &longer].concat());
    let later = step_with(&record, &Run::Absent, |input| {
        input.now = NOW.plus_seconds(300);
    });
    assert_eq!(later.action, Some(TrialAction::Start { attempt: 10 }));
}

#[test]
fn a_run_that_should_have_ended_is_said_to_hang_on_its_node() {
    let run = Run::Running {
        since: Timestamp(10),
        pod: None,
        overdue: Some(trial::Overdue {
            at: NOW,
            why: "its node does not answer".to_string(),
        }),
    };
    let early = step_with(&TrialRecord::default(), &run, |input| {
        input.now = Timestamp(NOW.0 - 1);
    });
    assert_eq!(
        (early.record.reason, early.look_again_at),
        (None, Some(NOW))
    );
    let late = step(&early.record, &run).record;
    assert_eq!(
        (late.phase, late.reason, late.message.as_str()),
        (
            TrialPhase::Running,
            Some(TrialReason::NodeUnreachable),
            "its node does not answer"
        )
    );
    assert_eq!(step(&late, &mk_running(Timestamp(10))).record.reason, None);
}

#[test]
fn a_run_that_was_seen_and_is_gone_is_a_lost_one() {
    let running = step(&TrialRecord::default(), &mk_running(Timestamp(10))).record;
    assert_eq!(running.attempts[0].pod.as_deref(), Some("forest-1-1-abcde"));
    let gone = step(&running, &Run::Absent);
    assert_eq!(gone.action, Some(TrialAction::Start { attempt: 2 }));
    assert_eq!(
        gone.record.attempts[0].reason,
        Some(TrialReason::InfrastructureLost)
    );
    assert!(
        gone.record.message.contains("deleted"),
        "{}",
        gone.record.message
    );
}

#[test]
fn a_run_that_a_rule_repeats_was_not_lost() {
    let rule = trial::FailureRule {
        when: crate::expression::Expression::compile("exitCode == 75", Names::Metrics).unwrap(),
        action: trial::FailureAction::Retry,
    };
    // An input borrows its rules for as long as it likes.
    let rules = Box::leak(Box::new([rule]));
    let ended = mk_ended(Exit::Code(75), None);
    let again = step_with(&TrialRecord::default(), &ended, |input| {
        input.failure_rules = rules;
    });
    assert_eq!(again.action, Some(TrialAction::Start { attempt: 2 }));
    assert_eq!(
        again.record.message,
        "run 1 ended: the container exited with code 75; its last lines: Traceback: boom; it is run again"
    );
    assert_eq!(
        again.record.attempts[0].reason,
        Some(TrialReason::FailureRule)
    );
}

#[test]
fn runs_of_which_nothing_ran_wait_together() {
    let never = mk_ended(
        Exit::NeverStarted("ErrImagePull: not found".to_string()),
        None,
    );
    let first = step(&TrialRecord::default(), &never);
    assert_eq!(first.action, Some(TrialAction::Start { attempt: 2 }));
    assert_eq!(
        (first.record.start, first.record.attempts[0].started),
        (None, None)
    );
    let pulling = |since| {
        mk_queued(
            since,
            TrialReason::ImagePullFailed,
            "ErrImagePull: not found",
        )
    };
    let again = |record: &TrialRecord, free: Timestamp| {
        let plan = step_with(record, &pulling(NOW), |input| input.since = free);
        (plan.record.phase, plan.look_again_at)
    };
    let (queued, failed) = (TrialPhase::Queued, TrialPhase::Failed);
    let soon = Timestamp(NOW.0 - 99_000);
    assert_eq!(
        again(&first.record, soon),
        (queued, Some(soon.plus_seconds(100)))
    );
    assert_eq!(again(&first.record, Timestamp(NOW.0 - 100_000)).0, failed);
    // One that ran has ended the wait.
    let lost = mk_ended(Exit::Infrastructure("node lost".to_string()), None);
    let ran = step(&first.record, &lost).record;
    assert_eq!(
        again(&ran, Timestamp(0)),
        (queued, Some(NOW.plus_seconds(100)))
    );
    let since_its_end = step_with(&ran, &never, |input| input.max_infrastructure_failures = 10);
    let (phase, _) = again(&since_its_end.record, Timestamp(0));
    assert_eq!(
        phase, failed,
        "it waits since the end of the one that ran, twenty milliseconds after the beginning"
    );
}
