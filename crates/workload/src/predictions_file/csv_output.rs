//! Predictions as CSV.

use super::{Scored, WriteError};
use crate::table::{CellTypes, TableError, kind, text, unusable};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use flate2::write::GzEncoder;
use std::io::Write;

pub(super) fn encode(
    scored: &Scored<'_>,
    separator: u8,
    gzip: bool,
) -> Result<Vec<u8>, WriteError> {
    if !gzip {
        return lines(scored, separator, Vec::new());
    }
    let encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    lines(scored, separator, encoder)?
        .finish()
        .map_err(|error| cannot(scored, &error).into())
}

fn lines<W: Write>(scored: &Scored<'_>, separator: u8, sink: W) -> Result<W, WriteError> {
    // The cells of a CSV file are copied; others are written as text.
    let output = scored.output(CellTypes::Texts)?;
    let failed = |error: csv::Error| cannot(scored, &error);
    let mut writer = csv::WriterBuilder::new()
        .delimiter(separator)
        .from_writer(sink);
    let names = output.schema.fields().iter().map(|field| field.name());
    writer.write_record(names).map_err(failed)?;
    let mut absent = vec![Absent::default(); output.schema.fields().len()];
    for batch in output.batches {
        let batch = batch?;
        if !scored.file.is_csv() {
            check(scored, &batch, &mut absent)?;
        }
        for row in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .map(|column| text(column, row).unwrap_or_default());
            writer.write_record(cells).map_err(failed)?;
        }
    }
    writer
        .into_inner()
        .map_err(|error| cannot(scored, error.error()).into())
}

/// What an empty cell would stand for.
#[derive(Clone, Debug, Default)]
struct Absent {
    missing: bool,
    empty: bool,
}

/// Every column must have a text, and no empty cell may mean two things.
fn check(
    scored: &Scored<'_>,
    batch: &RecordBatch,
    absent: &mut [Absent],
) -> Result<(), TableError> {
    let schema = batch.schema();
    for ((column, field), absent) in batch.columns().iter().zip(schema.fields()).zip(absent) {
        for row in 0..column.len() {
            let Some(text) = text(column, row) else {
                let message = format!(
                    "`{}` holds {}, which CSV cannot hold; write a .parquet file",
                    field.name(),
                    kind(field.data_type())
                );
                return Err(unusable(scored.file.path(), message));
            };
            let missing = column.is_null(row) || *column.data_type() == DataType::Null;
            absent.missing |= missing;
            absent.empty |= !missing && text.is_empty();
        }
        if absent.missing && absent.empty {
            let message = format!(
                "`{}` holds missing values and empty texts, which CSV cannot tell apart; write a .parquet file",
                field.name()
            );
            return Err(unusable(scored.file.path(), message));
        }
    }
    Ok(())
}

fn cannot(scored: &Scored<'_>, error: &dyn std::fmt::Display) -> TableError {
    let message = format!("its columns cannot be written as CSV: {error}");
    unusable(scored.file.path(), message)
}
