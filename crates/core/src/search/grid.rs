//! Every point of a finite space once, the last parameter varying fastest.

use std::ops::ControlFlow;

use super::Suggestion;
use super::history::Known;
use super::novelty;
use crate::space::{Cardinality, Space, SpaceError, Visit};

const ORIGIN: &str = "Grid";

/// Partial configurations looked at for one suggestion, against constraints that leave out almost everything.
const BUDGET: u64 = 5_000_000;

/// Parameters that have infinitely many values.
pub(super) fn problems(space: &Space) -> Vec<SpaceError> {
    let listed = space.parameters().iter().enumerate();
    let infinite = listed.filter(|(_, parameter)| {
        space
            .axis(&parameter.name)
            .is_some_and(|axis| axis.count().is_none())
    });
    infinite
        .map(|(place, parameter)| {
            let field = parameter.domain.field();
            let needed = match field {
                "normal" => "`min`, `max` and `step`",
                _ => "`step`",
            };
            let message = format!("`{}` must have {needed} when the algorithm is `Grid`, because a grid needs finitely many values", parameter.name);
            SpaceError::new(format!("parameters[{place}].{field}"), message)
        })
        .collect()
}

pub(super) fn suggest(space: &Space, known: &Known<'_>) -> Suggestion {
    if space.cardinality() == Cardinality::Infinite {
        let reason = problems(space)
            .into_iter()
            .map(|problem| problem.message)
            .collect::<Vec<_>>()
            .join("; ");
        return Suggestion::Exhausted { reason };
    }
    if novelty::is_exhausted(space, known) {
        return novelty::all_tried(known);
    }
    let mut next = None;
    let visit = space.visit(BUDGET, &mut |configuration| {
        if known.has_seen(space, configuration) {
            return ControlFlow::Continue(());
        }
        next = Some(configuration.clone());
        ControlFlow::Break(())
    });
    match (next, visit) {
        (Some(configuration), _) => Suggestion::Next {
            configuration,
            origin: ORIGIN,
        },
        (None, Visit::Curtailed) => Suggestion::Exhausted {
            reason: format!(
                "none of the first {BUDGET} points of the grid was new and met all `parameterConstraints`"
            ),
        },
        (None, _) => novelty::all_tried(known),
    }
}
