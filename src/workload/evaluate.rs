//! Compares two models on files of their predictions.

use super::table::{Table, TableError, Values, unusable};
use podium_core::comparison::{Comparison, Holdout, Refusal, Settings, compare};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::path::{Path, PathBuf};

/// Where the scores of both models are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file per model, joined by id; label, weight, cluster and slices come from the champion's.
    TwoFiles {
        /// Predictions of the model in production.
        champion: PathBuf,
        /// Predictions of the model that wants to replace it.
        challenger: PathBuf,
        /// The column of scores in both.
        score: String,
    },
    /// One file with a column of scores per model.
    OneFile {
        /// The file.
        predictions: PathBuf,
        /// Scores of the model in production.
        champion_score: String,
        /// Scores of the model that wants to replace it.
        challenger_score: String,
    },
}

/// Rows whose `column` says `equals`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The name that guardrails use.
    pub name: String,
    /// A column of the champion's file.
    pub column: String,
    /// Its value as text.
    pub equals: String,
}

/// What is to be compared, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Where the scores are.
    pub source: Source,
    /// Names a row; needed to join two files.
    pub id: Option<String>,
    /// 0 or 1.
    pub label: String,
    /// What a row weighs; all the same when absent.
    pub weight: Option<String>,
    /// Rows with the same value belong together.
    pub cluster: Option<String>,
    /// Parts of the holdout that guardrails may name.
    pub slices: Vec<Slice>,
    /// How they are compared.
    pub settings: Settings,
    /// Seed of the resamples.
    pub seed: u64,
}

/// Why files of predictions cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// See [`TableError`].
    #[error(transparent)]
    Table(#[from] TableError),
    /// See [`Refusal`].
    #[error("{path}: {refusal}")]
    Refused {
        /// The file whose rows are counted.
        path: PathBuf,
        /// What must hold.
        refusal: Refusal,
    },
}

/// Reads the files, joins them and compares the models.
///
/// # Errors
/// See [`EvaluateError`].
pub fn evaluate(request: &Request) -> Result<Comparison, EvaluateError> {
    let (path, holdout) = match &request.source {
        Source::TwoFiles {
            champion,
            challenger,
            score,
        } => (champion, two_files(request, champion, challenger, score)?),
        Source::OneFile {
            predictions,
            champion_score,
            challenger_score,
        } => {
            let table = read(request, predictions, &[champion_score, challenger_score])?;
            let mut holdout = described(request, &table)?;
            holdout.champion = table.numbers(champion_score)?;
            holdout.challenger = table.numbers(challenger_score)?;
            (predictions, holdout)
        }
    };
    compare(&holdout, &request.settings, request.seed).map_err(|refusal| EvaluateError::Refused {
        path: path.clone(),
        refusal,
    })
}

fn read(request: &Request, path: &Path, scores: &[&str]) -> Result<Table, TableError> {
    let mut wanted = vec![request.label.as_str()];
    wanted.extend(scores);
    wanted.extend(request.id.as_deref());
    wanted.extend(request.weight.as_deref());
    wanted.extend(request.cluster.as_deref());
    wanted.extend(request.slices.iter().map(|slice| slice.column.as_str()));
    Table::read(path, Some(&wanted))
}

/// Everything of the rows but the scores.
fn described(request: &Request, table: &Table) -> Result<Holdout, TableError> {
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
        let members = (0..table.rows).map(|row| values.text(row).as_deref() == Some(&slice.equals));
        holdout.slices.insert(slice.name.clone(), members.collect());
    }
    Ok(holdout)
}

fn two_files(
    request: &Request,
    champion: &Path,
    challenger: &Path,
    score: &str,
) -> Result<Holdout, TableError> {
    let Some(id) = &request.id else {
        let message = "a column of ids must be given to join two files";
        return Err(unusable(champion, message.to_string()));
    };
    let old = read(request, champion, &[score])?;
    let mut holdout = described(request, &old)?;
    let mut wanted = vec![id.as_str(), request.label.as_str(), score];
    wanted.extend(request.weight.as_deref());
    let new = Table::read(challenger, Some(&wanted))?;
    let rows = join(&old, &new, id)?;
    check_same(&old, &new, &request.label, &rows)?;
    if let Some(weight) = &request.weight {
        check_same(&old, &new, weight, &rows)?;
    }
    let scores = new.numbers(score)?;
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        // Named here, since after the join rows are counted as in the champion's file.
        let message = format!(
            "row {}: `{score}` must be a finite number; got {}",
            row + 1,
            scores[row]
        );
        return Err(unusable(challenger, message));
    }
    holdout.champion = old.numbers(score)?;
    holdout.challenger = rows.iter().map(|&row| scores[row]).collect();
    Ok(holdout)
}

/// The row of `new` for each row of `old`; ids must match one to one.
fn join(old: &Table, new: &Table, id: &str) -> Result<Vec<usize>, TableError> {
    check_distinct(new, id)?;
    match (old.column(id)?, new.column(id)?) {
        (Values::Integers(left), Values::Integers(right)) => join_ids(old, new, id, left, right),
        (Values::Texts(left), Values::Texts(right)) => join_ids(old, new, id, left, right),
        _ => Err(unusable(
            &new.path,
            format!(
                "`{id}` must hold whole numbers or texts, the same as in {}",
                old.path.display()
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
        return Err(unmatched(&new.path, &old.path, id, &missing));
    }
    if rows.len() < right.len() {
        let known: std::collections::HashSet<&I> = left.iter().collect();
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

fn check_distinct(table: &Table, id: &str) -> Result<(), TableError> {
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
                &table.path,
                format!("`{id}` must hold whole numbers or texts"),
            ));
        }
    };
    match found {
        None => Ok(()),
        Some((first, row)) => Err(unusable(
            &table.path,
            format!(
                "row {}: `{id}` must be unique; {} stands in row {} already",
                row + 1,
                values.text(row).unwrap_or_default(),
                first + 1
            ),
        )),
    }
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
            &new.path,
            format!(
                "row {}: `{column}` must be {} as in row {} of {}, which has the same id; got {}. The predictions must be of one holdout",
                new_row + 1,
                left[old_row],
                old_row + 1,
                old.path.display(),
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
            &table.path,
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 400;

    /// Id, label, customer and score of each row.
    fn rows() -> Vec<[String; 4]> {
        (0..ROWS)
            .map(|row| {
                let label = u8::from(row % 4 == 0);
                let score = (row * 37 % 100) as f64 / 200.0 + 0.3 * f64::from(label);
                [
                    row.to_string(),
                    label.to_string(),
                    (row % 50).to_string(),
                    score.to_string(),
                ]
            })
            .collect()
    }

    fn write(path: &Path, rows: &[[String; 4]]) {
        let mut text = "id,y,customer,score\n".to_string();
        for row in rows {
            text.push_str(&row.join(","));
            text.push('\n');
        }
        std::fs::write(path, text).unwrap();
    }

    fn compared(change: impl Fn(&mut Vec<[String; 4]>)) -> Result<Comparison, String> {
        let directory = tempfile::tempdir().unwrap();
        let [champion, challenger] =
            ["champion.csv", "challenger.csv"].map(|name| directory.path().join(name));
        write(&champion, &rows());
        let mut changed = rows();
        changed.reverse();
        change(&mut changed);
        write(&challenger, &changed);
        let request = Request {
            source: Source::TwoFiles {
                champion,
                challenger,
                score: "score".into(),
            },
            id: Some("id".into()),
            label: "y".into(),
            weight: None,
            cluster: Some("customer".into()),
            slices: vec![],
            settings: Settings {
                minimum_positives: 10.0,
                ..Settings::default()
            },
            seed: 1,
        };
        let prefix = format!("{}/", directory.path().display());
        evaluate(&request).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    #[test]
    fn files_are_joined_by_id_whatever_their_order() {
        let same = compared(|_| {}).unwrap();
        assert_eq!(same.metrics[0].difference, Some(0.0));
        assert_eq!((same.rows, same.clusters), (ROWS, Some(50)));
    }

    #[test]
    fn ids_that_do_not_match_one_to_one_are_refused() {
        assert_eq!(
            compared(|rows| drop(rows.drain(..2))).unwrap_err(),
            "challenger.csv: `id` must hold the same ids as champion.csv; it lacks 2 of them: 398, 399"
        );
        assert_eq!(
            compared(|rows| rows.push(["7000".into(), "0".into(), "1".into(), "0.5".into()]))
                .unwrap_err(),
            "champion.csv: `id` must hold the same ids as challenger.csv; it lacks 1 of them: 7000"
        );
        assert_eq!(
            compared(|rows| rows[3][0] = "399".into()).unwrap_err(),
            "challenger.csv: row 4: `id` must be unique; 399 stands in row 1 already"
        );
    }

    #[test]
    fn bad_labels_scores_and_other_holdouts_are_refused_with_their_row() {
        assert_eq!(
            compared(|rows| rows[0][1] = "1".into()).unwrap_err(),
            "challenger.csv: row 1: `y` must be 0 as in row 400 of champion.csv, which has the same id; got 1. \
             The predictions must be of one holdout"
        );
        assert_eq!(
            compared(|rows| rows[5][3] = "nan".into()).unwrap_err(),
            "challenger.csv: row 6: `score` must be a finite number; got NaN"
        );
        let missing =
            compared(|rows| rows.iter_mut().for_each(|row| row[3] = "high".into())).unwrap_err();
        assert!(
            missing.contains("the column `score` of challenger.csv must hold numbers, not text"),
            "{missing}"
        );
    }
}
