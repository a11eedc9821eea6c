//! What a policy does while a comparison waits for files, for its own run, or for its verdict.

use super::rules::{rest, world};
use super::world::{CHALLENGER, Lens, OWNER, World};
use podium_core::champion::{
    Action, Challengers, ChampionInput, EvaluationState, EvaluationView, Identity, Phase, Plan,
    Policy, Predictions, Reason, WaitingFor, WindowView, plan,
};
use podium_core::time::Timestamp;
use std::collections::BTreeMap;

/// Version 1 is champion, and nothing is left to do until version 2 wants to be.
fn challenged() -> World {
    let mut world = world(|_| {}, Some("1"));
    world.point(CHALLENGER, None);
    rest(&mut world);
    world.point(CHALLENGER, Some("2"));
    world
}

/// The plan while the comparison is so far, and the predictions are so.
fn planned(world: &World, state: EvaluationState<'_>, of_challenger: Predictions) -> Plan {
    let predictions = BTreeMap::from([("2".to_string(), [Predictions::Present, of_challenger])]);
    let evaluations = [EvaluationView {
        name: "fraud-1-2".to_string(),
        champion: "1".to_string(),
        challenger: "2".to_string(),
        state,
    }];
    plan_of(world, &world.wishes.policy(), &predictions, &evaluations)
}

fn plan_of(
    world: &World,
    policy: &Policy,
    predictions: &BTreeMap<String, [Predictions; 2]>,
    evaluations: &[EvaluationView<'_>],
) -> Plan {
    let ledger = world.ledger();
    let identity = Identity {
        uid: "uid".to_string(),
        owner: OWNER.to_string(),
        take_over: None,
        older: None,
    };
    let input = ChampionInput {
        policy,
        identity: &identity,
        leads: true,
        registry: Some(&world.registry),
        ledger: Ok(&ledger),
        ledger_denied: None,
        previous_denied: false,
        memory: &world.memory,
        registered: &[],
        predictions,
        evaluations,
        approvals: &[],
        window: WindowView::ALWAYS,
    };
    plan(&input, world.now())
}

fn waiting(next: Option<Timestamp>, made: bool) -> EvaluationState<'static> {
    EvaluationState::Waiting(WaitingFor {
        words: "s3://b/2 is missing".to_string(),
        next,
        made,
    })
}

#[test]
fn files_that_are_missing_are_looked_for_at_their_time_and_at_once_when_they_were_made() {
    let world = challenged();
    let (now, later) = (world.now(), world.now().plus_seconds(15));
    let again = [Action::LookAgain {
        evaluation: "fraud-1-2".to_string(),
    }];
    for (next, made, is_due) in [
        (Some(later), false, false),
        (Some(now), false, true),
        (Some(later), true, true),
        // The clock went back since.
        (Some(world.now().plus_seconds(86_400)), false, true),
        // Somebody looks already.
        (None, true, false),
    ] {
        let plan = planned(&world, waiting(next, made), Predictions::Present);
        let reason = (plan.reason, plan.phase);
        assert_eq!(reason, (Reason::AwaitingPredictions, Phase::Evaluating));
        assert_eq!(
            plan.message,
            "v2 is not compared with v1 yet: s3://b/2 is missing"
        );
        let expected = if is_due { &again[..] } else { &[] };
        assert_eq!(plan.actions, expected, "{next:?} {made}");
        let looks = if is_due { None } else { next };
        assert_eq!(plan.look_again_at, looks, "{next:?} {made}");
    }
}

#[test]
fn a_scorer_that_can_make_what_is_missing_does_so_first() {
    let world = challenged();
    let missing = Predictions::Missing {
        inputs: "inputs".to_string(),
    };
    let plan = planned(&world, waiting(Some(world.now()), false), missing);
    assert_eq!(plan.reason, Reason::Scoring);
    assert!(matches!(&plan.actions[..], [Action::Score { version, .. }] if version == "2"));
    let plan = planned(
        &world,
        waiting(Some(world.now()), false),
        Predictions::InProgress(None),
    );
    assert_eq!((plan.reason, plan.actions.len()), (Reason::Scoring, 0));
}

/// The plan when versions 2 and 3 want to be champion, and these comparisons were made.
fn with_both(
    world: &World,
    of_second: Predictions,
    evaluations: &[EvaluationView<'static>],
) -> Plan {
    let policy = Policy {
        challengers: Challengers::Versions {
            newer_than_champion: true,
            tags: BTreeMap::new(),
        },
        ..world.wishes.policy()
    };
    let third = [Predictions::Present, Predictions::Present];
    let predictions = BTreeMap::from([
        ("2".to_string(), [Predictions::Present, of_second]),
        ("3".to_string(), third),
    ]);
    plan_of(world, &policy, &predictions, evaluations)
}

/// Version 3 was compared, and so far is the scorer of version 2.
fn beside(world: &World, of_second: Predictions) -> Plan {
    let mut evaluations = world.evaluations(&Lens::CLEAR);
    evaluations.retain(|evaluation| evaluation.challenger == "3");
    with_both(world, of_second, &evaluations)
}

/// The second verdict is what it would have been, and no second look is paid for it.
#[test]
fn a_batch_of_which_one_was_judged_before_a_death_keeps_its_look() {
    let mut world = challenged();
    let planned = |world: &World| {
        let evaluations = world.evaluations(&Lens::CLEAR);
        with_both(world, Predictions::Present, &evaluations)
    };
    let claim = planned(&world);
    world.store(&claim, &Lens::CLEAR);
    while !world.doing.is_empty() {
        world.step();
    }
    let judge = planned(&world);
    assert!(
        matches!(
            judge.actions[..],
            [Action::Judge { .. }, Action::Judge { .. }]
        ),
        "{:?}",
        judge.actions
    );
    for first in [0, 1] {
        let mut world = world.clone();
        world.store(&judge, &Lens::CLEAR);
        world.doing.swap(0, first);
        world.step();
        world.doing.clear();
        assert_eq!(world.verdicts.len(), 1);
        let after = planned(&world);
        assert_eq!(after.actions, [judge.actions[1 - first].clone()]);
    }
}

#[test]
fn nobody_waits_for_a_scorer_that_cannot_start() {
    let world = challenged();
    let why = "the scorer of v2 waits: ErrImagePull";
    let starting = beside(&world, Predictions::InProgress(Some(why.to_string())));
    assert_eq!(
        (starting.reason, starting.actions.len()),
        (Reason::Scoring, 0)
    );
    assert!(starting.message.ends_with(why), "{}", starting.message);

    let at = world.now().plus_seconds(20);
    let awaited = WaitingFor {
        words: why.to_string(),
        next: Some(at),
        made: false,
    };
    let goes_on = beside(&world, Predictions::Awaited(awaited.clone()));
    let claims = goes_on.actions.iter().any(
        |action| matches!(action, Action::Write(register) if register.key.starts_with("look/")),
    );
    assert!(claims, "{:?}", goes_on.actions);
    assert_eq!(goes_on.look_again_at, Some(at));

    let alone = planned(
        &world,
        EvaluationState::Pending(None),
        Predictions::Awaited(awaited),
    );
    assert_eq!(alone.reason, Reason::AwaitingPredictions);
    assert_eq!(alone.look_again_at, Some(at));
    assert!(alone.message.ends_with(why), "{}", alone.message);
}

#[test]
fn what_holds_up_the_run_of_a_comparison_is_told() {
    let world = challenged();
    let told = |waits: Option<&str>| {
        let state = EvaluationState::Pending(waits.map(str::to_string));
        let plan = planned(&world, state, Predictions::Present);
        assert_eq!((plan.reason, plan.actions.len()), (Reason::Comparing, 0));
        plan.message
    };
    assert_eq!(told(None), "v2 is being compared with v1");
    assert_eq!(
        told(Some("secret \"s3\" not found")),
        "v2 is being compared with v1, and waits: secret \"s3\" not found"
    );
}
