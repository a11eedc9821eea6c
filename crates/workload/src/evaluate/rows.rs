//! The rows that two models are compared on, from one, two or three files.

use super::EvaluateError;
use super::ids::{Ids, join};
use super::origin;
use super::request::{HoldoutFile, Request, Slice, Source};
use crate::table::{FileBytes, FileRead, FileSource, Keys, RowFile, Table, TableError, unusable};
use podium_core::comparison::Holdout;
use std::path::Path;

/// Everything that was read.
pub(super) struct Rows {
    /// The rows as the core compares them, in the order of `described`.
    pub(super) holdout: Holdout,
    /// Names of the rows, when a column of ids is given.
    pub(super) ids: Option<Keys>,
    /// Names of the clusters of the rows, when there are clusters.
    pub(super) clusters: Option<Keys>,
    pub(super) champion: FileRead,
    pub(super) challenger: FileRead,
    /// The file of the holdout, when it is not that of the champion's predictions.
    pub(super) holdout_file: Option<FileRead>,
}

/// Reads the files of `request` and joins them.
pub(super) fn read(files: &dyn FileSource, request: &Request) -> Result<Rows, EvaluateError> {
    match (&request.holdout, &request.source) {
        (Some(file), _) => with_holdout(files, request, file),
        (
            None,
            Source::TwoFiles {
                champion,
                challenger,
                score,
            },
        ) => two_files(files, request, champion, challenger, score),
        (
            None,
            Source::OneFile {
                predictions,
                champion_score,
                challenger_score,
            },
        ) => one_file(
            files,
            request,
            predictions,
            champion_score,
            challenger_score,
        ),
    }
}

/// The columns `wanted` of a file.
fn table(files: &dyn FileSource, address: &Path, wanted: &[&str]) -> Result<Table, TableError> {
    Table::of(&RowFile::of_bytes(files.read(address)?)?, wanted)
}

fn one_file(
    files: &dyn FileSource,
    request: &Request,
    predictions: &Path,
    champion_score: &str,
    challenger_score: &str,
) -> Result<Rows, EvaluateError> {
    let wanted = descriptive(request, &[champion_score, challenger_score]);
    let table = table(files, predictions, &wanted)?;
    origin::check(files, &table.source, request)?;
    let mut described = describe(request, &table)?;
    described.holdout.champion = table.scores(champion_score)?;
    described.holdout.challenger = table.scores(challenger_score)?;
    Ok(described.rows(table.source.clone(), table.source, None))
}

fn two_files(
    files: &dyn FileSource,
    request: &Request,
    champion: &Path,
    challenger: &Path,
    score: &str,
) -> Result<Rows, EvaluateError> {
    let id = id_to_join(request, champion)?;
    let old = table(files, champion, &descriptive(request, &[score]))?;
    origin::check_champion(files, &old.source, request)?;
    let mut described = describe(request, &old)?;
    let file = RowFile::of_bytes(files.read(challenger)?)?;
    // Labels and weights are the champion's file's. Where the challenger's has them too they must agree, or the files are of different rows.
    let has = |name: &&str| file.names().iter().any(|present| present == name);
    let label = Some(request.label.as_str()).filter(has);
    let weight = request.weight.as_deref().filter(has);
    let wanted: Vec<&str> = [Some(id), Some(score), label, weight]
        .into_iter()
        .flatten()
        .collect();
    let new = Table::of(&file, &wanted)?;
    origin::check_challenger(files, &new.source, request)?;
    let rows = described.join(&new, id)?;
    if let Some(label) = label {
        let number = |labels: Vec<u8>| labels.into_iter().map(f64::from).collect::<Vec<_>>();
        let values = (number(old.labels(label)?), number(new.labels(label)?));
        check_same((&old, &values.0), (&new, &values.1), label, &rows)?;
    }
    if let Some(weight) = weight {
        let values = (old.weights(weight)?, new.weights(weight)?);
        check_same((&old, &values.0), (&new, &values.1), weight, &rows)?;
    }
    described.holdout.challenger = at(&new.scores(score)?, &rows);
    described.holdout.champion = old.scores(score)?;
    Ok(described.rows(old.source, new.source, None))
}

/// The predictions bring ids and scores; whatever else they hold is not read.
fn with_holdout(
    files: &dyn FileSource,
    request: &Request,
    file: &HoldoutFile,
) -> Result<Rows, EvaluateError> {
    let id = id_to_join(request, &file.path)?;
    let file = RowFile::of_bytes(expected_bytes(files, file)?)?;
    let holdout = Table::of(&file, &descriptive(request, &[]))?;
    let mut described = describe(request, &holdout)?;
    let (champion, challenger) = match &request.source {
        Source::TwoFiles {
            champion,
            challenger,
            score,
        } => {
            let old = table(files, champion, &[id, score])?;
            origin::check_champion(files, &old.source, request)?;
            described.holdout.champion = described.scores(&old, id, score)?;
            let new = table(files, challenger, &[id, score])?;
            origin::check_challenger(files, &new.source, request)?;
            described.holdout.challenger = described.scores(&new, id, score)?;
            (old.source, new.source)
        }
        Source::OneFile {
            predictions,
            champion_score,
            challenger_score,
        } => {
            let both = table(files, predictions, &[id, champion_score, challenger_score])?;
            origin::check(files, &both.source, request)?;
            described.holdout.champion = described.scores(&both, id, champion_score)?;
            described.holdout.challenger = described.scores(&both, id, challenger_score)?;
            (both.source.clone(), both.source)
        }
    };
    Ok(described.rows(champion, challenger, Some(holdout.source)))
}

fn id_to_join<'a>(request: &'a Request, path: &Path) -> Result<&'a str, TableError> {
    request.id.as_deref().ok_or_else(|| {
        let message = "a column of ids must be given to join two files";
        unusable(path, message)
    })
}

/// The bytes of the holdout's file, which must have the digest that is expected of them.
fn expected_bytes(files: &dyn FileSource, file: &HoldoutFile) -> Result<FileBytes, EvaluateError> {
    let bytes = files.read(&file.path)?;
    match &file.sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(bytes.sha256()) => {
            Err(EvaluateError::OtherHoldout {
                path: file.path.clone(),
                expected: expected.clone(),
                found: bytes.sha256().to_string(),
            })
        }
        _ => Ok(bytes),
    }
}

/// The columns that describe rows, and `scores`.
fn descriptive<'a>(request: &'a Request, scores: &[&'a str]) -> Vec<&'a str> {
    let mut wanted = vec![request.label.as_str()];
    wanted.extend(scores);
    wanted.extend(request.id.as_deref());
    wanted.extend(request.weight.as_deref());
    wanted.extend(request.cluster.as_deref());
    wanted.extend(request.slices.iter().map(|slice| slice.column.as_str()));
    wanted
}

/// Everything of the rows but the scores.
struct Described {
    holdout: Holdout,
    ids: Option<Ids>,
    clusters: Option<Keys>,
}

impl Described {
    /// The row of `table` for each of these rows.
    fn join(&self, table: &Table, id: &str) -> Result<Vec<usize>, TableError> {
        let new = Ids::of(table, id)?;
        match &self.ids {
            Some(old) => join(old, &new),
            None => Err(table.refuse("a column of ids must be given to join two files")),
        }
    }

    /// A column of scores, in the order of these rows.
    fn scores(&self, table: &Table, id: &str, column: &str) -> Result<Vec<f64>, TableError> {
        let rows = self.join(table, id)?;
        Ok(at(&table.scores(column)?, &rows))
    }

    fn rows(
        self,
        champion: FileRead,
        challenger: FileRead,
        holdout_file: Option<FileRead>,
    ) -> Rows {
        Rows {
            holdout: self.holdout,
            ids: self.ids.map(|ids| ids.keys),
            clusters: self.clusters,
            champion,
            challenger,
            holdout_file,
        }
    }
}

fn describe(request: &Request, table: &Table) -> Result<Described, TableError> {
    let mut holdout = Holdout {
        labels: table.labels(&request.label)?,
        ..Holdout::default()
    };
    if let Some(weight) = &request.weight {
        holdout.weights = Some(table.weights(weight)?);
    }
    let clusters = match &request.cluster {
        Some(cluster) => Some(table.keys(cluster, WITHOUT_CLUSTER)?),
        None => None,
    };
    holdout.clusters = clusters.as_ref().map(hashes);
    let ids = match &request.id {
        Some(id) => Some(Ids::of(table, id)?),
        None => None,
    };
    holdout.unit_keys = ids.as_ref().map(|ids| hashes(&ids.keys));
    for slice in &request.slices {
        holdout
            .slices
            .insert(slice.name.clone(), members(table, slice)?);
    }
    Ok(Described {
        holdout,
        ids,
        clusters,
    })
}

/// What helps where a row has no cluster.
const WITHOUT_CLUSTER: &str =
    ": all rows without a cluster would be one. Give each a cluster of its own, or leave it out";

/// The rows of a slice, of which there must be some.
fn members(table: &Table, slice: &Slice) -> Result<Vec<bool>, TableError> {
    let Slice {
        name,
        column,
        equals,
    } = slice;
    let values = table.column(column)?;
    let members = values
        .equal_to(equals)
        .map_err(|message| table.refuse(&format!("slice `{name}`: `{column}` {message}")))?;
    if members.contains(&true) || members.is_empty() {
        return Ok(members);
    }
    Err(table.refuse(&format!(
        "slice `{name}`: `{column}` must be `{equals}` in some row; it holds {}",
        values.values()
    )))
}

fn at(values: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|&row| values[row]).collect()
}

/// Labels and weights must agree, or the predictions are of different holdouts.
fn check_same(
    (old, left): (&Table, &[f64]),
    (new, right): (&Table, &[f64]),
    column: &str,
    rows: &[usize],
) -> Result<(), TableError> {
    let mut pairs = rows.iter().enumerate();
    match pairs.find(|&(old_row, &new_row)| left[old_row] != right[new_row]) {
        None => Ok(()),
        Some((old_row, &new_row)) => {
            let message = format!(
                "`{column}` must be {} as in {} of {}, which has the same id; got {}. The predictions must be of one holdout",
                left[old_row],
                old.place(old_row),
                old.path().display(),
                right[new_row]
            );
            Err(new.refuse_row(new_row, &message))
        }
    }
}

/// A number per row that depends on the row's key only.
fn hashes(keys: &Keys) -> Vec<u64> {
    let of_integer = |value: &i128| match i64::try_from(*value) {
        Ok(value) => value.cast_unsigned(),
        Err(_) => fnv_1a(value.to_string().as_bytes()),
    };
    match keys {
        Keys::Integers(values) => values.iter().map(of_integer).collect(),
        Keys::Texts(values) => {
            let texts = values.iter().flatten();
            texts.map(|text| fnv_1a(text.as_bytes())).collect()
        }
    }
}

/// Fowler, Noll and Vo's hash: the same on every machine and in every version, so that a verdict can be repeated.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
