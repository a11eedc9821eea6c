//! Rows of several files, brought together by their ids.

use crate::table::{Table, TableError, Values, unusable};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::Path;

/// The row of `new` for each row of `old`; ids must match one to one.
pub(super) fn join(old: &Table, new: &Table, id: &str) -> Result<Vec<usize>, TableError> {
    check_distinct(new, id)?;
    match (old.column(id)?, new.column(id)?) {
        (Values::Integers(left), Values::Integers(right)) => join_ids(old, new, id, left, right),
        (Values::Texts(left), Values::Texts(right)) => join_ids(old, new, id, left, right),
        _ => Err(unusable(
            new.path(),
            format!(
                "`{id}` must hold whole numbers or texts, the same as in {}",
                old.path().display()
            ),
        )),
    }
}

fn join_ids<I: Eq + Hash + std::fmt::Display>(
    old: &Table,
    new: &Table,
    id: &str,
    left: &[I],
    right: &[I],
) -> Result<Vec<usize>, TableError> {
    let places: HashMap<&I, usize> = right
        .iter()
        .enumerate()
        .map(|(row, id)| (id, row))
        .collect();
    let rows: Vec<usize> = left
        .iter()
        .filter_map(|id| places.get(id).copied())
        .collect();
    if rows.len() < left.len() {
        let missing: Vec<&I> = left.iter().filter(|id| !places.contains_key(id)).collect();
        return Err(unmatched(new.path(), old.path(), id, &missing));
    }
    if rows.len() < right.len() {
        let known: HashSet<&I> = left.iter().collect();
        let extra: Vec<&I> = right.iter().filter(|id| !known.contains(id)).collect();
        return Err(unmatched(old.path(), new.path(), id, &extra));
    }
    Ok(rows)
}

fn unmatched<I: std::fmt::Display>(
    lacking: &Path,
    having: &Path,
    id: &str,
    ids: &[&I],
) -> TableError {
    let shown: Vec<String> = ids.iter().take(3).map(ToString::to_string).collect();
    let more = if ids.len() > shown.len() { ", …" } else { "" };
    let message = format!(
        "`{id}` must hold the same ids as {}; it lacks {} of them: {}{more}",
        having.display(),
        ids.len(),
        shown.join(", ")
    );
    unusable(lacking, message)
}

/// No two rows have the same id.
pub(super) fn check_distinct(table: &Table, id: &str) -> Result<(), TableError> {
    fn repeated<I: Eq + Hash>(ids: &[I]) -> Option<(usize, usize)> {
        let mut seen = HashMap::with_capacity(ids.len());
        ids.iter()
            .enumerate()
            .find_map(|(row, id)| match seen.entry(id) {
                Entry::Occupied(first) => Some((*first.get(), row)),
                Entry::Vacant(place) => {
                    place.insert(row);
                    None
                }
            })
    }
    let values = table.column(id)?;
    let found = match values {
        Values::Integers(ids) => repeated(ids),
        Values::Texts(ids) => repeated(ids),
        Values::Numbers(_) | Values::Other(_) => {
            return Err(unusable(
                table.path(),
                format!("`{id}` must hold whole numbers or texts"),
            ));
        }
    };
    match found {
        None => Ok(()),
        Some((first, row)) => Err(unusable(
            table.path(),
            format!(
                "row {}: `{id}` must be unique; {} stands in row {} already",
                row + 1,
                values.text(row).unwrap_or_default(),
                first + 1
            ),
        )),
    }
}
