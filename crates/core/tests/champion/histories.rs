//! Long random histories: I1 to I8 of the promotion protocol hold in each of them.

use super::model::{Bounds, Scenario, State, Transition, fixed_point};
use super::people::Event;
use super::scenarios::{all, compared_by_jobs, judged_by_jobs};
use super::world::{CHAMPION, Lens};
use podium_core::champion::{EpochOutcome, Exclusivity, Ledger};
use podium_core::random::Stream;
use rayon::prelude::*;
use stateright::Model;

const SEEDS: u64 = 10_000;
const STEPS: usize = 40;

/// Every invariant that a state can break; the rest is the audit's.
fn broken(state: &State, ledger: &Ledger) -> Option<&'static str> {
    let world = &state.world;
    if let Some(violation) = state.audit.violation {
        return Some(violation);
    }
    let promoted = ledger.epochs.values().filter(|epoch| {
        epoch
            .outcome
            .as_ref()
            .is_some_and(|o| o.outcome == EpochOutcome::Promoted)
    });
    // I1: registers are written once, so an epoch has one outcome; what is claimed is what was moved.
    let moved_as_claimed = promoted.clone().all(|epoch| epoch.claim.to.is_some());
    if !moved_as_claimed {
        return Some("I1: an epoch was promoted that claims no version");
    }
    // I7: a first champion is made once.
    let firsts = promoted
        .filter(|epoch| epoch.claim.cause == podium_core::champion::EpochCause::First)
        .count();
    if firsts > 1 {
        return Some("I7: two first champions");
    }
    // Epochs have no gaps and only the last one may be open.
    let open = ledger
        .epochs
        .values()
        .filter(|epoch| epoch.outcome.is_none())
        .count();
    if open > 1 || ledger.epochs.len() as u64 != ledger.last_epoch() {
        return Some("an epoch was opened before the last one ended");
    }
    (world.memory.epoch > ledger.closed_epoch() && !world.memory.guarded)
        .then_some("the status is ahead of the ledger")
}

/// One step of a history, chosen at random; most of them are the process's own.
fn next(
    scenario: &Scenario,
    state: &State,
    stream: &mut Stream,
    path: &mut Vec<Transition>,
) -> State {
    let mut transitions = Vec::new();
    scenario.actions(state, &mut transitions);
    let own = |transition: &Transition| {
        use Transition::{Do, JobIsHeard, JobLooks, Plan};
        matches!(transition, Plan | Do | JobLooks | JobIsHeard)
    };
    let only_own = stream.below(4) > 0;
    transitions.retain(|transition| !only_own || own(transition));
    for _ in 0..8 {
        if transitions.is_empty() {
            break;
        }
        let chosen = transitions[stream.below(transitions.len())].clone();
        if let Some(next) = scenario.next_state(state, chosen.clone()) {
            path.push(chosen);
            return next;
        }
    }
    state.clone()
}

fn follow(seed: u64) -> Result<(), String> {
    let bounds = Bounds {
        events: 12,
        faults: 6,
    };
    let mut scenarios = all(bounds);
    scenarios.push(compared_by_jobs(bounds));
    scenarios.extend(judged_by_jobs(bounds));
    let position = seed as usize % scenarios.len();
    let scenario = &Scenario {
        // It is looked at when the history ends.
        rests: false,
        ..scenarios.swap_remove(position)
    };
    let mut stream = Stream::new(seed, &[]);
    let mut path = Vec::new();
    let mut state = scenario.init_states().swap_remove(0);
    for step in 0..STEPS {
        state = next(scenario, &state, &mut stream, &mut path);
        if let Some(what) = broken(&state, &state.world.ledger()) {
            return Err(format!(
                "seed {seed} ({}), step {step}: {what}, after {path:?}",
                scenario.name
            ));
        }
    }
    let counts_without_claims = |transition: &Transition| {
        *transition == Transition::Event(Event::Exclusivity(Exclusivity::Guarded))
    };
    let claims = scenario.world.wishes.exclusivity == Exclusivity::Ledger
        && !path.iter().any(counts_without_claims);
    settles(&state, claims)
        .map_err(|what| format!("seed {seed} ({}): {what}, after {path:?}", scenario.name))
}

/// `claims` says whether all epochs are the ledger's. I2 and I4: with nobody else around the alias is where the last move brought it, and planning again changes nothing.
fn settles(state: &State, claims: bool) -> Result<(), &'static str> {
    let mut world = state.world.clone();
    world.late = None;
    if world.comparisons.is_some() {
        // A look at files that could not be carried out is asked for again once a pause is over.
        world.time += 1;
    }
    let most = fixed_point(&world);
    if world.settle(&Lens::CLEAR, most).is_none() {
        return Err("plans do not come to rest");
    }
    let recorded = world.memory.champion.as_ref().map(|c| c.version.as_str());
    let observes = !world.older;
    if observes && recorded != world.alias(CHAMPION) {
        return Err("I2: the alias is not where the record says");
    }
    let before = world.clone();
    world.settle(&Lens::CLEAR, 1);
    if world != before {
        return Err("I4: planning again changes something");
    }
    // A status that was lost comes back from the ledger.
    let mut lost = world.clone();
    lost.memory = Default::default();
    lost.shown = None;
    lost.settle(&Lens::CLEAR, 20);
    let of = |world: &super::world::World| {
        let champion = world
            .memory
            .champion
            .as_ref()
            .map(|c| (c.version.clone(), c.origin));
        (
            world.memory.epoch,
            champion,
            world.alias(CHAMPION).map(str::to_string),
        )
    };
    if world.memory.guarded || world.older {
        return Ok(());
    }
    if claims && of(&lost) != of(&world) {
        return Err("a lost status is not rebuilt from the ledger");
    }
    let standing = |world: &super::world::World| {
        let of_memory = world.memory.refused.iter();
        // The champion is not proposed; it is refused again when the alias is moved away from it.
        let standing = of_memory.filter(|refusal| {
            !world.memory.is_lifted(refusal) && world.alias(CHAMPION) != Some(&refusal.version)
        });
        standing
            .map(|refusal| (refusal.version.clone(), refusal.evidence.clone()))
            .collect::<std::collections::BTreeSet<_>>()
    };
    // Without evidence on record a refusal holds on every holdout.
    let rebuilt = standing(&lost);
    let covered = |(version, evidence): &(String, Option<String>)| {
        rebuilt.contains(&(version.clone(), evidence.clone()))
            || rebuilt.contains(&(version.clone(), None))
    };
    // Without claims nothing tells when an entry of `spec.reconsider` was used.
    let comparable = claims || world.wishes.reconsider.is_empty();
    if comparable && !standing(&world).iter().all(covered) {
        return Err("a refusal is forgotten with the status");
    }
    Ok(())
}

#[test]
fn long_random_histories_keep_the_invariants() {
    let wrong: Vec<String> = (0..SEEDS)
        .into_par_iter()
        .filter_map(|seed| follow(seed).err())
        .collect();
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {SEEDS} histories are wrong:\n{shown}",
        wrong.len()
    );
}
