//! Rows of several files, brought together by their ids.

use crate::table::{Keys, Table, TableError, same_for_all_of_a_time, unusable};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// The ids of the rows of a table.
pub(super) struct Ids {
    column: String,
    path: std::path::PathBuf,
    /// Whether they were told to be numbers from their digits only.
    untyped: bool,
    /// What they are called, when they are dates or times.
    times: Option<String>,
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
            times: table.column(column)?.kind_of_times(),
            keys,
        })
    }

    fn texts(&self) -> Keys {
        Keys::Texts(self.keys.clone().into_texts())
    }

    /// What they are, in words.
    fn kind(&self) -> &str {
        self.times.as_deref().unwrap_or(self.keys.kind())
    }

    /// The ids as texts that are the same for the same time, whatever program wrote it; absent where they are numbers.
    ///
    /// # Errors
    /// Two rows have the same time, which they write in two ways.
    fn as_times(&self) -> Result<Option<Vec<String>>, TableError> {
        let keys = match &self.keys {
            Keys::Integers(_) if !self.untyped => return Ok(None),
            keys => keys.clone().into_texts(),
        };
        let times: Vec<String> = texts(&keys)
            .into_iter()
            .map(same_for_all_of_a_time)
            .collect();
        match repeated(&times) {
            None => Ok(Some(times)),
            Some((first, row)) => {
                let message = format!(
                    "`{}` must be unique; {} and {} are the same time",
                    self.column,
                    keys.value(first),
                    keys.value(row)
                );
                Err(unusable(&self.path, message))
            }
        }
    }
}

/// The row of `new` for each row of `old`; ids must match one to one.
pub(super) fn join(old: &Ids, new: &Ids) -> Result<Vec<usize>, TableError> {
    // A time has many spellings, and most programs have one of their own.
    if (old.times.is_some() || new.times.is_some())
        && let (Some(left), Some(right)) = (old.as_times()?, new.as_times()?)
    {
        return join_ids(old, new, &left, &right);
    }
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
        _ => Err(unusable(
            &new.path,
            format!(
                "`{}` must hold {left}, as in {}; it holds {right}. Write both files with the same type",
                new.column,
                old.path.display(),
                left = old.kind(),
                right = new.kind(),
            ),
        )),
    }
}

fn texts(keys: &arrow_array::LargeStringArray) -> Vec<&str> {
    keys.iter().flatten().collect()
}

fn join_ids<I: Eq + Hash>(
    old: &Ids,
    new: &Ids,
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
        let missing = (0..left.len()).filter(|row| !places.contains_key(&left[*row]));
        return Err(unmatched(new, old, &missing.collect::<Vec<_>>()));
    }
    if rows.len() < right.len() {
        let known: HashSet<&I> = left.iter().collect();
        let extra = (0..right.len()).filter(|row| !known.contains(&right[*row]));
        return Err(unmatched(old, new, &extra.collect::<Vec<_>>()));
    }
    Ok(rows)
}

/// `lacking` has no ids like those of `having` at `rows`.
fn unmatched(lacking: &Ids, having: &Ids, rows: &[usize]) -> TableError {
    let shown = |keys: &Keys, rows: &[usize]| {
        let shown: Vec<String> = rows.iter().take(3).map(|row| keys.text(*row)).collect();
        let more = if rows.len() > shown.len() {
            ", …"
        } else {
            ""
        };
        format!("{}{more}", shown.join(", "))
    };
    let mut message = format!(
        "`{}` must hold the same ids as {}; it lacks {} of them: {}",
        lacking.column,
        having.path.display(),
        rows.len(),
        shown(&having.keys, rows)
    );
    // Where no id is the same, the two are spelt in different ways.
    let its_own: Vec<usize> = (0..lacking.keys.len()).collect();
    if rows.len() == having.keys.len() && !its_own.is_empty() {
        message += &format!("; it holds {}", shown(&lacking.keys, &its_own));
    }
    unusable(&lacking.path, message)
}

fn check_distinct(table: &Table, id: &str, keys: &Keys) -> Result<(), TableError> {
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

/// The first row whose id another row before it has, and that row.
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
