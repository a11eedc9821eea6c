//! Independent draws from the prior of the space.

use super::Suggestion;
use super::history::Known;
use super::novelty;
use crate::random::Stream;
use crate::space::{HOPELESS_DRAWS, Space};
use crate::value::Configuration;

pub(super) fn suggest(space: &Space, known: &Known<'_>, stream: &mut Stream) -> Suggestion {
    novelty::new_draw(space, known, stream)
}

/// A new configuration with the `given` values, which their parameters have; the other parameters are drawn from the space.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn complete(
    space: &Space,
    known: &Known<'_>,
    given: &Configuration,
    stream: &mut Stream,
) -> Result<Configuration, String> {
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
    found.ok_or_else(|| {
        format!(
            "must be completed to a configuration that is new, has all its parameters active and meets all \
             `parameterConstraints`; none of {HOPELESS_DRAWS} draws did"
        )
    })
}
