//! Rows of a Parquet file.

use super::error::{TableError, unreadable, unusable};
use super::made_by::MadeBy;
use super::stored_types;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Type as PhysicalType};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// A Parquet file whose footer was read.
#[derive(Debug)]
pub(super) struct ParquetFile {
    path: PathBuf,
    // Cloning the bytes clones a reference to them.
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    pub(super) names: Vec<String>,
}

impl ParquetFile {
    pub(super) fn open(path: &Path, bytes: Bytes) -> Result<Self, TableError> {
        // A type of one program alone, such as the 128-bit integers of Polars, is read as what it is in the file.
        let metadata = footer(path, &bytes, ArrowReaderOptions::new())
            .or_else(|_| footer(path, &bytes, undescribed()))?;
        let mut file = Self {
            metadata,
            path: path.to_path_buf(),
            bytes,
            names: Vec::new(),
        };
        let fields = file.schema().fields().clone();
        file.names = fields.iter().map(|field| field.name().clone()).collect();
        file.take_readable_types()?;
        file.take_days_as_days()?;
        file.widen_int96()?;
        Ok(file)
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub(super) fn made_by(&self) -> Option<MadeBy> {
        let entries = self.metadata.metadata().file_metadata();
        MadeBy::of_metadata(entries.key_value_metadata())
    }

    /// The columns at `chosen`, in that order.
    pub(super) fn batches(&self, chosen: &[usize]) -> Result<ParquetBatches, TableError> {
        self.check_codecs(chosen)?;
        self.batches_of(&self.metadata, chosen)
    }

    fn batches_of(
        &self,
        metadata: &ArrowReaderMetadata,
        chosen: &[usize],
    ) -> Result<ParquetBatches, TableError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.bytes.clone(),
            metadata.clone(),
        );
        let mask = ProjectionMask::roots(builder.parquet_schema(), chosen.iter().copied());
        let reader = builder
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask)
            .build()
            .map_err(|error| unreadable(&self.path, &error))?;
        // The reader gives columns in the order of the file, each once.
        let mut sorted = chosen.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let order: Vec<usize> = chosen
            .iter()
            .map(|position| sorted.partition_point(|other| other < position))
            .collect();
        let schema = metadata.schema().project(chosen);
        Ok(ParquetBatches {
            path: self.path.clone(),
            schema: Arc::new(schema.map_err(|error| unreadable(&self.path, &error))?),
            reader: Some(reader),
            order,
        })
    }

    fn check_codecs(&self, chosen: &[usize]) -> Result<(), TableError> {
        let metadata = self.metadata.metadata();
        let schema = metadata.file_metadata().schema_descr();
        for group in metadata.row_groups() {
            for (leaf, column) in group.columns().iter().enumerate() {
                let root = schema.get_column_root_idx(leaf);
                if chosen.contains(&root) && matches!(column.compression(), Compression::LZO) {
                    let message = format!(
                        "`{}` is compressed by LZO, which is not read; write it with zstd, snappy, gzip, LZ4 or Brotli",
                        self.names[root]
                    );
                    return Err(unusable(&self.path, message));
                }
            }
        }
        Ok(())
    }

    /// See [`stored_types`].
    fn take_readable_types(&mut self) -> Result<(), TableError> {
        let of_file = self.metadata.metadata().file_metadata();
        let schema = stored_types::readable(self.schema(), of_file);
        if schema != **self.schema() {
            let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
            self.metadata = footer(&self.path, &self.bytes, options)
                .or_else(|_| footer(&self.path, &self.bytes, undescribed()))?;
        }
        Ok(())
    }

    /// Dates that were milliseconds in the program that wrote them are days in the file, and stay so.
    fn take_days_as_days(&mut self) -> Result<(), TableError> {
        let parquet = self.metadata.parquet_schema();
        let is_day = |leaf: &usize| {
            let column = parquet.column(*leaf);
            let field = self.schema().field(parquet.get_column_root_idx(*leaf));
            *field.data_type() == DataType::Date64 && column.physical_type() == PhysicalType::INT32
        };
        let days: Vec<usize> = (0..parquet.num_columns())
            .filter(is_day)
            .map(|leaf| parquet.get_column_root_idx(leaf))
            .collect();
        if !days.is_empty() {
            self.metadata = self.with_type(&days, &DataType::Date32)?;
        }
        Ok(())
    }

    /// Times of the old 96-bit type are read as nanoseconds, and where a year is beyond those, which end in 2262, as microseconds.
    fn widen_int96(&mut self) -> Result<(), TableError> {
        let parquet = self.metadata.parquet_schema();
        let is_int96 = |leaf: &usize| {
            let column = parquet.column(*leaf);
            column.path().parts().len() == 1 && column.physical_type() == PhysicalType::INT96
        };
        let roots: Vec<usize> = (0..parquet.num_columns())
            .filter(is_int96)
            .map(|leaf| parquet.get_column_root_idx(leaf))
            .collect();
        let mut beyond = Vec::new();
        for root in roots {
            if self.is_beyond_nanoseconds(root)? {
                beyond.push(root);
            }
        }
        if !beyond.is_empty() {
            self.metadata = self.with_type(&beyond, &times(TimeUnit::Microsecond))?;
        }
        Ok(())
    }

    fn is_beyond_nanoseconds(&self, root: usize) -> Result<bool, TableError> {
        let unit = |unit| -> Result<ParquetBatches, TableError> {
            self.batches_of(&self.with_type(&[root], &times(unit))?, &[root])
        };
        let (seconds, micros) = (unit(TimeUnit::Second)?, unit(TimeUnit::Microsecond)?);
        let nanos = self.batches_of(&self.metadata, &[root])?;
        let (mut row, mut beyond, mut finer) = (0, false, None);
        for ((seconds, micros), nanos) in seconds.zip(micros).zip(nanos) {
            let [seconds, micros, nanos] = [seconds?, micros?, nanos?].map(|batch| ticks(&batch));
            for ((seconds, micros), nanos) in seconds.into_iter().zip(micros).zip(nanos) {
                row += 1;
                let (Some(seconds), Some(micros), Some(nanos)) = (seconds, micros, nanos) else {
                    continue;
                };
                if seconds.unsigned_abs() > i64::MAX.unsigned_abs() / 1_000_000 {
                    return Err(self.refuse_time(root, row));
                }
                let is_beyond = seconds.unsigned_abs() >= i64::MAX.unsigned_abs() / 1_000_000_000;
                beyond = beyond || is_beyond;
                // What wrapped around wrapped in both products, so that their difference is true.
                if nanos.wrapping_sub(micros.wrapping_mul(1000)) != 0 {
                    finer = finer.or(Some(row));
                }
            }
        }
        match finer {
            Some(row) if beyond => Err(self.refuse_time(root, row)),
            _ => Ok(beyond),
        }
    }

    fn refuse_time(&self, root: usize, row: usize) -> TableError {
        let message = format!(
            "row {row}: the time in `{}` is too far away for its precision; write the column as timestamps of microseconds",
            self.names[root]
        );
        unusable(&self.path, message)
    }

    /// The footer, with the columns at `roots` read as `data_type`.
    fn with_type(
        &self,
        roots: &[usize],
        data_type: &DataType,
    ) -> Result<ArrowReaderMetadata, TableError> {
        let schema = self.schema();
        let field = |(position, field): (usize, &Arc<Field>)| {
            if roots.contains(&position) {
                Arc::new(field.as_ref().clone().with_data_type(data_type.clone()))
            } else {
                field.clone()
            }
        };
        let fields: Vec<Arc<Field>> = schema.fields().iter().enumerate().map(field).collect();
        let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        footer(&self.path, &self.bytes, options)
    }
}

fn times(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, None)
}

/// The numbers that times of any unit are kept as.
fn ticks(batch: &RecordBatch) -> Vec<Option<i64>> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{
        TimestampMicrosecondType, TimestampNanosecondType, TimestampSecondType,
    };
    use arrow_array::{Array, ArrayRef};
    let column: &ArrayRef = batch.column(0);
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => column
            .as_primitive::<TimestampSecondType>()
            .iter()
            .collect(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            times.iter().collect()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => column
            .as_primitive::<TimestampNanosecondType>()
            .iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// Types as they are in the file, whatever the program that wrote it said of them.
fn undescribed() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

fn footer(
    path: &Path,
    bytes: &Bytes,
    options: ArrowReaderOptions,
) -> Result<ArrowReaderMetadata, TableError> {
    ArrowReaderMetadata::load(bytes, options).map_err(|error| unreadable(path, &error))
}

/// Rows of a Parquet file, batch by batch.
pub(super) struct ParquetBatches {
    path: PathBuf,
    schema: SchemaRef,
    /// `None` once it failed in a way that leaves nothing to go on with.
    reader: Option<ParquetRecordBatchReader>,
    order: Vec<usize>,
}

impl ParquetBatches {
    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        // Damaged pages without checksums may contradict each other in ways that the library takes for impossible.
        let Ok(batch) = catch_unwind(AssertUnwindSafe(|| reader.next())) else {
            self.reader = None;
            let why = "its pages contradict each other: the file is damaged";
            return Some(Err(unreadable(&self.path, &why)));
        };
        let batch = batch?;
        let ordered = batch.and_then(|batch| batch.project(&self.order));
        Some(ordered.map_err(|error| unreadable(&self.path, &error)))
    }
}
