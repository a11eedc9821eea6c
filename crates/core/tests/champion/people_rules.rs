//! More stories: first champions, consent, pins, moves by others, registries that were set back.

use super::rules::{approve, outcomes, rest, settle, world};
use super::world::{CHALLENGER, CHAMPION, PREVIOUS, World};
use podium_core::champion::ledger::{Owner, owner_register};
use podium_core::champion::{Exclusivity, FirstChampion, Mode, OnExternalChange, Phase, Reason};

#[test]
fn k6_a_champion_that_vanished_is_no_first_champion() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, None);
    world.point(CHALLENGER, Some("3"));
    for _ in 0..2 {
        let last = settle(&mut world);
        assert_eq!(
            (world.alias(CHAMPION), last.reason),
            (None, Reason::ChampionRemoved)
        );
        world.memory = Default::default();
    }
}

#[test]
fn k7_two_approvals_are_two_people() {
    let mut world = world(
        |w| {
            w.mode = Mode::Approval;
            w.required = 2;
        },
        Some("1"),
    );
    rest(&mut world);
    approve(&mut world, "alice", true);
    approve(&mut world, " Alice", true);
    let last = settle(&mut world);
    assert_eq!(last.pending.unwrap().approvals, 1);
    approve(&mut world, "bob", true);
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"));
}

#[test]
fn k8_a_pin_wins() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 6] = [
        ("suspended", |w| w.wishes.suspend = true),
        ("held", |w| {
            w.wishes.external = OnExternalChange::Hold;
            w.point(CHAMPION, Some("2"));
        }),
        ("dangling", |w| drop(w.registry.versions.remove("1"))),
        ("removed", |w| w.point(CHAMPION, None)),
        ("outside of a window", |w| w.window = false),
        ("refused", |w| {
            w.point(CHAMPION, Some("3"));
            rest(w);
            w.point(CHAMPION, Some("1"));
        }),
    ];
    for (name, change) in changes {
        let mut world = world(|w| w.cooldown = true, Some("1"));
        rest(&mut world);
        change(&mut world);
        rest(&mut world);
        world.wishes.pin = Some("3".to_string());
        assert_eq!(settle(&mut world).reason, Reason::Pinned, "{name}");
        assert_eq!(world.alias(CHAMPION), Some("3"), "{name}");
    }
    for (reason, change) in [
        (Reason::DryRun, (|w| w.wishes.mode = Mode::DryRun) as Change),
        (Reason::VersionNotFound, |w| {
            drop(w.registry.versions.remove("3"))
        }),
        (Reason::AliasOwnedByOther, |w| w.older = true),
    ] {
        let mut world = world(|w| w.pin = Some("3".to_string()), Some("1"));
        change(&mut world);
        assert_eq!(settle(&mut world).reason, reason);
        assert_eq!(world.alias(CHAMPION), Some("1"), "{reason:?}");
    }
}

/// Whoever is told that the champion is held hears of the version that is held back, and not of a challenger beside it.
#[test]
fn what_is_held_back_is_named() {
    let mut world = world(|w| w.mode = Mode::DryRun, Some("1"));
    assert_eq!(settle(&mut world).held_back.as_deref(), Some("2"));
    world.wishes.pin = Some("3".to_string());
    assert_eq!(settle(&mut world).held_back.as_deref(), Some("3"));
    world.wishes.mode = Mode::Automatic;
    assert_eq!(settle(&mut world).held_back, None);

    let mut world = self::world(|w| w.external = OnExternalChange::Revert, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("3"));
    world.wishes.mode = Mode::DryRun;
    assert_eq!(settle(&mut world).held_back.as_deref(), Some("2"));
}

#[test]
fn k9_a_first_champion_can_be_approved() {
    let mut world = world(|w| w.first = FirstChampion::Approval, None);
    let last = settle(&mut world);
    let pending = last.pending.unwrap();
    assert_eq!(
        (last.phase, pending.wanted.to.as_str()),
        (Phase::AwaitingApproval, "2")
    );
    approve(&mut world, "alice", true);
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"));
}

#[test]
fn k10_a_move_is_undone_once_and_then_held_for_an_hour() {
    let mut world = world(|w| w.external = OnExternalChange::Revert, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("3"));
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("2"), "undone");
    world.point(CHAMPION, Some("3"));
    let last = settle(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("3"), "a second time it stays");
    assert!(last.look_again_at.is_some());
    world.time += 2;
    rest(&mut world);
    assert_eq!(
        world.alias(CHAMPION),
        Some("3"),
        "also when the hour is over"
    );
    world.point(CHAMPION, Some("1"));
    rest(&mut world);
    assert_eq!(
        world.alias(CHAMPION),
        Some("3"),
        "another move is undone again"
    );
}

#[test]
fn k10_nothing_spins_when_the_version_to_go_back_to_is_gone() {
    let mut world = world(|w| w.external = OnExternalChange::Revert, Some("1"));
    rest(&mut world);
    world.registry.versions.remove("2");
    world.point(CHAMPION, Some("1"));
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (Some("1"), Reason::VersionNotFound)
    );
}

#[test]
fn a_hold_is_lifted_by_the_epoch_that_left_it() {
    let mut world = world(|w| w.external = OnExternalChange::Hold, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    world.point(CHALLENGER, Some("3"));
    let last = settle(&mut world);
    assert_eq!(last.reason, Reason::ExternalChangeHeld);
    assert!(
        last.message.contains("set `spec.acknowledgedEpoch` to 3"),
        "{}",
        last.message
    );
}

#[test]
fn a_move_by_others_that_was_followed_by_another_move_holds_nothing() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    rest(&mut world);
    world.wishes.pin = Some("3".to_string());
    rest(&mut world);
    world.wishes.pin = None;
    world.wishes.external = OnExternalChange::Hold;
    world.point(CHALLENGER, Some("2"));
    let last = settle(&mut world);
    assert_ne!(last.reason, Reason::ExternalChangeHeld, "{}", last.message);
}

#[test]
fn a_held_revert_is_accepted_by_acknowledging_it() {
    let mut world = world(|w| w.external = OnExternalChange::Revert, Some("1"));
    rest(&mut world);
    for _ in 0..2 {
        world.point(CHAMPION, Some("1"));
        rest(&mut world);
    }
    world.point(CHALLENGER, Some("3"));
    let last = settle(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("1"));
    let epoch = world.memory.epoch;
    let advice = format!("set `spec.acknowledgedEpoch` to {epoch}");
    assert!(last.message.contains(&advice), "{}", last.message);
    world.wishes.acknowledged = epoch;
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("3"), "promotions go on");
}

#[test]
fn who_is_made_champion_by_hand_is_not_refused_any_more() {
    for pins in [true, false] {
        let mut world = world(|_| {}, Some("1"));
        rest(&mut world);
        world.point(CHAMPION, Some("1"));
        rest(&mut world);
        match pins {
            true => world.wishes.pin = Some("2".to_string()),
            false => world.point(CHAMPION, Some("2")),
        }
        rest(&mut world);
        let refused = |world: &World| world.memory.refused.iter().any(|r| r.version == "2");
        assert!(!refused(&world), "pinned: {pins}");
        world.memory = Default::default();
        rest(&mut world);
        assert!(!refused(&world), "also when the status was lost");
    }
}

#[test]
fn what_was_refused_without_claims_is_refused_with_them() {
    let mut world = world(|w| w.exclusivity = Exclusivity::Guarded, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    rest(&mut world);
    world.wishes.exclusivity = Exclusivity::Ledger;
    assert_eq!(settle(&mut world).reason, Reason::Refused);
    world.memory = Default::default();
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (Some("1"), Reason::Refused),
        "also when the status was lost"
    );
}

#[test]
fn a_rejected_first_champion_is_remembered_without_the_status() {
    let mut world = world(|w| w.first = FirstChampion::Approval, None);
    rest(&mut world);
    approve(&mut world, "bob", false);
    rest(&mut world);
    world.memory = Default::default();
    world.wishes.first = FirstChampion::Automatic;
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (None, Reason::Refused)
    );
}

#[test]
fn the_alias_of_the_previous_champion_has_one_owner_too() {
    let mut world = world(|_| {}, Some("1"));
    let other = Owner {
        policy: "cluster/default/another".to_string(),
        at: world.now(),
        taken_over: None,
    };
    let register = owner_register(PREVIOUS, 1, &other);
    world.registers.insert(register.key, register.text);
    let last = settle(&mut world);
    assert_eq!(last.reason, Reason::AliasOwnedByOther);
    let sentence = "the alias `previous-champion` is owned by the policy cluster/default/another";
    assert!(last.message.contains(sentence), "{}", last.message);
    assert_eq!(world.alias(CHAMPION), Some("1"));
}

#[test]
fn the_history_says_who_approved_and_why_it_was_rejected() {
    let mut world = world(|w| w.mode = Mode::Approval, Some("1"));
    rest(&mut world);
    approve(&mut world, "alice", true);
    world.approvals[0].comment = Some("looks fine.".to_string());
    rest(&mut world);
    let sentence = &world.memory.history[0].sentence;
    assert!(
        sentence.contains("Approved by alice (looks fine). Promoted."),
        "{sentence}"
    );
    world.point(CHALLENGER, Some("3"));
    rest(&mut world);
    approve(&mut world, "bob", false);
    world.approvals[1].comment = Some("too many alerts".to_string());
    let last = settle(&mut world);
    assert!(
        last.message.contains("by bob (too many alerts)"),
        "{}",
        last.message
    );
}

#[test]
fn k12_after_a_rollback_the_previous_alias_does_not_name_the_champion() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    rest(&mut world);
    assert_eq!(world.alias(PREVIOUS), None);
}

#[test]
fn a_registry_that_was_set_back_holds() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.registers.retain(|key, _| !key.contains("00000002"));
    let last = settle(&mut world);
    assert_eq!(
        (last.reason, last.phase),
        (Reason::RegistrySetBack, Phase::Blocked)
    );
}

#[test]
fn a_policy_that_was_applied_again_judges_nothing_twice() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    let (registers, history) = (world.registers.clone(), outcomes(&world));
    world.memory = Default::default();
    rest(&mut world);
    assert_eq!(world.registers, registers);
    assert_eq!(outcomes(&world), history);
    assert_eq!(world.alias(CHAMPION), Some("2"));
}
