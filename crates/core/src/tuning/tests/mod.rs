//! Decisions of a search on hand-made situations.

use super::trial::{
    Attempt, EndedRun, Exit, MetricsSources, Phase as TrialPhase, Reason as TrialReason, Run,
    Source, TrackedMetrics, TrialAction, TrialInput,
};
use super::*;
use crate::objective::ObjectiveSource;
use crate::search::Direction;
use crate::space::{Domain, Parameter, Scale};
use crate::value::ParameterValue;
use std::sync::LazyLock;

mod ends;
mod lost_runs;
mod sources;
mod trials;

const NOW: Timestamp = Timestamp(1_000_000);

fn mk_settings(max_trials: u32, parallelism: u32) -> Settings {
    let rate = Parameter {
        name: "rate".to_string(),
        domain: Domain::Real {
            min: 0.0,
            max: 1.0,
            scale: Scale::Linear,
            step: None,
        },
        when: None,
    };
    Settings {
        name: "forest".to_string(),
        space: Space::new(vec![rate], Vec::new()).unwrap(),
        algorithm: Algorithm::Random,
        objective: mk_objective(None),
        max_trials,
        max_failed_trials: None,
        parallelism,
        active_deadline_seconds: None,
        initial_trials: Vec::new(),
        seed: 42,
        suspend: false,
        register: None,
    }
}

fn mk_objective(target: Option<f64>) -> Objective {
    let source = ObjectiveSource::Metric("auc".to_string());
    Objective::new(Direction::Maximize, source, target, Vec::new()).unwrap()
}

fn mk_trial(index: u32, phase: TrialPhase, objective: Option<f64>) -> ObservedTrial {
    let rate = ParameterValue::Real(f64::from(index) / 100.0);
    ObservedTrial {
        name: format!("forest-{index}"),
        index,
        configuration: Configuration::from([("rate".to_string(), rate)]),
        refit: false,
        record: TrialRecord {
            phase,
            objective,
            ..TrialRecord::default()
        },
    }
}

fn mk_input<'a>(settings: &'a Settings, trials: &'a [ObservedTrial]) -> TuningInput<'a> {
    static NONE: LazyLock<FinishedTrials> = LazyLock::new(FinishedTrials::new);
    TuningInput {
        suspended_milliseconds: 0,
        settings,
        finished: &NONE,
        trials,
        started: Some(Timestamp(0)),
        ended: None,
        registered: None,
        blocked: None,
        deleting: false,
    }
}

fn created(plan: &Plan) -> Vec<&str> {
    plan.actions
        .iter()
        .map(|action| match action {
            Action::CreateTrial(new) => new.name.as_str(),
            other => panic!("only trials are to be created, not {other:?}"),
        })
        .collect()
}

#[test]
fn creates_as_many_trials_as_may_run_and_never_two_alike() {
    let settings = mk_settings(15, 4);
    let plan = plan(&mk_input(&settings, &[]), NOW);
    assert_eq!(
        created(&plan),
        ["forest-1", "forest-2", "forest-3", "forest-4"]
    );
    let mut seen: Vec<&Configuration> = Vec::new();
    for action in &plan.actions {
        let Action::CreateTrial(new) = action else {
            unreachable!()
        };
        assert!(!seen.contains(&&new.configuration));
        assert!(new.seed < 1 << 32);
        seen.push(&new.configuration);
    }
    assert_eq!(plan.report.phase, Phase::Pending);
}

/// A search of 40 trials, planned once with all of them and once with the finished ones added up, in any order.
#[test]
fn finished_trials_that_were_added_up_give_the_plan_of_all_trials() {
    let mut settings = mk_settings(60, 4);
    settings.max_failed_trials = Some(30);
    let phases = [
        TrialPhase::Succeeded,
        TrialPhase::Failed,
        TrialPhase::Infeasible,
        TrialPhase::StoppedEarly,
    ];
    for algorithm in [Algorithm::Random, Algorithm::Auto, Algorithm::Sobol] {
        settings.algorithm = algorithm;
        for ended in [0, 1, 7, 38] {
            let mut trials: Vec<ObservedTrial> = (1..=ended)
                .map(|index| {
                    let phase = phases[index as usize % 4];
                    let value = f64::from(index % 5) / 7.0;
                    let mut trial = mk_trial(index, phase, (index % 4 == 0).then_some(value));
                    trial.record.start = Some(Timestamp(1_000));
                    trial.record.completion = Some(Timestamp(1_000 + i64::from(index)));
                    trial
                })
                .collect();
            let running = [ended + 1, ended + 3].map(|i| mk_trial(i, TrialPhase::Running, None));
            let mut finished = FinishedTrials::new();
            for trial in trials.iter().rev() {
                finished.add(&settings, trial);
            }
            let added_up = TuningInput {
                finished: &finished,
                ..mk_input(&settings, &running)
            };
            let short = plan(&added_up, NOW);
            trials.extend(running.clone());
            let whole = plan(&mk_input(&settings, &trials), NOW);
            assert_eq!(short.actions, whole.actions);
            assert_eq!(short.report, whole.report);
        }
    }
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let settings = mk_settings(15, 3);
    let mut trials = vec![
        mk_trial(1, TrialPhase::Succeeded, Some(0.9)),
        mk_trial(2, TrialPhase::Running, None),
        mk_trial(3, TrialPhase::Failed, None),
    ];
    let first = plan(&mk_input(&settings, &trials), NOW);
    trials.reverse();
    let second = plan(&mk_input(&settings, &trials), NOW);
    assert_eq!(first.actions, second.actions);
    assert_eq!(created(&first), ["forest-4", "forest-5"]);
}

#[test]
fn a_lowered_parallelism_drains() {
    let settings = mk_settings(15, 1);
    let trials = [
        mk_trial(1, TrialPhase::Running, None),
        mk_trial(2, TrialPhase::Running, None),
    ];
    assert!(plan(&mk_input(&settings, &trials), NOW).actions.is_empty());
}

#[test]
fn the_last_trials_stay_within_the_budget() {
    let settings = mk_settings(3, 8);
    let trials = [
        mk_trial(1, TrialPhase::Succeeded, Some(0.5)),
        mk_trial(2, TrialPhase::Running, None),
    ];
    assert_eq!(
        created(&plan(&mk_input(&settings, &trials), NOW)),
        ["forest-3"]
    );
}

#[test]
fn ends_when_the_budget_is_spent_and_names_the_best() {
    let settings = mk_settings(3, 2);
    let trials = [
        mk_trial(1, TrialPhase::Succeeded, Some(0.7)),
        mk_trial(2, TrialPhase::Succeeded, Some(0.9)),
        mk_trial(3, TrialPhase::Infeasible, Some(0.99)),
    ];
    let plan = plan(&mk_input(&settings, &trials), NOW);
    assert_eq!(
        (plan.report.phase, plan.report.reason),
        (Phase::Succeeded, Reason::MaxTrialsReached)
    );
    assert_eq!(plan.report.best.unwrap().trial, "forest-2");
    assert_eq!(plan.report.progress, "3/3");
}

#[test]
fn a_reached_target_stops_what_still_runs() {
    let mut settings = mk_settings(15, 2);
    settings.objective = mk_objective(Some(0.9));
    let trials = [
        mk_trial(1, TrialPhase::Succeeded, Some(0.95)),
        mk_trial(2, TrialPhase::Running, None),
    ];
    let plan = plan(&mk_input(&settings, &trials), NOW);
    let stop = Action::StopTrial {
        name: "forest-2".to_string(),
        reason: TrialReason::SearchEnded,
    };
    assert_eq!(plan.actions, [stop]);
    assert_eq!(
        (plan.report.phase, plan.report.reason),
        (Phase::Running, Reason::TargetReached)
    );
}

#[test]
fn too_many_failures_and_the_deadline_fail_the_search() {
    let mut settings = mk_settings(15, 2);
    settings.max_failed_trials = Some(1);
    let trials = [
        mk_trial(1, TrialPhase::Failed, None),
        mk_trial(2, TrialPhase::Failed, None),
    ];
    let allowed = plan(&mk_input(&settings, &trials[..1]), NOW);
    assert_eq!(allowed.report.phase, Phase::Running);
    let failed = plan(&mk_input(&settings, &trials), NOW);
    assert_eq!(
        (failed.report.phase, failed.report.reason),
        (Phase::Failed, Reason::TooManyFailedTrials)
    );

    let mut settings = mk_settings(15, 2);
    settings.active_deadline_seconds = Some(1000);
    let trials = [mk_trial(1, TrialPhase::Succeeded, Some(0.5))];
    assert!(
        !plan(&mk_input(&settings, &trials), Timestamp(999_999))
            .actions
            .is_empty()
    );
    let late = plan(&mk_input(&settings, &trials), Timestamp(1_000_000));
    assert_eq!(
        (late.report.phase, late.report.reason),
        (Phase::Succeeded, Reason::DeadlineExceeded)
    );
    let none = plan(&mk_input(&settings, &[]), Timestamp(1_000_000));
    assert_eq!(
        (none.report.phase, none.report.reason),
        (Phase::Failed, Reason::DeadlineExceeded)
    );
}

#[test]
fn all_trials_failed_is_a_failed_search() {
    let settings = mk_settings(1, 1);
    let plan = plan(
        &mk_input(&settings, &[mk_trial(1, TrialPhase::Failed, None)]),
        NOW,
    );
    assert_eq!(
        (plan.report.phase, plan.report.reason),
        (Phase::Failed, Reason::NoSuccessfulTrial)
    );
    let said = &plan.report.message;
    assert!(
        said.contains(&mk_trial(1, TrialPhase::Failed, None).name),
        "{said}"
    );
}

#[test]
fn suspended_or_blocked_creates_nothing() {
    let mut settings = mk_settings(15, 2);
    settings.suspend = true;
    let plan_suspended = plan(&mk_input(&settings, &[]), NOW);
    assert_eq!(
        (plan_suspended.actions.len(), plan_suspended.report.phase),
        (0, Phase::Suspended)
    );
    let settings = mk_settings(15, 2);
    let mut input = mk_input(&settings, &[]);
    input.blocked = Some("the template is refused".to_string());
    let blocked = plan(&input, NOW);
    assert_eq!(
        (blocked.actions.len(), blocked.report.phase),
        (0, Phase::Blocked)
    );
}

#[test]
fn the_winner_is_refitted_then_registered_and_then_nothing_is_left() {
    let mut settings = mk_settings(1, 1);
    settings.register = Some(Register {
        model: "m".to_string(),
        alias: None,
        refit: true,
    });
    let mut trials = vec![mk_trial(1, TrialPhase::Succeeded, Some(0.9))];
    let refit = plan(&mk_input(&settings, &trials), NOW);
    assert_eq!(created(&refit), ["forest-refit"]);
    assert_eq!(refit.report.reason, Reason::RefittingWinner);

    trials.push(ObservedTrial {
        name: "forest-refit".to_string(),
        refit: true,
        configuration: trials[0].configuration.clone(),
        ..mk_trial(2, TrialPhase::Running, None)
    });
    assert!(plan(&mk_input(&settings, &trials), NOW).actions.is_empty());
    trials[1].record.phase = TrialPhase::Succeeded;
    let register = plan(&mk_input(&settings, &trials), NOW);
    let want = Action::RegisterWinner {
        trial: "forest-refit".to_string(),
        winner: "forest-1".to_string(),
    };
    assert_eq!(register.actions, [want]);
    assert_eq!(
        register.report.counts.total, 1,
        "the refit is no part of the search"
    );

    let mut input = mk_input(&settings, &trials);
    input.registered = Some(Registered {
        model: "m".to_string(),
        version: "2".to_string(),
        winner: "forest-1".to_string(),
        alias: None,
        alias_left: false,
    });
    let done = plan(&input, NOW);
    assert!(done.actions.is_empty());
    assert_eq!(done.report.phase, Phase::Succeeded);
}

#[test]
fn initial_trials_come_first() {
    let mut settings = mk_settings(3, 3);
    let given = Configuration::from([("rate".to_string(), ParameterValue::Real(0.25))]);
    settings.initial_trials = vec![given.clone()];
    let plan = plan(&mk_input(&settings, &[]), NOW);
    let Action::CreateTrial(first) = &plan.actions[0] else {
        unreachable!()
    };
    assert_eq!(
        (&first.configuration, first.origin.as_str()),
        (&given, "Initial")
    );
    let Action::CreateTrial(second) = &plan.actions[1] else {
        unreachable!()
    };
    assert_ne!(second.origin, "Initial");
}
