//! One story for each rule of the champion: what people do, and what must come of it.

use super::model::FIXED_POINT;
use super::wishes::{Files, Wishes};
use super::world::{CHALLENGER, CHAMPION, Lens, PREVIOUS, World};
use podium_core::champion::ledger::{Owner, owner_register};
use podium_core::champion::{
    ApprovalView, EpochCause, EpochOutcome, Exclusivity, Gate, Mode, MovePhase, Phase, Plan, Reason,
};

pub fn world(change: impl FnOnce(&mut Wishes), champion: Option<&str>) -> World {
    let mut wishes = Wishes::automatic();
    change(&mut wishes);
    World::new(wishes, &["1", "2", "3"], champion, Some("2"))
}

pub fn settle(world: &mut World) -> Plan {
    world
        .settle(&Lens::CLEAR, FIXED_POINT)
        .expect("plans come to rest")
        .1
}

pub fn rest(world: &mut World) {
    let _ = settle(world);
}

/// Plans until a move is in flight in this phase.
pub fn until(world: &mut World, phase: MovePhase) {
    for _ in 0..FIXED_POINT {
        let begun = world.memory.in_flight.as_ref();
        if begun.is_some_and(|move_| move_.phase == phase) {
            return;
        }
        let plan = world.plan(&Lens::CLEAR);
        world.store(&plan, &Lens::CLEAR);
        while !world.doing.is_empty() {
            world.step();
        }
    }
    panic!("no move came to {phase:?}");
}

pub fn approve(world: &mut World, approver: &str, approves: bool) {
    let shown = world.shown.clone().expect("a decision waits for consent");
    world.approvals.push(ApprovalView {
        decision: shown.id,
        evidence: shown.digest,
        approves,
        approver: approver.to_string(),
        comment: None,
        at: world.now(),
    });
}

pub fn outcomes(world: &World) -> Vec<(EpochCause, EpochOutcome)> {
    let newest_first = world.memory.history.iter();
    newest_first
        .map(|entry| (entry.cause, entry.outcome))
        .collect()
}

#[test]
fn a_better_challenger_becomes_champion_and_the_old_one_is_remembered() {
    let mut world = world(|_| {}, Some("1"));
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), world.alias(PREVIOUS)),
        (Some("2"), Some("1"))
    );
    assert_eq!(last.reason, Reason::UpToDate);
    let expected = [
        (EpochCause::Promotion, EpochOutcome::Promoted),
        (EpochCause::External, EpochOutcome::External),
    ];
    assert_eq!(outcomes(&world), expected);
    assert_eq!(
        world.memory.history[0].sentence,
        "v2 is as found. Promoted."
    );
}

#[test]
fn k1_what_a_person_moved_away_from_is_not_proposed_again_on_the_same_rows() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (Some("1"), Reason::Refused)
    );
    world.files = Files::OneRowChanged;
    assert_eq!(
        settle(&mut world).reason,
        Reason::Refused,
        "one changed row is no new evidence"
    );
    world.files = Files::NewHoldout;
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"), "other rows are");
}

#[test]
fn k1_somebody_may_ask_for_a_refused_version_again_but_only_once() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    rest(&mut world);
    world.wishes.reconsider = vec!["2".to_string()];
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"));
    world.point(CHAMPION, Some("1"));
    assert_eq!(
        settle(&mut world).reason,
        Reason::Refused,
        "a later refusal is not lifted"
    );
    world.memory = Default::default();
    assert_eq!(
        settle(&mut world).reason,
        Reason::Refused,
        "also when the status was lost"
    );
}

#[test]
fn k1_removing_a_pin_leaves_what_it_replaced_refused() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.wishes.pin = Some("1".to_string());
    assert_eq!(settle(&mut world).reason, Reason::Pinned);
    world.wishes.pin = None;
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (Some("1"), Reason::Refused)
    );
}

#[test]
fn k1_a_change_of_champion_voids_consent() {
    let mut world = world(|w| w.mode = Mode::Approval, Some("1"));
    rest(&mut world);
    approve(&mut world, "alice", true);
    world.point(CHAMPION, Some("3"));
    world.point(CHALLENGER, Some("2"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.phase),
        (Some("1"), Phase::AwaitingApproval)
    );
}

#[test]
fn k2_consent_expires_and_a_rejection_stands() {
    let mut world = world(|w| w.mode = Mode::Approval, Some("1"));
    rest(&mut world);
    approve(&mut world, "alice", true);
    world.time += 1;
    assert_eq!(
        settle(&mut world).phase,
        Phase::AwaitingApproval,
        "the approval expired"
    );
    approve(&mut world, "bob", false);
    rest(&mut world);
    world.time += 2;
    world.wishes.mode = Mode::Automatic;
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (Some("1"), Reason::Refused)
    );
    world.approvals.clear();
    assert_eq!(
        settle(&mut world).reason,
        Reason::Refused,
        "also when its object is deleted"
    );
}

#[test]
fn k2_a_rejection_that_the_account_may_not_write_down_stands_in_the_status_until_it_may() {
    let asked = |w: &mut Wishes| {
        w.mode = Mode::Approval;
        w.exclusivity = Exclusivity::Guarded;
    };
    let mut world = world(asked, Some("1"));
    world.ledger_denied = true;
    rest(&mut world);
    approve(&mut world, "ada", false);
    assert_eq!(settle(&mut world).reason, Reason::Refused);
    assert!(world.ledger().refusals.is_empty());
    assert_eq!(world.memory.refused[0].by, "ada");
    world.ledger_denied = false;
    world.wishes.exclusivity = Exclusivity::Ledger;
    assert_eq!(settle(&mut world).reason, Reason::Refused);
    assert_eq!(world.ledger().refusals.len(), 1);
}

/// Whatever closes a gate between the decision and the move voids it, and the history says which gate it was.
#[test]
fn k3_a_begun_move_whose_gate_closed_is_void() {
    type Change = fn(&mut World);
    let changes: [(Gate, Change); 8] = [
        (Gate::Wanted, |w| w.point(CHALLENGER, None)),
        (Gate::Wanted, |w| w.wishes.pin = Some("1".to_string())),
        (Gate::Target, |w| drop(w.registry.versions.remove("2"))),
        (Gate::DryRun, |w| w.wishes.mode = Mode::DryRun),
        (Gate::Suspended, |w| w.wishes.suspend = true),
        (Gate::Evidence, |w| w.files = Files::NewHoldout),
        (Gate::Consent, |w| w.wishes.mode = Mode::Approval),
        (Gate::Window, |w| w.window = false),
    ];
    for phase in [MovePhase::Intended, MovePhase::Claimed] {
        for (gate, change) in &changes {
            for exclusivity in [Exclusivity::Ledger, Exclusivity::Guarded] {
                let mut world = world(|w| w.exclusivity = exclusivity, Some("1"));
                until(&mut world, MovePhase::Intended);
                if phase == MovePhase::Claimed {
                    // The claim is written and the process dies before it moves anything.
                    let plan = world.plan(&Lens::CLEAR);
                    world.store(&plan, &Lens::CLEAR);
                    world.step();
                    world.doing.clear();
                }
                change(&mut world);
                let plan = world.plan(&Lens::CLEAR);
                let name = format!("{gate:?} while {phase:?} with {exclusivity:?}");
                assert_eq!(plan.closed, Some(*gate), "{name}");
                rest(&mut world);
                let void = (EpochCause::Promotion, EpochOutcome::Void(*gate));
                assert!(
                    outcomes(&world).contains(&void),
                    "{name}: {:?}",
                    outcomes(&world)
                );
                // A new holdout is new evidence, on which it may win again.
                let judged_again = *gate == Gate::Evidence;
                assert!(judged_again || world.alias(CHAMPION) != Some("2"), "{name}");
            }
        }
    }
}

/// Writes into the ledger that another cluster's policy owns an alias now.
fn take_over(world: &mut World, alias: &str) {
    let owner = Owner {
        policy: "elsewhere/team/fraud".to_string(),
        at: world.now(),
        taken_over: Some(0),
    };
    let register = owner_register(alias, world.ledger().next_owner(alias), &owner);
    world.registers.insert(register.key, register.text);
}

#[test]
fn k3_a_begun_move_is_void_when_another_cluster_takes_the_alias_over() {
    let mut world = world(|w| w.exclusivity = Exclusivity::Ledger, Some("1"));
    until(&mut world, MovePhase::Intended);
    take_over(&mut world, CHAMPION);
    let plan = settle(&mut world);
    assert_eq!(plan.reason, Reason::AliasOwnedByOther);
    assert_eq!(world.memory.in_flight, None);
    let void = (EpochCause::Promotion, EpochOutcome::Void(Gate::Owner));
    assert!(outcomes(&world).contains(&void), "{:?}", outcomes(&world));
    assert_eq!(world.alias(CHAMPION), Some("1"));
}

/// Two who take the champion's alias over from each other may leave the other one with whoever lost it.
#[test]
fn k3_the_alias_of_the_previous_champion_comes_back_to_the_owner_of_the_champions() {
    let mut world = world(|w| w.exclusivity = Exclusivity::Ledger, Some("1"));
    rest(&mut world);
    let own = world.ledger().owner_of(CHAMPION).cloned().unwrap();
    take_over(&mut world, CHAMPION);
    let back = owner_register(CHAMPION, world.ledger().next_owner(CHAMPION), &own);
    world.registers.insert(back.key, back.text);
    take_over(&mut world, PREVIOUS);
    let plan = settle(&mut world);
    assert_ne!(plan.reason, Reason::AliasOwnedByOther, "{}", plan.message);
    assert_eq!(
        world.ledger().owner_of(PREVIOUS).unwrap().policy,
        own.policy
    );

    take_over(&mut world, CHAMPION);
    take_over(&mut world, PREVIOUS);
    let plan = settle(&mut world);
    assert_eq!(plan.reason, Reason::AliasOwnedByOther);
    assert_ne!(
        world.ledger().owner_of(PREVIOUS).unwrap().policy,
        own.policy
    );
}

#[test]
fn k3_a_move_that_was_confirmed_and_is_gone_was_undone_by_somebody() {
    let mut world = world(|_| {}, Some("1"));
    until(&mut world, MovePhase::Applied);
    assert_eq!(world.alias(CHAMPION), Some("2"));
    // The alias is where it was read: that does not mean that the move was not made yet.
    world.point(CHAMPION, Some("1"));
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (Some("1"), Reason::Refused)
    );
    assert!(outcomes(&world).contains(&(EpochCause::Promotion, EpochOutcome::Contended)));
}

#[test]
fn k3_an_answer_that_was_lost_is_no_move_by_somebody_else() {
    let mut world = world(|_| {}, Some("1"));
    until(&mut world, MovePhase::Intended);
    for _ in 0..2 {
        let plan = world.plan(&Lens::CLEAR);
        world.store(&plan, &Lens::CLEAR);
        while !world.doing.is_empty() {
            world = world.lose_answer().unwrap_or_else(|| {
                let mut next = world.clone();
                next.step();
                next
            });
        }
    }
    assert_eq!(
        world.memory.in_flight.as_ref().unwrap().phase,
        MovePhase::Claimed
    );
    rest(&mut world);
    assert_eq!(
        outcomes(&world)[0],
        (EpochCause::Promotion, EpochOutcome::Promoted)
    );
}
