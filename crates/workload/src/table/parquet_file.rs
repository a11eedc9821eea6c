//! Columns of a Parquet file.

use super::error::{TableError, unreadable};
use super::file_read::FileBytes;
use super::made_by::MadeBy;
use super::{Parsed, Values, check_present, is_wanted};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::Path;

pub(super) fn parse(file: &FileBytes, wanted: Option<&[&str]>) -> Result<Parsed, TableError> {
    let path = file.path.as_path();
    // Cloning the bytes clones a reference to them.
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone())
        .map_err(|e| unreadable(path, &e))?;
    let schema = builder.schema().clone();
    let present: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    check_present(path, &present, wanted)?;
    let made_by = MadeBy::of_metadata(builder.metadata().file_metadata().key_value_metadata());
    let chosen = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| is_wanted(field.name(), wanted));
    let roots: Vec<usize> = chosen.map(|(position, _)| position).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let reader = builder
        .with_projection(mask)
        .build()
        .map_err(|e| unreadable(path, &e))?;
    let batches: Vec<RecordBatch> = reader
        .collect::<Result<_, _>>()
        .map_err(|e| unreadable(path, &e))?;
    let names = present.into_iter().filter(|name| is_wanted(name, wanted));
    let columns = names
        .enumerate()
        .map(|(position, name)| {
            let parts: Vec<&ArrayRef> =
                batches.iter().map(|batch| batch.column(position)).collect();
            values_of(path, &parts).map(|values| (name, values))
        })
        .collect::<Result<_, _>>()?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    Ok(Parsed {
        rows,
        columns,
        made_by,
    })
}

fn values_of(path: &Path, parts: &[&ArrayRef]) -> Result<Values, TableError> {
    let Some(first) = parts.first() else {
        return Ok(Values::Integers(Vec::new()));
    };
    let data_type = first.data_type().clone();
    let casted = |target: &DataType| -> Result<Vec<ArrayRef>, TableError> {
        parts
            .iter()
            .map(|part| cast(part, target).map_err(|e| unreadable(path, &e)))
            .collect()
    };
    let nulls = parts.iter().any(|part| part.null_count() > 0);
    if (data_type.is_integer() || data_type == DataType::Boolean) && !nulls {
        let parts = casted(&DataType::Int64)?;
        return Ok(Values::Integers(
            parts
                .iter()
                .flat_map(|p| p.as_primitive::<Int64Type>().values().to_vec())
                .collect(),
        ));
    }
    if data_type.is_numeric() || data_type == DataType::Boolean {
        let parts = casted(&DataType::Float64)?;
        let numbers = parts.iter().flat_map(|p| {
            p.as_primitive::<Float64Type>()
                .iter()
                .map(|v| v.unwrap_or(f64::NAN))
                .collect::<Vec<_>>()
        });
        return Ok(Values::Numbers(numbers.collect()));
    }
    if matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)
    ) {
        let parts = casted(&DataType::Utf8)?;
        let texts = parts.iter().flat_map(|p| {
            p.as_string::<i32>()
                .iter()
                .map(|v| v.unwrap_or_default().to_string())
                .collect::<Vec<_>>()
        });
        return Ok(Values::Texts(texts.collect()));
    }
    Ok(Values::Other(data_type.to_string()))
}
