//! The order in which parameters are chosen: each after those that its `when` condition names.

use std::collections::BTreeMap;

use super::{Parameter, SpaceError};
use crate::expression::Expression;

/// Places of parameters in the earliest order that respects all conditions.
///
/// # Errors
/// The circle of conditions that makes such an order impossible.
pub(super) fn order(
    parameters: &[Parameter],
    conditions: &[Option<Expression>],
) -> Result<Vec<usize>, SpaceError> {
    let places: BTreeMap<&str, usize> = parameters
        .iter()
        .enumerate()
        .map(|(place, parameter)| (parameter.name.as_str(), place))
        .collect();
    let needs: Vec<Vec<usize>> = conditions
        .iter()
        .map(|when| {
            let names = when.iter().flat_map(Expression::variables);
            names
                .filter_map(|name| places.get(name.as_str()).copied())
                .collect()
        })
        .collect();
    let mut order = Vec::with_capacity(parameters.len());
    let mut waiting: Vec<usize> = (0..parameters.len()).collect();
    while let Some(ready) = waiting
        .iter()
        .position(|&place| needs[place].iter().all(|needed| order.contains(needed)))
    {
        order.push(waiting.remove(ready));
    }
    match waiting.first() {
        None => Ok(order),
        Some(&start) => Err(circle(parameters, &needs, &waiting, start)),
    }
}

/// Every waiting parameter needs another waiting one, so following needs must come back to where it has been.
fn circle(
    parameters: &[Parameter],
    needs: &[Vec<usize>],
    waiting: &[usize],
    start: usize,
) -> SpaceError {
    let mut path = vec![start];
    let mut at = start;
    while let Some(&next) = needs[at].iter().find(|needed| waiting.contains(needed)) {
        if let Some(begin) = path.iter().position(|&seen| seen == next) {
            path.drain(..begin);
            break;
        }
        path.push(next);
        at = next;
    }
    let first = path.first().copied().unwrap_or(start);
    let steps: Vec<String> = path
        .iter()
        .zip(path.iter().skip(1).chain([&first]))
        .map(|(&from, &to)| {
            format!(
                "`{}` depends on `{}`",
                parameters[from].name, parameters[to].name
            )
        })
        .collect();
    let message = format!(
        "`when` conditions must not form a circle: {}",
        steps.join(", ")
    );
    SpaceError::new(format!("parameters[{first}].when"), message)
}
