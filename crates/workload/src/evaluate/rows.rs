//! The rows that two models are compared on, from one, two or three files.

use super::EvaluateError;
use super::ids::{check_distinct, join};
use super::origin;
use super::request::{HoldoutFile, Request, Source};
use crate::table::{FileBytes, FileRead, Table, TableError, Values, unusable};
use podium_core::comparison::Holdout;
use std::path::Path;

/// Everything that was read.
pub(super) struct Rows {
    /// The rows as the core compares them, in the order of `described`.
    pub(super) holdout: Holdout,
    /// The file that labels, weights, clusters and slices are from.
    pub(super) described: Table,
    pub(super) champion: FileRead,
    pub(super) challenger: FileRead,
    /// The file of the holdout, when it is not that of the champion's predictions.
    pub(super) holdout_file: Option<FileRead>,
}

/// Reads the files of `request` and joins them.
pub(super) fn read(request: &Request) -> Result<Rows, EvaluateError> {
    match (&request.holdout, &request.source) {
        (Some(file), _) => with_holdout(request, file),
        (
            None,
            Source::TwoFiles {
                champion,
                challenger,
                score,
            },
        ) => two_files(request, champion, challenger, score),
        (
            None,
            Source::OneFile {
                predictions,
                champion_score,
                challenger_score,
            },
        ) => one_file(request, predictions, champion_score, challenger_score),
    }
}

fn one_file(
    request: &Request,
    predictions: &Path,
    champion_score: &str,
    challenger_score: &str,
) -> Result<Rows, EvaluateError> {
    let wanted = descriptive(request, &[champion_score, challenger_score]);
    let table = Table::read(predictions, Some(&wanted))?;
    origin::check(&table.source, request)?;
    let mut holdout = describe(request, &table)?;
    holdout.champion = finite(&table, champion_score)?;
    holdout.challenger = finite(&table, challenger_score)?;
    Ok(Rows {
        holdout,
        champion: table.source.clone(),
        challenger: table.source.clone(),
        holdout_file: None,
        described: table,
    })
}

fn two_files(
    request: &Request,
    champion: &Path,
    challenger: &Path,
    score: &str,
) -> Result<Rows, EvaluateError> {
    let id = id_to_join(request, champion)?;
    let old = Table::read(champion, Some(&descriptive(request, &[score])))?;
    origin::check_champion(&old.source, request)?;
    let mut holdout = describe(request, &old)?;
    let mut wanted = vec![id, request.label.as_str(), score];
    wanted.extend(request.weight.as_deref());
    let new = Table::read(challenger, Some(&wanted))?;
    origin::check_challenger(&new.source, request)?;
    let rows = join(&old, &new, id)?;
    check_same(&old, &new, &request.label, &rows)?;
    if let Some(weight) = &request.weight {
        check_same(&old, &new, weight, &rows)?;
    }
    holdout.challenger = at(&finite(&new, score)?, &rows);
    holdout.champion = finite(&old, score)?;
    Ok(Rows {
        holdout,
        champion: old.source.clone(),
        challenger: new.source,
        holdout_file: None,
        described: old,
    })
}

/// The predictions bring ids and scores; whatever else they hold is not read.
fn with_holdout(request: &Request, file: &HoldoutFile) -> Result<Rows, EvaluateError> {
    let id = id_to_join(request, &file.path)?;
    let described = Table::parse(expected_bytes(file)?, Some(&descriptive(request, &[])))?;
    let mut holdout = describe(request, &described)?;
    let scores = |table: &Table, column: &str| -> Result<Vec<f64>, EvaluateError> {
        let rows = join(&described, table, id)?;
        Ok(at(&finite(table, column)?, &rows))
    };
    let (champion, challenger) = match &request.source {
        Source::TwoFiles {
            champion,
            challenger,
            score,
        } => {
            let old = Table::read(champion, Some(&[id, score]))?;
            origin::check_champion(&old.source, request)?;
            holdout.champion = scores(&old, score)?;
            let new = Table::read(challenger, Some(&[id, score]))?;
            origin::check_challenger(&new.source, request)?;
            holdout.challenger = scores(&new, score)?;
            (old.source, new.source)
        }
        Source::OneFile {
            predictions,
            champion_score,
            challenger_score,
        } => {
            let wanted = [id, champion_score, challenger_score];
            let both = Table::read(predictions, Some(&wanted))?;
            origin::check(&both.source, request)?;
            holdout.champion = scores(&both, champion_score)?;
            holdout.challenger = scores(&both, challenger_score)?;
            (both.source.clone(), both.source)
        }
    };
    Ok(Rows {
        holdout,
        champion,
        challenger,
        holdout_file: Some(described.source.clone()),
        described,
    })
}

fn id_to_join<'a>(request: &'a Request, path: &Path) -> Result<&'a str, TableError> {
    request.id.as_deref().ok_or_else(|| {
        let message = "a column of ids must be given to join two files";
        unusable(path, message)
    })
}

/// The bytes of the holdout's file, which must have the digest that is expected of them.
fn expected_bytes(file: &HoldoutFile) -> Result<FileBytes, EvaluateError> {
    let bytes = FileBytes::read(&file.path)?;
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
fn describe(request: &Request, table: &Table) -> Result<Holdout, TableError> {
    let mut holdout = Holdout {
        labels: table.labels(&request.label)?,
        ..Holdout::default()
    };
    if let Some(weight) = &request.weight {
        holdout.weights = Some(table.weights(weight)?);
    }
    if let Some(cluster) = &request.cluster {
        holdout.clusters = Some(keys(table, cluster)?);
    }
    if let Some(id) = &request.id {
        check_distinct(table, id)?;
        holdout.unit_keys = Some(keys(table, id)?);
    }
    for slice in &request.slices {
        let values = table.column(&slice.column)?;
        let is_member = |row| values.text(row).as_deref() == Some(&slice.equals);
        let members = (0..table.rows()).map(is_member).collect();
        holdout.slices.insert(slice.name.clone(), members);
    }
    Ok(holdout)
}

/// A column of scores; checked here, since after a join rows are counted as in another file.
fn finite(table: &Table, column: &str) -> Result<Vec<f64>, TableError> {
    let scores = table.numbers(column)?;
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(row) => {
            let (row, score) = (row + 1, scores[row]);
            let message = format!("row {row}: `{column}` must be a finite number; got {score}");
            Err(unusable(table.path(), message))
        }
    }
}

fn at(values: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|&row| values[row]).collect()
}

/// Labels and weights must agree, or the predictions are of different holdouts.
fn check_same(old: &Table, new: &Table, column: &str, rows: &[usize]) -> Result<(), TableError> {
    let (left, right) = (old.numbers(column)?, new.numbers(column)?);
    // A missing number equals a missing number.
    let differs =
        |(old_row, &new_row): (usize, &usize)| left[old_row].to_bits() != right[new_row].to_bits();
    match rows.iter().enumerate().find(|&pair| differs(pair)) {
        None => Ok(()),
        Some((old_row, &new_row)) => Err(unusable(
            new.path(),
            format!(
                "row {}: `{column}` must be {} as in row {} of {}, which has the same id; got {}. The predictions must be of one holdout",
                new_row + 1,
                left[old_row],
                old_row + 1,
                old.path().display(),
                right[new_row]
            ),
        )),
    }
}

/// A number per row that depends on the row's value only.
fn keys(table: &Table, column: &str) -> Result<Vec<u64>, TableError> {
    match table.column(column)? {
        Values::Integers(values) => Ok(values.iter().map(|value| value.cast_unsigned()).collect()),
        Values::Texts(values) => Ok(values
            .iter()
            .map(|value| fnv_1a(value.as_bytes()))
            .collect()),
        Values::Numbers(_) | Values::Other(_) => Err(unusable(
            table.path(),
            format!("`{column}` must hold whole numbers or texts"),
        )),
    }
}

/// Fowler, Noll and Vo's hash: the same on every machine and in every version, so that a verdict can be repeated.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
