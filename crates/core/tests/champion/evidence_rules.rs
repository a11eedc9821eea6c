//! Stories of evidence that only Jobs read: it is looked at again before an alias moves on it, if it is not new.

use super::rules::{approve, outcomes, rest, settle};
use super::scenarios::judged;
use super::wishes::Files;
use super::world::{CHAMPION, Lens, World};
use podium_core::champion::{
    Action, EpochCause, EpochOutcome, Gate, Mode, MovePhase, Phase, Plan, Reason,
};

/// Plans once and does everything; what was planned.
fn take_a_step(world: &mut World) -> Plan {
    let plan = world.plan(&Lens::CLEAR);
    world.store(&plan, &Lens::CLEAR);
    while !world.doing.is_empty() {
        world.step();
    }
    plan
}

fn look(number: u32) -> Action {
    Action::Confirm {
        evaluation: "1-2-First".to_string(),
        number,
    }
}

#[test]
fn evidence_that_is_new_needs_no_look() {
    let mut world = judged(Mode::Automatic);
    let plan = take_a_step(&mut world);
    assert_eq!((plan.reason, plan.actions.len()), (Reason::MovingAlias, 0));
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"));
}

#[test]
fn evidence_that_waited_is_looked_at_once_nothing_else_holds_the_move() {
    let mut world = judged(Mode::Automatic);
    world.window = false;
    world.time += 1;
    let plan = take_a_step(&mut world);
    assert_eq!(
        (plan.reason, plan.actions.len()),
        (Reason::OutsideWindow, 0)
    );

    world.window = true;
    let plan = take_a_step(&mut world);
    assert_eq!(
        (plan.reason, plan.phase),
        (Reason::ConfirmingEvidence, Phase::Evaluating)
    );
    assert_eq!(plan.actions, [look(1)]);
    assert!(
        plan.message.contains("last seen more than 10 minutes ago"),
        "{}",
        plan.message
    );

    let plan = take_a_step(&mut world);
    assert_eq!(
        (plan.reason, plan.actions.len()),
        (Reason::ConfirmingEvidence, 0),
        "nobody asks twice"
    );
    assert_eq!(
        (world.alias(CHAMPION), &world.memory.in_flight),
        (Some("1"), &None)
    );
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"));
}

#[test]
fn consent_to_files_that_changed_is_none() {
    let mut world = judged(Mode::Approval);
    rest(&mut world);
    let before = world.shown.clone().unwrap();
    world.time += 1;
    world.files = Files::OneRowChanged;
    approve(&mut world, "alice", true);
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.phase),
        (Some("1"), Phase::AwaitingApproval)
    );
    assert_ne!(world.shown.clone().unwrap().digest, before.digest);
    approve(&mut world, "alice", true);
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"));
}

/// A world in which a move came to this phase, and its evidence is not new any more.
fn moving(phase: MovePhase) -> World {
    let mut world = judged(Mode::Automatic);
    let _ = take_a_step(&mut world);
    if phase == MovePhase::Claimed {
        let _ = take_a_step(&mut world);
    }
    world.time += 1;
    world
}

#[test]
fn a_begun_move_waits_for_a_look_at_evidence_that_became_old() {
    for phase in [MovePhase::Intended, MovePhase::Claimed] {
        let mut world = moving(phase);
        let plan = take_a_step(&mut world);
        assert_eq!(plan.actions, [look(1)], "{phase:?}");
        let in_flight = world.memory.in_flight.as_ref().unwrap();
        assert_eq!(in_flight.phase, phase);
        rest(&mut world);
        assert_eq!(world.alias(CHAMPION), Some("2"), "{phase:?}");
    }
}

#[test]
fn a_begun_move_on_files_that_changed_is_void() {
    for phase in [MovePhase::Intended, MovePhase::Claimed] {
        let mut world = moving(phase);
        world.files = Files::OneRowChanged;
        let most = super::model::fixed_point(&world);
        let rested = world.settle(&Lens::CLEAR, most);
        assert!(rested.is_some(), "{phase:?}");
        let void = (EpochCause::Promotion, EpochOutcome::Void(Gate::Evidence));
        let outcomes = outcomes(&world);
        assert!(outcomes.contains(&void), "{phase:?}: {outcomes:?}");
        // It won on the new files too.
        assert_eq!(outcomes[0].1, EpochOutcome::Promoted, "{phase:?}");
    }
}

#[test]
fn whatever_else_closes_voids_a_move_that_waits_for_a_look() {
    let mut world = moving(MovePhase::Claimed);
    let _ = take_a_step(&mut world);
    world.wishes.suspend = true;
    let plan = take_a_step(&mut world);
    assert_eq!(plan.closed, Some(Gate::Suspended));
    rest(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), &world.memory.in_flight),
        (Some("1"), &None)
    );
}

#[test]
fn a_look_that_could_not_be_carried_out_is_said_and_asked_for_again() {
    let mut world = judged(Mode::Automatic);
    world.time += 1;
    let _ = take_a_step(&mut world);
    let mut world = world.job_dies().unwrap().job_is_heard().unwrap();
    let plan = take_a_step(&mut world);
    assert_eq!(
        (plan.reason, plan.phase, plan.actions.len()),
        (Reason::EvidenceUnconfirmed, Phase::Held, 0)
    );
    assert!(
        plan.message.contains("the Job was killed"),
        "{}",
        plan.message
    );
    assert_eq!(plan.look_again_at, Some(world.now().plus_seconds(30)));
    world.time += 1;
    let plan = take_a_step(&mut world);
    assert_eq!(
        (plan.reason, plan.actions),
        (Reason::EvidenceUnconfirmed, vec![look(2)])
    );
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"));
}
