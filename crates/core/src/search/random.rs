//! Independent draws from the prior of the space.

use super::Suggestion;
use super::history::Known;
use super::novelty;
use crate::random::Stream;
use crate::space::{HOPELESS_DRAWS, Space};
use crate::value::Configuration;

/// Name of suggestions whose values the user gave.
const GIVEN: &str = "InitialTrial";

pub(super) fn suggest(space: &Space, known: &Known<'_>, stream: &mut Stream) -> Suggestion {
    novelty::new_draw(space, known, stream)
}

pub(super) fn complete(
    space: &Space,
    known: &Known<'_>,
    given: &Configuration,
    stream: &mut Stream,
) -> Suggestion {
    let given = match space.admit_partial(given) {
        Ok(given) => given,
        Err(problems) => {
            let problems: Vec<&str> = problems
                .iter()
                .map(|problem| problem.message.as_str())
                .collect();
            return Suggestion::Exhausted {
                reason: problems.join("; "),
            };
        }
    };
    let parameters = space.parameters();
    let mut completed = (0..HOPELESS_DRAWS).map(|_| {
        space.assemble(|place, axis, _| {
            let value = parameters
                .get(place)
                .and_then(|parameter| given.get(&parameter.name));
            value
                .cloned()
                .unwrap_or_else(|| axis.at_unit(stream.uniform()))
        })
    });
    let found = completed.find(|configuration| {
        given.keys().all(|name| configuration.contains_key(name))
            && novelty::is_new(space, known, configuration)
    });
    match found {
        Some(configuration) => Suggestion::Next {
            configuration,
            origin: GIVEN,
        },
        None => Suggestion::Exhausted {
            reason: format!(
                "none of {HOPELESS_DRAWS} configurations with the given values was new, possible and met all `parameterConstraints`"
            ),
        },
    }
}
