//! Predictions as Parquet.

use super::{Scored, WriteError};
use crate::table::{CellTypes, MadeBy, unusable};
use arrow_array::RecordBatch;
use arrow_schema::{Metadata, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Metadata that describe all columns of the file that they stand in: an engine would read them instead of those that are there.
const OF_WHOLE_FILES: [&str; 4] = [
    "org.apache.spark.sql.parquet.row.metadata",
    "parquet.avro.schema",
    "avro.schema",
    "iceberg.schema",
];

pub(super) fn encode(scored: &Scored<'_>, made_by: &MadeBy) -> Result<Vec<u8>, WriteError> {
    let output = scored.output(CellTypes::Exact)?;
    let kept = kept(output.schema.metadata());
    let entry = |(key, value): (&String, &String)| KeyValue::new(key.clone(), value.clone());
    let mut metadata: Vec<KeyValue> = kept.iter().map(entry).collect();
    metadata.extend(made_by.metadata());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_key_value_metadata(Some(metadata))
        .build();
    let failed = |error: &dyn std::fmt::Display| -> WriteError {
        unusable(
            scored.file.path(),
            format!("its columns cannot be written: {error}"),
        )
        .into()
    };
    // Some programs read these entries from the schema, others from the file.
    let fields = output.schema.fields().clone();
    let schema = Arc::new(Schema::new_with_metadata(fields, Metadata::from(kept)));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))
        .map_err(|error| failed(&error))?;
    for batch in output.batches {
        let (_, columns, _) = batch?.into_parts();
        let batch =
            RecordBatch::try_new(schema.clone(), columns).map_err(|error| failed(&error))?;
        writer.write(&batch).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

/// The metadata of the data that are true of the predictions too; in the order of their keys, so that the same input gives the same bytes.
fn kept(of_data: &Metadata) -> BTreeMap<String, String> {
    of_data
        .iter()
        .filter(|(key, _)| !OF_WHOLE_FILES.contains(&key.as_str()) && !MadeBy::has_key(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
