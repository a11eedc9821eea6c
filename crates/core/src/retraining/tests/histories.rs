//! All small histories, and random longer ones: nothing is started twice, too early or beside what it must not run beside, whenever the
//! operator dies.

use super::world::{Rules, World};
use crate::retraining::SearchState;
use crate::time::Timestamp;
use proptest::prelude::*;
use std::collections::HashSet;

/// Something that happens besides the loop itself.
#[derive(Clone, Copy, Debug)]
enum Happening {
    AMinutePasses,
    /// The search at this place ends, well or not.
    Ends(usize, bool),
    /// The policy or the schedule is suspended, or goes on.
    Suspends(usize),
    /// The other schedule is asked for.
    Edits,
    Asks(&'static str),
    /// So many steps of a plan are carried out; then the operator dies.
    Steps(usize),
    /// What is known is stored, and somebody deletes the search at this place.
    Deletes(usize),
}

fn happen(world: &mut World, rules: Rules, happening: Happening) {
    match happening {
        Happening::AMinutePasses => world.minute += 1,
        Happening::Ends(place, well) => {
            let now = Timestamp(world.minute * super::MINUTE);
            let Some(search) = world.searches.get_mut(place) else {
                return;
            };
            if search.state == SearchState::Active {
                search.state = match well {
                    true => SearchState::Succeeded(now),
                    false => SearchState::Failed,
                };
            }
        }
        Happening::Suspends(which) => {
            let suspended = &mut world.wishes.suspended[which];
            *suspended = !*suspended;
        }
        Happening::Edits => {
            world.wishes.every = 3 - world.wishes.every;
            world.wishes.edited = world.minute;
            // It is seen at once: what is due in between is no missed time of it.
            let plan = world.plan(rules);
            world.carry_out(&plan, rules, 1);
        }
        Happening::Asks(value) => world.wishes.run_now = Some(value),
        Happening::Steps(steps) => {
            let plan = world.plan(rules);
            world.carry_out(&plan, rules, steps);
        }
        Happening::Deletes(place) => {
            let plan = world.plan(rules);
            world.carry_out(&plan, rules, 1);
            if place < world.searches.len() {
                world.searches.remove(place);
            }
        }
    }
}

/// Everything that can come of a world by what may happen in it, each state once.
fn explore(rules: Rules, may_happen: impl Fn(&World) -> Vec<Happening>) -> usize {
    let mut seen = HashSet::from([World::new()]);
    let mut open = vec![World::new()];
    while let Some(world) = open.pop() {
        world.clone().settle(rules);
        let plan = world.plan(rules);
        let steps = 1 + plan.delete.len() + plan.start.len();
        let steps = (1..=steps).map(Happening::Steps);
        for happening in may_happen(&world).into_iter().chain(steps) {
            let mut next = world.clone();
            happen(&mut next, rules, happening);
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen.len()
}

fn ends(world: &World) -> impl Iterator<Item = Happening> {
    let places = 0..world.searches.len();
    places.flat_map(|place| [true, false].map(|well| Happening::Ends(place, well)))
}

#[test]
fn whenever_it_dies_each_time_and_each_request_starts_one_search() {
    let mut states = 0;
    for rules in Rules::all() {
        states += explore(rules, |world| {
            let mut may_happen: Vec<Happening> = ends(world).collect();
            may_happen.extend((world.minute < 3).then_some(Happening::AMinutePasses));
            may_happen.push(match world.wishes.run_now {
                None => Happening::Asks("a"),
                Some(_) => Happening::Asks("b"),
            });
            may_happen
        });
    }
    assert!(states > 1_000, "{states}");
}

#[test]
fn what_is_suspended_or_edited_starts_nothing_of_before() {
    let mut states = 0;
    for rules in Rules::all() {
        states += explore(rules, |world| {
            let mut may_happen: Vec<Happening> = ends(world).collect();
            may_happen.extend((world.minute < 4).then_some(Happening::AMinutePasses));
            may_happen.extend([Happening::Suspends(0), Happening::Suspends(1)]);
            may_happen.extend((world.wishes.every == 1).then_some(Happening::Edits));
            may_happen
        });
    }
    assert!(states > 1_000, "{states}");
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => Just(Happening::AMinutePasses),
        4 => (0..6_usize, any::<bool>()).prop_map(|(place, well)| Happening::Ends(place, well)),
        1 => (0..2_usize).prop_map(Happening::Suspends),
        1 => Just(Happening::Edits),
        2 => prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(Happening::Asks),
        8 => (0..6_usize).prop_map(Happening::Steps),
        1 => (0..6_usize).prop_map(Happening::Deletes),
    ];
    prop::collection::vec(one, 0..60)
}

proptest! {
    #[test]
    fn random_histories_keep_the_rules(which in 0..6_usize, happenings in happenings()) {
        let Some(rules) = Rules::all().nth(which) else {
            return Ok(());
        };
        let mut world = World::new();
        for happening in happenings {
            happen(&mut world, rules, happening);
        }
        world.settle(rules);
    }
}
