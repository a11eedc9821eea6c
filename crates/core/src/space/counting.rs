//! Counting and visiting the configurations of finite spaces.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::{Cardinality, Constraint, Space, Visit};
use crate::expression::Expression;
use crate::value::Configuration;

/// Partial configurations that counting looks at before it settles for an upper bound.
const COUNTING_BUDGET: u64 = 100_000;

/// The exact number of configurations where it can be had.
///
/// Parameters fall into groups that no condition and no constraint connects, so the count is a product over groups. Within a
/// group only parameters that some expression names are walked through; the others multiply where they are active.
pub(super) fn cardinality(space: &Space) -> Cardinality {
    let mut total: Option<u128> = Some(1);
    let mut exact = true;
    let coupled = coupled(space);
    for group in groups(space) {
        match count_group(space, &group, &coupled) {
            Cardinality::Infinite => return Cardinality::Infinite,
            Cardinality::Finite(count) => total = total.and_then(|total| total.checked_mul(count)),
            Cardinality::AtMost(count) => {
                exact = false;
                total = total.and_then(|total| total.checked_mul(count));
            }
        }
    }
    match total {
        Some(count) if exact => Cardinality::Finite(count),
        Some(count) => Cardinality::AtMost(count),
        None => Cardinality::AtMost(u128::MAX),
    }
}

fn count_group(space: &Space, group: &BTreeSet<usize>, coupled: &BTreeSet<usize>) -> Cardinality {
    let walked: Vec<usize> = space
        .order
        .iter()
        .copied()
        .filter(|place| group.contains(place) && coupled.contains(place))
        .collect();
    if walked
        .iter()
        .any(|&place| space.dimensions[place].axis.count().is_none())
    {
        return Cardinality::Infinite;
    }
    let free: Vec<usize> = group.difference(coupled).copied().collect();
    let mut total = Cardinality::Finite(0);
    let visit = Walk::new(space, &walked, COUNTING_BUDGET).run(&mut |configuration| {
        total = match (total, choices(space, &free, configuration)) {
            (Cardinality::Finite(total), Cardinality::Finite(choices)) => total
                .checked_add(choices)
                .map_or(Cardinality::AtMost(u128::MAX), Cardinality::Finite),
            (_, other) => other,
        };
        if matches!(total, Cardinality::Finite(_)) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    match (visit, total) {
        (Visit::Complete, Cardinality::Finite(_)) | (_, Cardinality::Infinite) => total,
        _ => upper_bound(space, group),
    }
}

/// How many ways there are to choose those of `free` that are active beside `configuration`.
fn choices(space: &Space, free: &[usize], configuration: &Configuration) -> Cardinality {
    let mut product: Option<u128> = Some(1);
    for &place in free
        .iter()
        .filter(|&&place| space.is_active(place, configuration))
    {
        match space.dimensions[place].axis.count() {
            None => return Cardinality::Infinite,
            Some(count) => product = product.and_then(|product| product.checked_mul(count)),
        }
    }
    product.map_or(Cardinality::AtMost(u128::MAX), Cardinality::Finite)
}

fn upper_bound(space: &Space, group: &BTreeSet<usize>) -> Cardinality {
    let bound = group.iter().try_fold(1_u128, |bound, &place| {
        let dimension = &space.dimensions[place];
        let inactive = u128::from(dimension.when.is_some());
        dimension
            .axis
            .count()
            .map(|count| bound.saturating_mul(count.saturating_add(inactive)))
    });
    bound.map_or(Cardinality::Infinite, Cardinality::AtMost)
}

/// Parameters that some condition or constraint names.
fn coupled(space: &Space) -> BTreeSet<usize> {
    let conditions = space
        .dimensions
        .iter()
        .filter_map(|dimension| dimension.when.as_ref());
    let constraints = space
        .constraints
        .iter()
        .map(|constraint| &constraint.expression);
    conditions
        .chain(constraints)
        .flat_map(|expression| named(space, expression))
        .collect()
}

fn named(space: &Space, expression: &Expression) -> Vec<usize> {
    expression
        .variables()
        .iter()
        .filter_map(|name| space.place(name))
        .collect()
}

/// Parameters that conditions and constraints connect, directly or through others.
fn groups(space: &Space) -> Vec<BTreeSet<usize>> {
    let mut groups: Vec<BTreeSet<usize>> = (0..space.dimensions.len())
        .map(|place| BTreeSet::from([place]))
        .collect();
    let conditions = space
        .dimensions
        .iter()
        .enumerate()
        .filter_map(|(place, dimension)| {
            let mut connected = named(space, dimension.when.as_ref()?);
            connected.push(place);
            Some(connected)
        });
    let constraints = space
        .constraints
        .iter()
        .map(|constraint| named(space, &constraint.expression));
    for connected in conditions.chain(constraints) {
        let (touched, mut rest): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| connected.iter().any(|place| group.contains(place)));
        rest.push(touched.into_iter().flatten().collect());
        groups = rest;
    }
    groups
}

/// A depth-first walk over the values of some parameters, each after those that its condition names.
pub(super) struct Walk<'a> {
    space: &'a Space,
    places: &'a [usize],
    /// For each parameter, the constraints that are decided once it has its value.
    decided: Vec<Vec<&'a Constraint>>,
    budget: u64,
}

enum Stop {
    Visitor,
    Budget,
}

impl<'a> Walk<'a> {
    pub(super) fn new(space: &'a Space, places: &'a [usize], budget: u64) -> Self {
        let mut decided = vec![Vec::new(); places.len()];
        for constraint in &space.constraints {
            let depths: Option<Vec<usize>> = named(space, &constraint.expression)
                .iter()
                .map(|needed| places.iter().position(|place| place == needed))
                .collect();
            if let Some(last) = depths.and_then(|depths| depths.into_iter().max())
                && let Some(slot) = decided.get_mut(last)
            {
                slot.push(constraint);
            }
        }
        Self {
            space,
            places,
            decided,
            budget,
        }
    }

    pub(super) fn run(
        mut self,
        visitor: &mut dyn FnMut(&Configuration) -> ControlFlow<()>,
    ) -> Visit {
        match self.descend(0, &mut Configuration::new(), visitor) {
            ControlFlow::Continue(()) => Visit::Complete,
            ControlFlow::Break(Stop::Visitor) => Visit::Stopped,
            ControlFlow::Break(Stop::Budget) => Visit::Curtailed,
        }
    }

    fn descend(
        &mut self,
        depth: usize,
        configuration: &mut Configuration,
        visitor: &mut dyn FnMut(&Configuration) -> ControlFlow<()>,
    ) -> ControlFlow<Stop> {
        let Some(&place) = self.places.get(depth) else {
            return visitor(configuration).map_break(|()| Stop::Visitor);
        };
        if !self.space.is_active(place, configuration) {
            return self.go_on(depth, configuration, visitor);
        }
        let space = self.space;
        let axis = &space.dimensions[place].axis;
        let name = &space.parameters[place].name;
        for number in 0..axis.count().unwrap_or(0) {
            configuration.insert(name.clone(), axis.nth(number));
            self.go_on(depth, configuration, visitor)?;
        }
        configuration.remove(name);
        ControlFlow::Continue(())
    }

    fn go_on(
        &mut self,
        depth: usize,
        configuration: &mut Configuration,
        visitor: &mut dyn FnMut(&Configuration) -> ControlFlow<()>,
    ) -> ControlFlow<Stop> {
        if self.budget == 0 {
            return ControlFlow::Break(Stop::Budget);
        }
        self.budget -= 1;
        if self.decided[depth]
            .iter()
            .all(|constraint| constraint.holds(configuration))
        {
            self.descend(depth + 1, configuration, visitor)
        } else {
            ControlFlow::Continue(())
        }
    }
}
