//! Faults of two operators that must be found: of their caches, of answers that are lost, and of writes that come late.

use super::model::{Bounds, Scenario};
use super::mutants::must_find;
use super::people::Event;
use super::scenarios::two_operators;
use super::world::{CHAMPION, Lens, World};
use podium_core::champion::ledger::claim_register;

/// A scenario of two operators with one event and one fault at most, seen through `lens`.
fn scenario(name: &str, lens: Lens) -> Scenario {
    let bounds = Bounds {
        events: 1,
        faults: 1,
    };
    let mut all = two_operators(bounds).into_iter();
    let found = all.find(|scenario| scenario.name == name);
    Scenario {
        lens,
        ..found.unwrap()
    }
}

/// The first one, in which only `events` happen.
fn mutant(events: Vec<Event>, lens: Lens) -> Scenario {
    Scenario {
        events,
        ..scenario("two operators", lens)
    }
}

/// An operator whose cache is behind must not store a status over one that it did not see.
#[test]
fn a_status_is_compared_before_it_is_replaced() {
    let lens = Lens {
        overwrites_status: true,
        ..Lens::CLEAR
    };
    must_find(
        "overwrites a status",
        scenario("two operators, revert", lens),
    );
}

/// What changes nothing of the status must not be done by what a cache says that is one write behind: the alias that the other operator
/// has moved would be recorded as moved by somebody else.
#[test]
fn a_status_is_confirmed_before_anything_is_done() {
    let lens = Lens {
        acts_unconfirmed: true,
        ..Lens::CLEAR
    };
    must_find("acts on a status that is behind", mutant(Vec::new(), lens));
}

/// An answer that was lost does not mean that nothing was done.
#[test]
fn a_lost_answer_is_not_taken_for_a_no() {
    let lens = Lens {
        shows: |world| {
            if let Some(move_) = &mut world.memory.in_flight {
                move_.attempts = 0;
            }
        },
        ..Lens::CLEAR
    };
    must_find(
        "takes a lost answer about the alias for a no",
        mutant(Vec::new(), lens),
    );
}

/// The claim of the last epoch, unless it is that of the move in flight.
fn claim_of_others(world: &World) -> Option<(u64, String)> {
    let ledger = world.ledger();
    let (number, epoch) = ledger.open_epoch()?;
    let own = world.memory.in_flight.as_ref();
    let is_own = own.is_some_and(|move_| move_.decision == epoch.claim.decision);
    let register = claim_register(CHAMPION, number, &epoch.claim);
    (!is_own).then_some((number, register.key))
}

/// Nor does it mean that nothing will be done: a claim whose answer was lost is looked for as long as its epoch is not over.
#[test]
fn a_claim_that_comes_late_is_seen() {
    let lens = Lens {
        shows: |world| {
            if let Some((_, key)) = claim_of_others(world) {
                world.registers.remove(&key);
            }
        },
        ..Lens::CLEAR
    };
    let withdrawn = vec![Event::MoveChallenger(Some("3"))];
    must_find("ignores claims that come late", mutant(withdrawn, lens));
}

/// Of two that want an epoch, one has it.
#[test]
fn a_claim_is_taken_once() {
    let lens = Lens {
        shows: |world| {
            let wanted = world.memory.in_flight.clone();
            let taken = claim_of_others(world).zip(wanted);
            if let Some(((number, _), move_)) = taken.filter(|(of, move_)| of.0 == move_.epoch) {
                let register = claim_register(CHAMPION, number, &move_.claim());
                world.registers.insert(register.key, register.text);
            }
        },
        ..Lens::CLEAR
    };
    let withdrawn = vec![Event::MoveChallenger(Some("3"))];
    must_find(
        "takes a claim that another one has",
        mutant(withdrawn, lens),
    );
}
