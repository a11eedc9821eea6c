//! What the ledger says, when the status says something else or less.

use super::rules::{outcomes, rest, settle, until, world};
use super::world::{CHAMPION, Lens, World};
use podium_core::champion::ledger::{REGISTER_BYTES, refusal_register};
use podium_core::champion::{
    ApprovalView, EpochOutcome, Exclusivity, Ledger, Memory, Mode, MovePhase, Phase, Reason,
    Refusal, VersionView,
};
use podium_core::time::Timestamp;

/// Plans once and does everything.
fn take_a_step(world: &mut World) {
    let plan = world.plan(&Lens::CLEAR);
    world.store(&plan, &Lens::CLEAR);
    while !world.doing.is_empty() {
        world.step();
    }
}

/// The registry comes back from a copy that is older than the claim of a move under way. An outcome without its claim would make the
/// ledger unreadable for ever.
#[test]
fn a_registry_that_was_set_back_under_a_move_holds_and_its_ledger_stays_whole() {
    for is_recorded in [false, true] {
        let mut world = world(|_| {}, Some("1"));
        until(&mut world, MovePhase::Intended);
        let copy = (world.registry.clone(), world.registers.clone());
        take_a_step(&mut world);
        let apply = world.plan(&Lens::CLEAR);
        world.store(&apply, &Lens::CLEAR);
        while is_recorded && !world.doing.is_empty() {
            world.step();
        }
        world.doing.clear();
        let phase = world.memory.in_flight.as_ref().unwrap().phase;
        assert_eq!(phase == MovePhase::Applied, is_recorded);
        (world.registry, world.registers) = copy.clone();
        let last = settle(&mut world);
        assert_eq!(
            (last.reason, last.phase),
            (Reason::RegistrySetBack, Phase::Blocked),
            "{phase:?}"
        );
        assert_eq!((world.registry, world.registers), copy, "{phase:?}");
        assert!(
            last.message.contains("has seen epoch 2"),
            "{}",
            last.message
        );
    }
}

fn mk_refusal(version: &str, by: &str, at: Timestamp) -> Refusal {
    Refusal {
        number: 0,
        version: version.to_string(),
        evidence: Some("aaaa".to_string()),
        epoch: 1,
        by: by.to_string(),
        decision: Some("0123456789abcdef0123".to_string()),
        comment: None,
        reconsidered: false,
        at,
    }
}

/// Somebody rejected the version in another cluster, which owned the alias then, or the status is an older one that was restored.
#[test]
fn k2_a_rejection_that_only_the_ledger_knows_stands() {
    let mut world = world(|w| w.mode = Mode::Approval, Some("1"));
    rest(&mut world);
    let rejection = refusal_register(CHAMPION, 1, &mk_refusal("2", "bob", world.now()));
    world.registers.insert(rejection.key, rejection.text);
    world.wishes.mode = Mode::Automatic;
    let last = settle(&mut world);
    assert_eq!(
        (world.alias(CHAMPION), last.reason),
        (Some("1"), Reason::Refused)
    );
    assert!(last.message.contains("by bob"), "{}", last.message);
    let known = world.memory.clone();
    rest(&mut world);
    assert_eq!(world.memory, known, "it is taken in once");
}

/// A status that was lost keeps the newest refusals, as one that was there all the time does.
#[test]
fn k2_of_more_rejections_than_a_status_holds_the_newest_stand() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    for number in 1..=205_u64 {
        let at = Timestamp(1_000 * i64::try_from(number).unwrap());
        let refusal = mk_refusal(&format!("of {number}"), "bob", at);
        let register = refusal_register(CHAMPION, number, &refusal);
        world.registers.insert(register.key, register.text);
    }
    world.memory = Memory::default();
    rest(&mut world);
    let refused = |version: &str| world.memory.refused.iter().any(|r| r.version == version);
    assert_eq!(world.memory.refused.len(), 200);
    assert!(refused("of 205") && !refused("of 1"));
}

/// Whoever may write into the ledger could write what nobody can ever take in.
#[test]
fn a_rejection_of_no_epoch_or_no_time_is_named() {
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    for (epoch, at) in [
        (u64::MAX, at(1)),
        (1_000_000, at(1)),
        (1, at(1_000_000_000_000)),
        (1, at(-1)),
    ] {
        let mut world = world(|_| {}, Some("1"));
        rest(&mut world);
        let forged = Refusal {
            epoch,
            ..mk_refusal("2", "bob", at)
        };
        let register = refusal_register(CHAMPION, 1, &forged);
        world.registers.insert(register.key, register.text);
        let aliases = world.wishes.policy().aliases;
        let error = Ledger::read(&world.registers, &aliases).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("refused/champion/00000001"), "{message}");
    }
}

/// The same while the epochs go on: a move by hand lifts what was refused before it, and nothing that was refused after it.
#[test]
fn k2_rejections_are_taken_in_between_the_epochs_that_they_stand_between() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    let (memory, shown) = (world.memory.clone(), world.shown.clone());
    // Epoch 2 made v2 champion. It is rejected, made champion by hand again, and v3 is rejected.
    let write = |world: &mut World, number: u64, refusal: &Refusal| {
        let epoch = world.ledger().closed_epoch();
        let refusal = Refusal {
            epoch,
            ..refusal.clone()
        };
        let register = refusal_register(CHAMPION, number, &refusal);
        world.registers.insert(register.key, register.text);
    };
    world.point(CHAMPION, Some("1"));
    rest(&mut world);
    let at = world.now();
    write(&mut world, 1, &mk_refusal("2", "bob", at));
    world.point(CHAMPION, Some("2"));
    rest(&mut world);
    write(&mut world, 2, &mk_refusal("3", "bob", at));
    // Whoever has a status of before learns the same.
    (world.memory, world.shown) = (memory, shown);
    rest(&mut world);
    let refused = |version: &str| world.memory.refused.iter().any(|r| r.version == version);
    assert!(!refused("2"), "{:?}", world.memory.refused);
    assert!(refused("3"), "{:?}", world.memory.refused);
}

/// A rejection of a decision that is not shown at that moment, such as while the policy is suspended.
#[test]
fn k2_a_rejection_of_a_decision_that_was_shown_before_stands() {
    let mut world = world(|w| w.mode = Mode::Approval, Some("1"));
    rest(&mut world);
    let shown = world.shown.clone().expect("a decision waits for consent");
    world.wishes.suspend = true;
    rest(&mut world);
    assert_eq!(world.shown, None);
    world.approvals.push(ApprovalView {
        decision: shown.id,
        evidence: shown.digest,
        approves: false,
        approver: "bob".to_string(),
        comment: None,
        at: world.now(),
    });
    world.wishes.suspend = false;
    rest(&mut world);
    world.approvals.clear();
    assert_eq!(
        settle(&mut world).reason,
        Reason::Refused,
        "also when its object is deleted"
    );
    assert_eq!(world.ledger().refusals.len(), 1);
}

/// A status keeps whole seconds and the ledger does not.
#[test]
fn what_an_epoch_says_is_not_written_down_as_a_rejection() {
    let mut world = world(|_| {}, Some("1"));
    rest(&mut world);
    world.point(CHAMPION, Some("1"));
    rest(&mut world);
    let seconds = |at: Timestamp| format!("\"at\":{}", at.0);
    let (at, later) = (world.now(), Timestamp(world.now().0 + 789));
    for text in world.registers.values_mut() {
        *text = text.replace(&seconds(at), &seconds(later));
    }
    rest(&mut world);
    assert_eq!(world.ledger().refusals.len(), 0);
    let refused = &world.memory.refused;
    assert!(refused.iter().any(|refusal| refusal.version == "2"));
}

/// Who rejects may have a name of characters that take much room in JSON; a refusal that cannot be written would stop even a pin.
#[test]
fn a_rejection_fits_its_register_whatever_people_are_called() {
    let longest_version = "v".repeat(63);
    for by in [
        "\u{1}".repeat(253),
        "\"\\".repeat(126),
        "\u{1f600}".repeat(60),
    ] {
        let refusal = Refusal {
            evidence: Some("0123456789abcdef".to_string()),
            reconsidered: true,
            ..mk_refusal(&longest_version, &by, Timestamp(1_764_177_600_000))
        };
        let register = refusal_register(CHAMPION, 1, &refusal);
        assert_eq!(register.check(), Ok(()), "{}", register.text);
        assert!(register.text.len() < REGISTER_BYTES);
    }
}

/// A move that was begun with a claim may end after epochs are counted without: their numbers name decisions.
#[test]
fn numbers_of_epochs_are_not_used_a_second_time() {
    let mut world = world(|w| w.exclusivity = Exclusivity::Guarded, Some("1"));
    let ready = VersionView::default();
    world.registry.versions.insert("4".to_string(), ready);
    rest(&mut world);
    for version in ["1", "3", "1"] {
        world.point(CHAMPION, Some(version));
        rest(&mut world);
    }
    let counted = world.memory.epoch;
    world.wishes.exclusivity = Exclusivity::Ledger;
    rest(&mut world);
    assert!(world.memory.epoch < counted, "the ledger counts by itself");
    world.point(super::world::CHALLENGER, Some("4"));
    until(&mut world, MovePhase::Intended);
    take_a_step(&mut world);
    world.wishes.exclusivity = Exclusivity::Guarded;
    rest(&mut world);
    assert_eq!(world.alias(CHAMPION), Some("4"));
    assert_eq!(outcomes(&world)[0].1, EpochOutcome::Promoted);
    assert!(world.memory.epoch >= counted, "{}", world.memory.epoch);
}
