//! Scores the rows of a file with a trained model.

use super::model_file::{Model, ModelError};
use super::predictions_file::{self, WriteError};
use super::table::{Table, TableError};
use std::path::Path;

/// Why rows cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// See [`ModelError`].
    #[error(transparent)]
    Model(#[from] ModelError),
    /// See [`TableError`].
    #[error(transparent)]
    Table(#[from] TableError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the scores of the rows of `data` to `out`, with the columns that are no features of the model and those of `keep`.
/// Returns the number of rows.
///
/// # Errors
/// See [`ScoreError`]; a feature that the data lack is named.
pub fn score(model: &Path, data: &Path, keep: &[String], out: &Path) -> Result<usize, ScoreError> {
    let model = Model::read(model)?;
    let table = Table::read(data, None)?;
    let features = model
        .features
        .iter()
        .map(|name| table.numbers(name))
        .collect::<Result<Vec<_>, _>>()?;
    for name in keep {
        table.column(name)?;
    }
    let scores = model.forest.score(&features);
    let rows = table.rows;
    let others: Vec<_> = table
        .into_columns()
        .filter(|(name, _)| keep.contains(name) || !model.features.contains(name))
        .collect();
    predictions_file::write(out, &others, &(0..rows).collect::<Vec<_>>(), scores)?;
    Ok(rows)
}
