//! Never the same configuration twice: turns proposals into a suggestion that is new, or shows that nothing new is left.

use std::ops::ControlFlow;

use super::Suggestion;
use super::history::Known;
use crate::random::Stream;
use crate::space::{Cardinality, HOPELESS_DRAWS, Space, Visit};
use crate::value::Configuration;

/// Random draws before the untried rest of a finite space is listed.
const DRAWS: u64 = 256;

/// Partial configurations looked at while the untried rest is listed.
const LISTING_BUDGET: u64 = 200_000;

/// Name of suggestions that are draws from the space.
pub(super) const RANDOM: &str = "Random";

/// The reason to end when every configuration was tried.
pub(super) fn all_tried(known: &Known<'_>) -> Suggestion {
    let count = known.distinct();
    let reason = match count {
        1 => "the only configuration of the search space has been tried".to_owned(),
        _ => format!("all {count} configurations of the search space have been tried"),
    };
    Suggestion::Exhausted { reason }
}

/// Whether the count of a finite space says that nothing is left.
pub(super) fn is_exhausted(space: &Space, known: &Known<'_>) -> bool {
    matches!(space.cardinality(), Cardinality::Finite(count) if known.distinct() >= count)
}

/// Whether a configuration meets the constraints and was not tried.
pub(super) fn is_new(space: &Space, known: &Known<'_>, configuration: &Configuration) -> bool {
    space.violated(configuration).is_none() && !known.has_seen(space, configuration)
}

/// The first of `attempts` proposals that is new; failing that, a new draw from the space.
pub(super) fn first_new(
    space: &Space,
    known: &Known<'_>,
    stream: &mut Stream,
    origin: &'static str,
    attempts: u64,
    mut propose: impl FnMut(&mut Stream) -> Configuration,
) -> Suggestion {
    if is_exhausted(space, known) {
        return all_tried(known);
    }
    let proposed = (0..attempts)
        .map(|_| propose(stream))
        .find(|configuration| is_new(space, known, configuration));
    match proposed {
        Some(configuration) => Suggestion::Next {
            configuration,
            origin,
        },
        None => new_draw(space, known, stream),
    }
}

/// A draw from the space that is new.
pub(super) fn new_draw(space: &Space, known: &Known<'_>, stream: &mut Stream) -> Suggestion {
    if is_exhausted(space, known) {
        return all_tried(known);
    }
    if let Some(configuration) = draws(space, known, stream, DRAWS) {
        return Suggestion::Next {
            configuration,
            origin: RANDOM,
        };
    }
    let mut listing_was_complete = false;
    if space.cardinality() != Cardinality::Infinite {
        let (visit, chosen) = any_of_the_rest(space, known, stream);
        if let Some(configuration) = chosen {
            return Suggestion::Next {
                configuration,
                origin: RANDOM,
            };
        }
        listing_was_complete = visit == Visit::Complete;
    }
    if listing_was_complete {
        return all_tried(known);
    }
    match draws(space, known, stream, HOPELESS_DRAWS) {
        Some(configuration) => Suggestion::Next {
            configuration,
            origin: RANDOM,
        },
        None => Suggestion::Exhausted {
            reason: format!(
                "none of {HOPELESS_DRAWS} random configurations was new and met all `parameterConstraints`"
            ),
        },
    }
}

fn draws(
    space: &Space,
    known: &Known<'_>,
    stream: &mut Stream,
    count: u64,
) -> Option<Configuration> {
    (0..count)
        .map(|_| space.draw(stream))
        .find(|configuration| is_new(space, known, configuration))
}

/// One of the untried configurations, each with the same chance, found by listing them all.
fn any_of_the_rest(
    space: &Space,
    known: &Known<'_>,
    stream: &mut Stream,
) -> (Visit, Option<Configuration>) {
    let (mut chosen, mut untried) = (None, 0);
    let visit = space.visit(LISTING_BUDGET, &mut |configuration| {
        if !known.has_seen(space, configuration) {
            untried += 1;
            if stream.below(untried) == 0 {
                chosen = Some(configuration.clone());
            }
        }
        ControlFlow::Continue(())
    });
    (visit, chosen)
}
