//! Compares two models on files of their predictions.

mod evidence;
mod ids;
mod origin;
mod request;
mod rows;
#[cfg(test)]
mod tests;

pub use evidence::Evidence;
pub use request::{Expected, HoldoutFile, Request, Slice, Source};

use super::table::{FileSource, TableError};
use podium_core::comparison::{self, Comparison, Holdout, Refusal, Statistics, Warning};
use podium_core::looks::is_confirmation_row;
use rows::Rows;
use std::path::{Path, PathBuf};

/// Why files of predictions cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The request contradicts itself, or asks for something impossible.
    #[error("{0}")]
    Request(String),
    /// See [`TableError`].
    #[error(transparent)]
    Table(#[from] TableError),
    /// The holdout is not the file that it should be.
    #[error("{path} must have the SHA-256 {expected}; it has {found}")]
    OtherHoldout {
        /// The file.
        path: PathBuf,
        /// The digest that it should have.
        expected: String,
        /// The digest of the bytes that were read.
        found: String,
    },
    /// Predictions were made by another model than the one that is to be judged by them.
    #[error("{path} was made by {made_by}, {expected}; {again}")]
    OtherModel {
        /// The file of predictions.
        path: PathBuf,
        /// The model that made it.
        made_by: String,
        /// The model that should have made it.
        expected: String,
        /// What helps.
        again: String,
    },
    /// See [`Refusal`].
    #[error("{path}: {refusal}")]
    Refused {
        /// The file whose rows are counted.
        path: PathBuf,
        /// What must hold.
        refusal: Refusal,
    },
}

impl EvaluateError {
    /// The file or table that was asked for and is not there, or not yet: see [`TableError::is_missing`].
    #[must_use]
    pub fn missing(&self) -> Option<&Path> {
        match self {
            Self::Table(error) => error.missing(),
            Self::Request(_)
            | Self::OtherHoldout { .. }
            | Self::OtherModel { .. }
            | Self::Refused { .. } => None,
        }
    }
}

/// A comparison and what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// What was read.
    pub evidence: Evidence,
    /// What it shows.
    pub comparison: Comparison,
}

/// Reads the files by way of `files`, joins them, compares the models and judges at the one-sided error `allowed_error`, or at the one that the
/// confidence of the settings leaves. `progress` is that of [`comparison::measure`].
///
/// # Errors
/// See [`EvaluateError`].
pub fn evaluate(
    files: &dyn FileSource,
    request: &Request,
    allowed_error: Option<f64>,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Evaluated, EvaluateError> {
    let (holdout, evidence) = read_evidence(files, request)?;
    let statistics = measure(request, &holdout, &evidence, progress)?;
    let allowed_error = allowed_error.unwrap_or_else(|| request.settings.one_sided_error());
    Ok(Evaluated {
        evidence,
        comparison: comparison::judge(&statistics, &[], allowed_error),
    })
}

/// Measures both models on what [`read_evidence`] read for `request`, as [`comparison::measure`] does; rows are counted as in the file.
///
/// # Errors
/// [`EvaluateError::Refused`].
pub fn measure(
    request: &Request,
    holdout: &Holdout,
    evidence: &Evidence,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Statistics, EvaluateError> {
    let mut statistics = comparison::measure(holdout, &request.settings, evidence.seed, progress)
        .map_err(|refusal| refused(evidence, refusal))?;
    for warning in &mut statistics.warnings {
        if let Warning::HeavyWeight { row, .. } = warning {
            *row = evidence.number_in_file(*row);
        }
    }
    Ok(statistics)
}

/// Reads the files by way of `files` and joins them, and compares nothing yet. The rows are those that are compared: with a share to confirm on, the
/// others are left out.
///
/// # Errors
/// See [`EvaluateError`].
pub fn read_evidence(
    files: &dyn FileSource,
    request: &Request,
) -> Result<(Holdout, Evidence), EvaluateError> {
    request.check()?;
    let rows = rows::read(files, request)?;
    let chosen = request
        .confirm_fraction
        .map(|fraction| confirmation_rows(&rows.holdout, fraction));
    let all: Vec<usize>;
    let places = match &chosen {
        Some(chosen) => chosen,
        None => {
            all = (0..rows.holdout.labels.len()).collect();
            &all
        }
    };
    let fingerprint = evidence::fingerprint(&rows, places);
    let ids = match &rows.ids {
        Some(ids) => evidence::hashes(ids, places),
        None => Vec::new(),
    };
    let Rows {
        holdout,
        champion,
        challenger,
        holdout_file,
        ids: _,
        clusters: _,
    } = rows;
    let seed = request
        .seed
        .unwrap_or_else(|| evidence::derived_seed(&champion, &challenger, holdout_file.as_ref()));
    let holdout = match &chosen {
        Some(chosen) => only(&holdout, chosen),
        None => holdout,
    };
    let evidence = Evidence {
        champion,
        challenger,
        holdout: holdout_file,
        fingerprint,
        ids,
        seed,
        places: chosen,
    };
    Ok((holdout, evidence))
}

/// A refusal of the core, with the numbers that the rows have in their file.
fn refused(evidence: &Evidence, mut refusal: Refusal) -> EvaluateError {
    for problem in &mut refusal.problems {
        problem.row = problem.row.map(|row| evidence.number_in_file(row));
    }
    EvaluateError::Refused {
        path: evidence.described_in().to_path_buf(),
        refusal,
    }
}

/// The rows whose unit, the cluster if there are clusters and else the row itself, is kept to confirm on.
fn confirmation_rows(holdout: &Holdout, fraction: f64) -> Vec<usize> {
    let keys = holdout.clusters.as_ref().or(holdout.unit_keys.as_ref());
    let keys = keys.map_or(&[][..], Vec::as_slice);
    (0..keys.len())
        .filter(|&row| is_confirmation_row(keys[row], fraction))
        .collect()
}

/// The rows at `places`.
fn only(holdout: &Holdout, places: &[usize]) -> Holdout {
    fn at<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
        places.iter().map(|&place| values[place]).collect()
    }
    Holdout {
        labels: at(&holdout.labels, places),
        weights: holdout.weights.as_ref().map(|values| at(values, places)),
        champion: at(&holdout.champion, places),
        challenger: at(&holdout.challenger, places),
        clusters: holdout.clusters.as_ref().map(|values| at(values, places)),
        unit_keys: holdout.unit_keys.as_ref().map(|values| at(values, places)),
        slices: holdout
            .slices
            .iter()
            .map(|(name, members)| (name.clone(), at(members, places)))
            .collect(),
    }
}
