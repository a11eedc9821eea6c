//! Metrics that stand in a run in MLflow.

use super::trials::{mk_ended, mk_running};
use super::*;
use crate::tuning::trial::{TrialPlan, must_ask};

const BOTH: [Source; 2] = [Source::TerminationMessage, Source::Mlflow];
/// When the container of `mk_ended` ended, and until when its metrics are awaited.
const ENDED: Timestamp = Timestamp(20);
const DEADLINE: Timestamp = Timestamp(120_020);

fn found(metrics: &[(&str, f64)]) -> TrackedMetrics {
    let metrics = metrics.iter();
    let metrics = metrics.map(|(name, value)| ((*name).to_string(), *value));
    TrackedMetrics::Found(metrics.collect())
}

/// One step of a trial whose container ended well, at this time, with what its run in MLflow says.
fn asked(
    record: &TrialRecord,
    run: &Run,
    order: &[Source],
    tracked: &TrackedMetrics,
    now: Timestamp,
) -> TrialPlan {
    let objective = mk_objective(None);
    trial::plan(&TrialInput {
        objective: Some(&objective),
        metrics: MetricsSources {
            order,
            deadline_seconds: 120,
            tracked,
        },
        failure_rules: &[],
        active_deadline_seconds: None,
        queue_deadline_seconds: None,
        max_infrastructure_failures: 2,
        debounce_seconds: 0,
        hold: false,
        since: Timestamp(0),
        record,
        run,
        now,
    })
}

fn ended(message: Option<&str>) -> Run {
    mk_ended(Exit::Code(0), message)
}

const REPORT: Option<&str> = Some(r#"{"metrics": {"auc": 0.5}}"#);

#[test]
fn the_first_source_with_metrics_wins() {
    let mlflow_first = [Source::Mlflow, Source::TerminationMessage];
    let says = found(&[("auc", 0.9), ("loss", 0.1)]);
    let none = found(&[]);
    let cases: [(&[Source], Option<&str>, &TrackedMetrics, f64); 5] = [
        (&BOTH, REPORT, &says, 0.5),
        (&BOTH, None, &says, 0.9),
        (&mlflow_first, REPORT, &says, 0.9),
        (&mlflow_first, REPORT, &none, 0.5),
        (&[Source::Mlflow], REPORT, &says, 0.9),
    ];
    for (order, message, tracked, objective) in cases {
        let plan = asked(
            &TrialRecord::default(),
            &ended(message),
            order,
            tracked,
            ENDED,
        );
        assert_eq!(plan.record.phase, TrialPhase::Succeeded, "{order:?}");
        assert_eq!(plan.record.objective, Some(objective), "{order:?}");
        assert_eq!(plan.record.completion, Some(ENDED));
    }
}

#[test]
fn a_message_with_anything_in_it_is_the_answer() {
    let new = TrialRecord::default();
    let run = ended(Some(r#"{"metrics": {"loss": 0.1}}"#));
    assert!(!must_ask(&BOTH, &new, &run));
    let record = asked(&new, &run, &BOTH, &found(&[("auc", 0.9)]), ENDED).record;
    assert_eq!(record.reason, Some(TrialReason::MetricsInvalid));
    let lacks = "the trial must report the metric `auc`";
    assert!(record.message.contains(lacks), "{record:?}");
}

#[test]
fn mlflow_is_asked_after_a_good_end_unless_a_source_before_it_has_metrics() {
    let mlflow_first = [Source::Mlflow, Source::TerminationMessage];
    let new = TrialRecord::default();
    let waits = TrialRecord {
        phase: TrialPhase::Running,
        reason: Some(TrialReason::WaitingForMetrics),
        ..TrialRecord::default()
    };
    let good = ended(None);
    let cases: [(&[Source], &TrialRecord, &Run, bool); 7] = [
        (&BOTH, &new, &good, true),
        (&BOTH, &new, &ended(REPORT), false),
        (&mlflow_first, &new, &ended(REPORT), true),
        (&[Source::TerminationMessage], &new, &good, false),
        (&BOTH, &new, &mk_ended(Exit::Code(1), None), false),
        (&BOTH, &new, &mk_running(ENDED), false),
        (&BOTH, &waits, &Run::Absent, true),
    ];
    for (order, record, run, expected) in cases {
        assert_eq!(must_ask(order, record, run), expected, "{order:?} {run:?}");
    }
}

#[test]
fn metrics_are_awaited_until_the_deadline_whatever_becomes_of_the_job() {
    let none = found(&[("loss", 0.1)]);
    let first = asked(&TrialRecord::default(), &ended(None), &BOTH, &none, ENDED);
    let record = &first.record;
    assert_eq!(
        (record.phase, record.reason, first.action),
        (
            TrialPhase::Running,
            Some(TrialReason::WaitingForMetrics),
            None
        )
    );
    let lacks = "the trial must report the metric `auc`; it reported `loss`";
    assert!(record.message.contains(lacks), "{record:?}");
    assert!(first.look_again_at.is_some_and(|at| at <= DEADLINE));

    // The Job is gone, or tells another story by now.
    let lost = mk_ended(
        Exit::Infrastructure("its pod was deleted".to_string()),
        None,
    );
    for run in [&Run::Absent, &lost] {
        let later = asked(record, run, &BOTH, &none, Timestamp(60_000));
        assert_eq!(&later.record, record, "the same words, and no write");
        let there = asked(
            record,
            run,
            &BOTH,
            &found(&[("auc", 0.9)]),
            Timestamp(60_000),
        );
        assert_eq!(there.record.objective, Some(0.9));
        assert_eq!(there.record.completion, Some(ENDED));
        let late = asked(record, run, &BOTH, &none, DEADLINE).record;
        assert_eq!(
            (late.phase, late.reason),
            (TrialPhase::Failed, Some(TrialReason::MetricsMissing))
        );
        assert!(late.message.contains("120 seconds later"), "{late:?}");
        assert!(late.message.contains(lacks), "{late:?}");
        assert_eq!(late.attempts.len(), 1, "it was not run again");
    }
}

#[test]
fn a_server_that_is_away_is_waited_for_an_hour_and_asked_at_least_once() {
    let away = TrackedMetrics::Unavailable("connection refused".to_string());
    let first = asked(&TrialRecord::default(), &ended(None), &BOTH, &away, ENDED).record;
    let at = |tracked: &TrackedMetrics, now| asked(&first, &Run::Absent, &BOTH, tracked, now);
    let later = at(&away, Timestamp(3_600_019));
    assert_eq!(later.record, first);
    let unasked = at(&TrackedMetrics::NotAsked, Timestamp(9_000_000));
    assert_eq!(unasked.record, first);
    assert!(unasked.look_again_at.is_some_and(|at| at.0 > 9_000_000));
    let over = at(&away, Timestamp(3_600_020)).record;
    assert_eq!(over.reason, Some(TrialReason::MetricsMissing));
    assert_eq!(
        over.message,
        "the container ended well, but its run in MLflow could not be read within 3600 seconds: connection refused"
    );
    // What was reported elsewhere counts then.
    let mlflow_first = [Source::Mlflow, Source::TerminationMessage];
    let reported = asked(
        &TrialRecord::default(),
        &ended(REPORT),
        &mlflow_first,
        &away,
        Timestamp(3_600_020),
    );
    assert_eq!(reported.record.objective, Some(0.5));
}

#[test]
fn a_run_that_was_deleted_is_told_from_an_empty_one() {
    let (new, gone) = (TrialRecord::default(), TrackedMetrics::Gone);
    let first = asked(&new, &ended(None), &BOTH, &gone, ENDED).record;
    assert_eq!(first.reason, Some(TrialReason::WaitingForMetrics));
    let restored = found(&[("auc", 0.9)]);
    let there = asked(&first, &Run::Absent, &BOTH, &restored, DEADLINE).record;
    assert_eq!(there.objective, Some(0.9));
    let late = asked(&first, &Run::Absent, &BOTH, &gone, DEADLINE).record;
    assert_eq!(late.reason, Some(TrialReason::MetricsMissing));
    for said in [first, late] {
        let words = "somebody has deleted the run";
        assert!(said.message.contains(words), "{said:?}");
    }
}

#[test]
fn numbers_that_the_objective_needs_must_be_sound_and_others_may_stay_behind() {
    for (value, says) in [
        (f64::NAN, "must be a finite number, not NaN"),
        (f64::INFINITY, "must be a finite number, not inf"),
        (2e18, "must lie between"),
    ] {
        let tracked = found(&[("auc", value)]);
        let plan = asked(
            &TrialRecord::default(),
            &ended(None),
            &BOTH,
            &tracked,
            ENDED,
        );
        assert_eq!(plan.record.reason, Some(TrialReason::MetricsInvalid));
        assert!(plan.record.message.contains(says), "{:?}", plan.record);
    }
    let mut many = vec![("auc".to_string(), 0.9), ("nan".to_string(), f64::NAN)];
    many.extend((0..300).map(|number| (format!("a{number:03}"), 1.0)));
    let tracked = TrackedMetrics::Found(many.into_iter().collect());
    let plan = asked(
        &TrialRecord::default(),
        &ended(None),
        &BOTH,
        &tracked,
        ENDED,
    );
    let metrics = plan.record.metrics;
    assert_eq!(metrics.len(), 200);
    assert!(metrics.iter().any(|metric| metric.name == "auc"));
    assert!(metrics.iter().all(|metric| metric.name != "nan"));
    assert_eq!(plan.record.objective, Some(0.9));
}
