//! Files of predictions: the columns of the data that are no features, and one score per row.

use super::table::{MadeBy, Values};
use crate::atomic_file;
use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the column of scores.
pub const SCORE: &str = "score";

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {message}")]
pub struct WriteError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub message: String,
}

/// Writes `scores` of the rows at `rows` with the other columns of those rows, whole or not at all. What they were made from goes into
/// the metadata of the file, where evidence is checked against it.
///
/// # Errors
/// A column is named `score` already, or the file cannot be written.
pub fn write(
    path: &Path,
    others: &[(String, Values)],
    rows: &[usize],
    scores: Vec<f64>,
    made_by: Option<&MadeBy>,
) -> Result<(), WriteError> {
    let failed = |message: String| WriteError {
        path: path.to_path_buf(),
        message,
    };
    if others.iter().any(|(name, _)| name == SCORE) {
        return Err(failed(format!(
            "the data must not have a column `{SCORE}`, which is that of the predictions"
        )));
    }
    let bytes = encode(others, rows, scores, made_by).map_err(|error| failed(error.to_string()))?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| failed(error.to_string()))?;
    }
    atomic_file::write(path, &bytes).map_err(|error| failed(error.to_string()))
}

fn encode(
    others: &[(String, Values)],
    rows: &[usize],
    scores: Vec<f64>,
    made_by: Option<&MadeBy>,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut columns: Vec<(&str, ArrayRef)> = others
        .iter()
        .filter_map(|(name, values)| Some((name.as_str(), values.array(rows)?)))
        .collect();
    columns.push((SCORE, Arc::new(Float64Array::from(scores))));
    let batch = RecordBatch::try_from_iter(columns)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_key_value_metadata(made_by.map(MadeBy::metadata))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}
