//! Seeded faults: each of them must be found, or the exploration proves nothing.

use super::exploration::explore;
use super::model::{Bounds, Scenario};
use super::people::Event;
use super::scenarios::{all, judged_by_jobs};
use super::world::{Lens, World};
use podium_core::champion::{Cause, GATES, Gate, GateTable, MovePhase};

/// A scenario by name, in which only `events` happen, seen through `lens`.
fn mutant(scenario: &str, events: Vec<Event>, most: u8, lens: Lens) -> Scenario {
    let bounds = Bounds {
        events: most,
        faults: 0,
    };
    let found = all(bounds).into_iter().find(|one| one.name == scenario);
    Scenario {
        events,
        lens,
        ..found.unwrap()
    }
}

pub fn must_find(name: &str, scenario: Scenario) {
    let sane = Scenario {
        lens: Lens::CLEAR,
        ..scenario.clone()
    };
    assert_eq!(
        explore(sane).1,
        None,
        "{name}: without the fault nothing is wrong"
    );
    let (states, found) = explore(scenario);
    let Some((what, path)) = found else {
        panic!("{name} was not found in {states} states");
    };
    println!("{name}: {what}, after {path}");
}

/// The table without one gate for every cause.
fn without(gate: Gate) -> GateTable {
    Cause::ALL
        .into_iter()
        .fold(GATES, |table, cause| table.without(gate, cause))
}

macro_rules! lens_without {
    ($gate:ident) => {
        Lens {
            table: |_| without(Gate::$gate),
            ..Lens::CLEAR
        }
    };
}

#[test]
fn every_gate_matters() {
    use podium_core::champion::Mode;
    let automatic = |gate, lens, event| {
        let name = format!("without {gate:?}");
        must_find(&name, mutant("automatic", vec![event], 1, lens));
    };
    automatic(
        Gate::Authority,
        lens_without!(Authority),
        Event::Lead(false),
    );
    automatic(
        Gate::Wanted,
        lens_without!(Wanted),
        Event::MoveChallenger(Some("3")),
    );
    // Evidence for a version that is gone is gone too, so only a pin shows what this gate is for.
    let deleted = vec![Event::Pin(Some("3")), Event::Delete("3")];
    must_find(
        "without Target",
        mutant("automatic", deleted, 2, lens_without!(Target)),
    );
    automatic(
        Gate::DryRun,
        lens_without!(DryRun),
        Event::Mode(Mode::DryRun),
    );
    automatic(
        Gate::Suspended,
        lens_without!(Suspended),
        Event::Suspend(true),
    );
    automatic(
        Gate::NotRefused,
        lens_without!(NotRefused),
        Event::MoveChampion(Some("1")),
    );
    // What lies there again was judged before too, so only the digests tell that it is not what was decided on.
    let back = vec![
        Event::Replace(super::wishes::Files::NewHoldout),
        Event::Replace(super::wishes::Files::First),
    ];
    must_find(
        "without Evidence",
        mutant("automatic", back, 2, lens_without!(Evidence)),
    );
    automatic(Gate::Look, lens_without!(Look), Event::ForgeVerdict);
    automatic(
        Gate::Consent,
        lens_without!(Consent),
        Event::Mode(Mode::Approval),
    );
    automatic(Gate::Window, lens_without!(Window), Event::Window(false));
    let cooldown = vec![Event::MoveChampion(Some("1"))];
    must_find(
        "without Cooldown",
        mutant("cooldown", cooldown, 1, lens_without!(Cooldown)),
    );
    let hold = vec![
        Event::MoveChampion(Some("3")),
        Event::MoveChampion(Some("1")),
        Event::MoveChallenger(Some("3")),
    ];
    must_find("without Hold", mutant("hold", hold, 2, lens_without!(Hold)));
    let revert = vec![Event::MoveChampion(Some("3"))];
    let without_once = Lens {
        table: |_| without(Gate::Once).without(Gate::Hold, Cause::Revert),
        ..Lens::CLEAR
    };
    must_find("without Once", mutant("revert", revert, 2, without_once));
    // The situation asks for the owner too, before anything is recorded; the fault hides the other policy from both.
    let blind = Lens {
        shows: |world| world.older = false,
        ..Lens::CLEAR
    };
    automatic(Gate::Owner, blind, Event::OlderPolicy);
}

/// What review of an earlier version found. K5 (settings that a method does not read) and K13 (a search) are no matter of this machine:
/// they have tests where they are decided.
#[test]
fn every_rule_matters() {
    use super::wishes::Files;
    let rollback = vec![Event::MoveChampion(Some("1"))];
    let forgets = Lens {
        shows: |world| world.memory.refused.clear(),
        ..Lens::CLEAR
    };
    must_find(
        "K1 a rollback is forgotten",
        mutant("automatic", rollback, 1, forgets),
    );

    let lapses = Lens {
        shows: |world| {
            let now = world.now();
            world
                .approvals
                .retain(|a| now < a.at.plus_seconds(super::world::ONE_STEP));
            world.memory.refused.clear();
        },
        ..Lens::CLEAR
    };
    let consent = vec![
        Event::Reject,
        Event::Time,
        Event::Mode(podium_core::champion::Mode::Automatic),
    ];
    must_find(
        "K2 a rejection lapses",
        mutant("approval", consent, 3, lapses),
    );

    let asks_once = Lens {
        table: |world| match world.memory.in_flight {
            Some(_) => Gate::ALL.into_iter().fold(GATES, |table, gate| {
                Cause::ALL
                    .into_iter()
                    .fold(table, |table, cause| table.without(gate, cause))
            }),
            None => GATES,
        },
        ..Lens::CLEAR
    };
    let after = vec![Event::Suspend(true)];
    must_find(
        "K3 gates are asked once",
        mutant("automatic", after, 1, asks_once),
    );

    let forgets_that_it_moved = Lens {
        shows: |world| {
            let in_flight = world.memory.in_flight.as_mut();
            if let Some(move_) = in_flight.filter(|move_| move_.phase == MovePhase::Applied) {
                move_.phase = MovePhase::Claimed;
            }
        },
        ..Lens::CLEAR
    };
    let undone = vec![Event::MoveChampion(Some("1"))];
    must_find(
        "K3 a move that was confirmed and undone is made again",
        mutant("automatic", undone, 1, forgets_that_it_moved),
    );

    let believes = Lens {
        believes_evidence: true,
        ..Lens::CLEAR
    };
    let replaced = vec![Event::Replace(Files::NewHoldout)];
    must_find(
        "K4 digests are not compared",
        mutant("automatic", replaced, 1, believes),
    );

    let never_was = Lens {
        shows: |world| {
            if world.alias(super::world::CHAMPION).is_none() {
                world.memory.champion = None;
                world.memory.external = None;
                world.memory.history.clear();
                world.memory.refused.clear();
            }
        },
        ..Lens::CLEAR
    };
    let removed = vec![Event::MoveChampion(None)];
    must_find(
        "K6 absent means never was",
        mutant("automatic", removed, 1, never_was),
    );

    let counts_objects = Lens {
        shows: |world| {
            for (number, approval) in world.approvals.iter_mut().enumerate() {
                approval.approver = format!("{} {number}", approval.approver);
            }
        },
        ..Lens::CLEAR
    };
    let twice = vec![Event::Approve("alice"), Event::Approve("Alice")];
    must_find(
        "K7 one person counts twice",
        mutant("two approvers", twice, 2, counts_objects),
    );

    let no_pin = Lens {
        shows: |world| {
            if world.wishes.suspend {
                world.wishes.pin = None;
            }
        },
        ..Lens::CLEAR
    };
    let pinned = vec![Event::Suspend(true), Event::Pin(Some("3"))];
    must_find("K8 a pin waits", mutant("automatic", pinned, 2, no_pin));

    let hides = Lens {
        answers: |plan| plan.pending = None,
        ..Lens::CLEAR
    };
    let any = vec![Event::Time];
    must_find(
        "K9 nothing to consent to",
        mutant("first by consent", any, 1, hides),
    );

    let reverts = Lens {
        shows: |world| world.memory.last_revert = None,
        ..Lens::CLEAR
    };
    let fights = vec![Event::MoveChampion(Some("3"))];
    must_find(
        "K10 moves are undone for ever",
        mutant("revert", fights, 2, reverts),
    );

    let refreshed = Lens {
        every_holdout_is_new: true,
        ..Lens::CLEAR
    };
    let changed = vec![
        Event::MoveChallenger(Some("3")),
        Event::Replace(Files::OneRowChanged),
    ];
    must_find(
        "K11 one row refreshes the budget",
        mutant("dry run", changed, 2, refreshed),
    );

    let boasts = Lens {
        answers: |plan| {
            if let Some(conclusion) = &mut plan.conclusion {
                conclusion.sentence = conclusion
                    .sentence
                    .replace("It is becoming champion.", "Promoted.");
            }
        },
        ..Lens::CLEAR
    };
    must_find(
        "K12 words before deeds",
        mutant("automatic", vec![Event::Time], 1, boasts),
    );
    let keeps = Lens {
        answers: |plan| plan.actions.retain(|action| !removes_previous(action)),
        ..Lens::CLEAR
    };
    let back = vec![Event::MoveChampion(Some("1"))];
    must_find(
        "K12 previous names the champion",
        mutant("automatic", back, 1, keeps),
    );
}

fn removes_previous(action: &podium_core::champion::Action) -> bool {
    matches!(action, podium_core::champion::Action::MoveAlias { alias, to: None, .. } if alias == super::world::PREVIOUS)
}

/// The same state gives the same plan.
#[test]
fn planning_is_a_function() {
    let bounds = Bounds {
        events: 0,
        faults: 0,
    };
    let scenarios = all(bounds).into_iter().chain(judged_by_jobs(bounds));
    for scenario in scenarios {
        let mut world: World = scenario.world;
        for _ in 0..12 {
            let plan = world.plan(&Lens::CLEAR);
            assert_eq!(plan, world.plan(&Lens::CLEAR), "{}", scenario.name);
            world.store(&plan, &Lens::CLEAR);
            while !world.doing.is_empty() {
                world.step();
            }
        }
    }
}
