//! Faults about evidence of which only Jobs know whether it changed: each of them must be found.

use super::jobs::{Comparison, FileLook, Finding};
use super::model::{Bounds, Scenario};
use super::mutants::must_find;
use super::people::Event;
use super::scenarios::judged_by_jobs;
use super::wishes::Files;
use super::world::{Lens, World};
use podium_core::champion::{Action, Cause, GATES, Gate, Plan};

/// A scenario by name, in which only time passes, files are replaced and `more` happens, seen through `lens`.
fn mutant(name: &str, (events, faults): (u8, u8), more: &[Event], lens: Lens) -> Scenario {
    let bounds = Bounds { events, faults };
    let found = judged_by_jobs(bounds)
        .into_iter()
        .find(|scenario| scenario.name == name);
    let mut events = vec![Event::Time, Event::Replace(Files::OneRowChanged)];
    events.extend(more.iter().cloned());
    Scenario {
        events,
        lens,
        ..found.unwrap()
    }
}

fn comparisons(world: &mut World) -> impl Iterator<Item = &mut Comparison> {
    world
        .comparisons
        .iter_mut()
        .flat_map(|all| all.values_mut())
}

fn looks(world: &mut World) -> impl Iterator<Item = &mut FileLook> {
    comparisons(world).filter_map(|comparison| comparison.look.as_mut())
}

#[test]
fn evidence_is_confirmed_before_an_alias_moves_on_it() {
    let lens = Lens {
        shows: |world| {
            let now = world.time;
            for comparison in comparisons(world) {
                comparison.read = now;
                comparison.look = None;
            }
        },
        ..Lens::CLEAR
    };
    must_find(
        "moves on evidence that was not confirmed",
        mutant("judged by Jobs", (2, 0), &[], lens),
    );
    must_find(
        "moves on evidence that waited for a window",
        mutant(
            "judged by Jobs, outside of windows",
            (3, 0),
            &[Event::Window(true)],
            lens,
        ),
    );
    must_find(
        "moves on evidence that waited for consent",
        mutant(
            "judged by Jobs, approval",
            (3, 0),
            &[Event::Approve("alice")],
            lens,
        ),
    );
}

#[test]
fn evidence_is_confirmed_again_right_before_the_move() {
    let lens = Lens {
        table: |world| match world.memory.in_flight {
            Some(_) => GATES.without(Gate::Evidence, Cause::Promotion),
            None => GATES,
        },
        ..Lens::CLEAR
    };
    must_find(
        "asks for the age of evidence once",
        mutant("judged by Jobs", (2, 0), &[], lens),
    );
}

#[test]
fn what_was_asked_for_is_not_an_answer() {
    let lens = Lens {
        shows: |world| {
            let now = world.time;
            for look in looks(world).filter(|look| look.heard.is_none()) {
                look.found = Some((Finding::Unchanged, now));
                look.heard = Some(now);
            }
        },
        ..Lens::CLEAR
    };
    must_find(
        "takes a question for an answer",
        mutant("judged by Jobs", (2, 0), &[], lens),
    );
}

/// Whoever hears an answer late, since nobody was there when it came, must not take it for a new one.
#[test]
fn an_answer_is_as_old_as_the_look() {
    let lens = Lens {
        shows: |world| {
            for look in looks(world) {
                look.found = look
                    .found
                    .zip(look.heard)
                    .map(|((finding, _), heard)| (finding, heard));
            }
        },
        ..Lens::CLEAR
    };
    must_find(
        "takes a late answer for a new one",
        mutant("judged by Jobs", (3, 0), &[], lens),
    );
}

#[test]
fn a_look_that_failed_says_nothing() {
    let lens = Lens {
        shows: |world| says_unchanged(world, Finding::Nothing),
        ..Lens::CLEAR
    };
    must_find(
        "takes a Job that was killed for a good one",
        mutant("judged by Jobs", (2, 1), &[], lens),
    );
}

#[test]
fn files_that_changed_are_compared_anew() {
    let lens = Lens {
        shows: |world| says_unchanged(world, Finding::Changed),
        ..Lens::CLEAR
    };
    must_find(
        "keeps a comparison of other files",
        mutant("judged by Jobs", (2, 0), &[], lens),
    );
}

fn says_unchanged(world: &mut World, instead_of: Finding) {
    for look in looks(world) {
        if let Some((finding, _)) = look.found.as_mut().filter(|(f, _)| *f == instead_of) {
            *finding = Finding::Unchanged;
        }
    }
}

fn asks_nobody(plan: &mut Plan) {
    plan.actions
        .retain(|action| !matches!(action, Action::Confirm { .. }));
}

#[test]
fn whoever_waits_for_a_look_has_asked_for_it() {
    let lens = Lens {
        answers: asks_nobody,
        ..Lens::CLEAR
    };
    must_find(
        "waits for a look that nobody was asked for",
        mutant("judged by Jobs", (1, 0), &[], lens),
    );
}

#[test]
fn a_look_is_asked_for_when_nothing_else_holds_the_move() {
    let lens = Lens {
        shows: |world| world.window = true,
        ..Lens::CLEAR
    };
    must_find(
        "asks for a look outside of windows",
        mutant("judged by Jobs, outside of windows", (1, 0), &[], lens),
    );
}
