//! Files of predictions: other columns of the data as they are, and one score per row.

mod csv_output;
mod parquet_output;
mod target;

pub use target::{FileSink, OutputFormat, check_inputs};

use super::table::{CellTypes, MadeBy, PartBatch, RowFile, TableError, unusable};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the column of scores.
pub const SCORE: &str = "score";

/// Why predictions cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file cannot be written.
    #[error("cannot write {path}: {message}")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// See [`TableError`].
    #[error(transparent)]
    Data(#[from] TableError),
}

/// The rows that were scored.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    /// Where they stand.
    pub file: &'a RowFile,
    /// The columns that are written beside the scores.
    pub columns: &'a [usize],
    /// Whether each row was scored; all of them when absent.
    pub chosen: Option<&'a [bool]>,
    /// A score for each row that was, in the order of the file.
    pub scores: &'a [f64],
}

/// Writes the columns and the scores of the rows to the file at `path` of `files`, in the format that its name says. Values, types
/// and missing values stay as they are. What the scores were made from goes into the metadata of a Parquet file, where evidence is checked
/// against it.
///
/// # Errors
/// A column is named `score` already or cannot be kept in the format, the rows cannot be read, or the file cannot be written.
pub fn write(
    files: &dyn FileSink,
    path: &Path,
    scored: &Scored<'_>,
    made_by: &MadeBy,
) -> Result<(), WriteError> {
    let format = OutputFormat::of(path)?;
    let names = scored.file.names();
    if scored.columns.iter().any(|column| names[*column] == SCORE) {
        let message = format!(
            "the data must not have a column `{SCORE}`, which is that of the predictions; rename it"
        );
        return Err(unusable(scored.file.path(), message).into());
    }
    let bytes = match format {
        OutputFormat::Parquet => parquet_output::encode(scored, made_by)?,
        OutputFormat::Csv { separator, gzip } => csv_output::encode(scored, separator, gzip)?,
    };
    files.write(path, bytes)
}

/// What is written, batch by batch.
struct Output<'a> {
    /// Of the columns and the scores.
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, TableError>> + 'a>,
}

impl<'a> Scored<'a> {
    fn output(&self, cells: CellTypes) -> Result<Output<'a>, TableError> {
        let scan = self.file.scan(self.columns, cells)?;
        let mut fields: Vec<Field> = scan
            .schema
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        fields.push(Field::new(SCORE, DataType::Float64, false));
        let metadata = scan.schema.metadata().clone();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let (mut chosen, mut scores) = (self.chosen, self.scores);
        let of_batches = schema.clone();
        let batches = scan.batches.map(move |batch| {
            let PartBatch { part, rows } = batch?;
            let rows = match &mut chosen {
                None => rows,
                Some(chosen) => {
                    let (here, rest) = chosen.split_at(rows.num_rows());
                    *chosen = rest;
                    filter_record_batch(&rows, &BooleanArray::from(here.to_vec()))
                        .map_err(|error| unusable(part, error.to_string()))?
                }
            };
            let (here, rest) = scores.split_at(rows.num_rows());
            scores = rest;
            with_scores(part, &rows, here, &of_batches)
        });
        Ok(Output {
            schema,
            batches: Box::new(batches),
        })
    }
}

fn with_scores(
    part: &Path,
    rows: &RecordBatch,
    scores: &[f64],
    schema: &SchemaRef,
) -> Result<RecordBatch, TableError> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (values, field) in rows.columns().iter().zip(schema.fields()) {
        columns.push(of_type(part, values, field)?);
    }
    columns.push(Arc::new(Float64Array::from(scores.to_vec())));
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| unusable(part, error.to_string()))
}

/// Columns of parts must have one type to be one column.
fn of_type(part: &Path, values: &ArrayRef, field: &Field) -> Result<ArrayRef, TableError> {
    if values.data_type() == field.data_type() {
        Ok(values.clone())
    } else if *values.data_type() == DataType::Null {
        Ok(new_null_array(field.data_type(), values.len()))
    } else {
        let message = format!(
            "`{}` must have the type that it has in the parts before, {}; it has {}",
            field.name(),
            field.data_type(),
            values.data_type()
        );
        Err(unusable(part, message))
    }
}
