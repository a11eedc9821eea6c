//! Rows of several files, brought together by their ids.

use crate::table::{Keys, Table, TableError, unusable};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::Path;

/// The ids of the rows of a table.
pub(super) struct Ids {
    column: String,
    path: std::path::PathBuf,
    /// Whether they were told to be numbers from their digits only.
    untyped: bool,
    pub(super) keys: Keys,
}

impl Ids {
    /// The ids in a column; no two rows have the same one.
    ///
    /// # Errors
    /// The column is not there, or an id is missing or stands twice.
    pub(super) fn of(table: &Table, column: &str) -> Result<Self, TableError> {
        let keys = table.keys(column, ", since it names the row")?;
        check_distinct(table, column, &keys)?;
        Ok(Self {
            column: column.to_string(),
            path: table.path().to_path_buf(),
            untyped: table.column(column)?.untyped,
            keys,
        })
    }

    fn texts(&self) -> Keys {
        Keys::Texts(self.keys.clone().into_texts())
    }
}

/// The row of `new` for each row of `old`; ids must match one to one.
pub(super) fn join(old: &Ids, new: &Ids) -> Result<Vec<usize>, TableError> {
    match (&old.keys, &new.keys) {
        (Keys::Integers(left), Keys::Integers(right)) => join_ids(old, new, left, right),
        (Keys::Texts(left), Keys::Texts(right)) => {
            let (left, right) = (texts(left), texts(right));
            join_ids(old, new, &left, &right)
        }
        // Digits in a CSV file may as well be texts.
        (Keys::Integers(_), Keys::Texts(right)) if old.untyped => {
            let left = old.texts().into_texts();
            join_ids(old, new, &texts(&left), &texts(right))
        }
        (Keys::Texts(left), Keys::Integers(_)) if new.untyped => {
            let right = new.texts().into_texts();
            join_ids(old, new, &texts(left), &texts(&right))
        }
        (left, right) => Err(unusable(
            &new.path,
            format!(
                "`{}` must hold {left}, as in {}; it holds {right}. Write both files with the same type",
                new.column,
                old.path.display(),
                left = left.kind(),
                right = right.kind(),
            ),
        )),
    }
}

fn texts(keys: &arrow::array::LargeStringArray) -> Vec<&str> {
    keys.iter().flatten().collect()
}

fn join_ids<I: Eq + Hash + std::fmt::Display>(
    old: &Ids,
    new: &Ids,
    left: &[I],
    right: &[I],
) -> Result<Vec<usize>, TableError> {
    let id = &old.column;
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
        return Err(unmatched(&new.path, &old.path, id, &missing));
    }
    if rows.len() < right.len() {
        let known: HashSet<&I> = left.iter().collect();
        let extra: Vec<&I> = right.iter().filter(|id| !known.contains(id)).collect();
        return Err(unmatched(&old.path, &new.path, id, &extra));
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

fn check_distinct(table: &Table, id: &str, keys: &Keys) -> Result<(), TableError> {
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
    let found = match keys {
        Keys::Integers(ids) => repeated(ids),
        Keys::Texts(ids) => repeated(&texts(ids)),
    };
    match found {
        None => Ok(()),
        Some((first, row)) => {
            let message = format!(
                "`{id}` must be unique; {} stands in {} already",
                keys.text(row),
                table.place(first)
            );
            Err(table.refuse_row(row, &message))
        }
    }
}
