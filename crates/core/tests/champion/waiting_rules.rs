//! What a policy does while a comparison waits for files, or for its own run.

use super::rules::{rest, world};
use super::world::{CHALLENGER, OWNER, World};
use podium_core::champion::{
    Action, ChampionInput, EvaluationState, EvaluationView, Identity, Phase, Plan, Predictions,
    Reason, WaitingFor, WindowView, plan,
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
    let (policy, ledger) = (world.wishes.policy(), world.ledger());
    let identity = Identity {
        uid: "uid".to_string(),
        owner: OWNER.to_string(),
        take_over: None,
        older: None,
    };
    let predictions = BTreeMap::from([("2".to_string(), [Predictions::Present, of_challenger])]);
    let evaluations = [EvaluationView {
        name: "fraud-1-2".to_string(),
        champion: "1".to_string(),
        challenger: "2".to_string(),
        state,
    }];
    let input = ChampionInput {
        policy: &policy,
        identity: &identity,
        leads: true,
        registry: Some(&world.registry),
        ledger: Ok(&ledger),
        ledger_denied: None,
        previous_denied: false,
        memory: &world.memory,
        registered: &[],
        predictions: &predictions,
        evaluations: &evaluations,
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
        Predictions::InProgress,
    );
    assert_eq!((plan.reason, plan.actions.len()), (Reason::Scoring, 0));
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
