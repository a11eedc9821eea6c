//! Configurations that the user wants to be tried first.

use super::history::{Explored, Known, alike};
use super::random;
use crate::random::Stream;
use crate::space::{Space, SpaceError};
use crate::value::Configuration;

/// Tells the streams that complete given configurations from those of suggested ones.
const GIVEN: u64 = 1;

/// The `given` configurations, parameters that are missing drawn from the space, as long as there is room for `max_trials`.
///
/// # Errors
/// Every configuration that cannot be tried, with its path relative to `spec`, such as `initialTrials[2].depth`.
pub fn initial_trials(
    space: &Space,
    given: &[Configuration],
    max_trials: u32,
    seed: u64,
) -> Result<Vec<Configuration>, Vec<SpaceError>> {
    let mut problems = Vec::new();
    let mut chosen: Vec<Option<Configuration>> = vec![None; given.len()];
    let mut incomplete = Vec::new();
    // Complete ones first: what is drawn for the others must repeat none of them.
    for (position, given) in given.iter().enumerate() {
        let at = |problem: SpaceError| at(position, &problem);
        if u32::try_from(position).is_ok_and(|position| position >= max_trials) {
            let message = format!(
                "must be left out, or `maxTrials` be raised: `maxTrials` {max_trials} leaves no room for it"
            );
            problems.push(at(SpaceError::new("", message)));
            continue;
        }
        let partial = match space.admit_partial(given) {
            Ok(partial) => partial,
            Err(found) => {
                problems.extend(found.into_iter().map(at));
                continue;
            }
        };
        let contradictions = space.contradictions(&partial);
        if !contradictions.is_empty() {
            problems.extend(contradictions.into_iter().map(at));
        } else if let Ok(complete) = space.admit(&partial) {
            match repeated(space, &chosen, &complete) {
                Some(earlier) => {
                    let message = format!("must differ from `initialTrials[{earlier}]`");
                    problems.push(at(SpaceError::new("", message)));
                }
                None => chosen[position] = Some(complete),
            }
        } else {
            incomplete.push((position, partial));
        }
    }
    let none = Explored::default();
    for (position, partial) in incomplete {
        let mut known = Known::after(&none);
        add_pending(&mut known, space, &chosen);
        let key = u64::try_from(position).unwrap_or(u64::MAX);
        let mut stream = Stream::new(seed, &[key, GIVEN]);
        match random::complete(space, &known, &partial, &mut stream) {
            Ok(complete) => chosen[position] = Some(complete),
            Err(reason) => problems.push(at(position, &SpaceError::new("", reason))),
        }
    }
    if problems.is_empty() {
        Ok(chosen.into_iter().flatten().collect())
    } else {
        Err(problems)
    }
}

fn at(position: usize, problem: &SpaceError) -> SpaceError {
    let path = match problem.path.as_str() {
        "" => format!("initialTrials[{position}]"),
        name => format!("initialTrials[{position}].{name}"),
    };
    SpaceError::new(path, &problem.message)
}

fn repeated(
    space: &Space,
    chosen: &[Option<Configuration>],
    configuration: &Configuration,
) -> Option<usize> {
    chosen.iter().position(|other| {
        other
            .as_ref()
            .is_some_and(|other| alike(space, other, configuration))
    })
}

fn add_pending(known: &mut Known<'_>, space: &Space, chosen: &[Option<Configuration>]) {
    for (index, configuration) in (1_u32..).zip(chosen) {
        if let Some(configuration) = configuration {
            known.add_pending(space, index, configuration);
        }
    }
}
