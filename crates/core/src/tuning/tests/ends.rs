//! Searches that end by time, and searches that go on after their end.

use super::*;

fn mk_register(refit: bool) -> Option<Register> {
    Some(Register {
        model: "m".to_string(),
        alias: Some("challenger".to_string()),
        refit,
    })
}

fn mk_registered(winner: &str) -> Registered {
    Registered {
        model: "m".to_string(),
        version: "1".to_string(),
        winner: winner.to_string(),
        alias: Some("challenger".to_string()),
        alias_left: false,
    }
}

fn mk_refit(name: &str, of: &ObservedTrial, phase: TrialPhase) -> ObservedTrial {
    ObservedTrial {
        name: name.to_string(),
        refit: true,
        configuration: of.configuration.clone(),
        ..mk_trial(9, phase, None)
    }
}

#[test]
fn a_search_whose_time_is_up_stops_its_trials_and_registers_its_best() {
    let mut settings = mk_settings(3, 3);
    settings.active_deadline_seconds = Some(1000);
    settings.register = mk_register(false);
    let mut trials = [
        mk_trial(1, TrialPhase::Succeeded, Some(0.7)),
        mk_trial(2, TrialPhase::Succeeded, Some(0.9)),
        mk_trial(3, TrialPhase::Running, None),
    ];
    let stopping = plan(&mk_input(&settings, &trials), NOW);
    let stop = Action::StopTrial {
        name: "forest-3".to_string(),
        reason: TrialReason::SearchEnded,
    };
    assert_eq!(stopping.actions, [stop]);
    trials[2] = mk_trial(3, TrialPhase::StoppedEarly, None);
    trials[2].record.reason = Some(TrialReason::SearchEnded);
    let register = Action::RegisterWinner {
        trial: "forest-2".to_string(),
        winner: "forest-2".to_string(),
    };
    assert_eq!(plan(&mk_input(&settings, &trials), NOW).actions, [register]);
    let mut added_up = FinishedTrials::new();
    for trial in &trials {
        added_up.add(&settings, trial);
    }
    let mut input = mk_input(&settings, &trials);
    input.registered = Some(mk_registered("forest-2"));
    let short = TuningInput {
        finished: &added_up,
        registered: input.registered.clone(),
        ..mk_input(&settings, &[])
    };
    for input in [input, short] {
        let done = plan(&input, NOW);
        assert_eq!(done.actions, []);
        assert_eq!(
            (done.report.phase, done.report.reason),
            (Phase::Succeeded, Reason::DeadlineExceeded)
        );
        assert_eq!(
            done.report.message,
            "the search ran longer than `activeDeadlineSeconds` 1000; the best of 3 trials is forest-2; \
             registered as version 1 of m"
        );
    }
}

#[test]
fn a_budget_that_was_spent_in_time_is_no_matter_of_time() {
    let mut settings = mk_settings(1, 1);
    settings.active_deadline_seconds = Some(1000);
    let trials = [mk_trial(1, TrialPhase::Succeeded, Some(0.7))];
    let late = plan(&mk_input(&settings, &trials), NOW.plus_seconds(9));
    assert_eq!(late.report.reason, Reason::MaxTrialsReached);
}

#[test]
fn a_better_winner_of_a_search_that_went_on_is_registered_once() {
    let mut settings = mk_settings(2, 1);
    settings.register = mk_register(false);
    let trials = [
        mk_trial(1, TrialPhase::Succeeded, Some(0.7)),
        mk_trial(2, TrialPhase::Succeeded, Some(0.9)),
    ];
    let actions = |registered: Registered| {
        let mut input = mk_input(&settings, &trials);
        input.registered = Some(registered);
        let plan = plan(&input, NOW);
        (plan.actions, plan.report.reason)
    };
    let register = Action::RegisterWinner {
        trial: "forest-2".to_string(),
        winner: "forest-2".to_string(),
    };
    let again = (vec![register], Reason::RegisteringWinner);
    assert_eq!(actions(mk_registered("forest-1")), again);
    assert_eq!(
        actions(mk_registered("forest-2")),
        (vec![], Reason::MaxTrialsReached)
    );
    // What it was done for is more than the winner.
    let mut elsewhere = mk_registered("forest-2");
    elsewhere.model = "other".to_string();
    assert_eq!(actions(elsewhere), again);
    let mut unnamed = mk_registered("forest-2");
    unnamed.alias = None;
    assert_eq!(actions(unnamed), again);
}

#[test]
fn each_winner_has_a_refit_of_its_own() {
    let mut settings = mk_settings(2, 1);
    settings.register = mk_register(true);
    let mut trials = vec![
        mk_trial(1, TrialPhase::Succeeded, Some(0.7)),
        mk_trial(2, TrialPhase::Succeeded, Some(0.9)),
    ];
    trials.push(mk_refit("forest-refit", &trials[0], TrialPhase::Running));
    let step = |trials: &[ObservedTrial]| {
        let mut input = mk_input(&settings, trials);
        input.registered = Some(mk_registered("forest-1"));
        plan(&input, NOW)
    };
    let stop = Action::StopTrial {
        name: "forest-refit".to_string(),
        reason: TrialReason::SearchEnded,
    };
    assert_eq!(step(&trials).actions, [stop]);
    trials[2].record.phase = TrialPhase::Succeeded;
    let refit = step(&trials);
    assert_eq!(created(&refit), ["forest-refit2"]);
    assert_eq!(refit.report.reason, Reason::RefittingWinner);
    trials.push(mk_refit("forest-refit2", &trials[1], TrialPhase::Running));
    let waits = step(&trials);
    assert_eq!(
        (waits.actions.len(), waits.report.reason),
        (0, Reason::RefittingWinner)
    );
    trials[3].record.phase = TrialPhase::Succeeded;
    let register = Action::RegisterWinner {
        trial: "forest-refit2".to_string(),
        winner: "forest-2".to_string(),
    };
    assert_eq!(step(&trials).actions, [register]);
}

#[test]
fn an_alias_that_was_left_alone_is_told() {
    let mut settings = mk_settings(1, 1);
    settings.register = mk_register(false);
    let trials = [mk_trial(1, TrialPhase::Succeeded, Some(0.9))];
    let mut input = mk_input(&settings, &trials);
    input.registered = Some(Registered {
        alias_left: true,
        ..mk_registered("forest-1")
    });
    assert_eq!(
        plan(&input, NOW).report.message,
        "1 trial ended; the best is forest-1; registered as version 1 of m; \
         the alias `challenger` was left alone, because others have moved it"
    );
}
