//! The Parquet file of transactions, written in batches so that any number of rows fits in memory.

use super::features::{Features, WINDOWS};
use super::{DAY, Transaction};
use arrow_array::{ArrayRef, Float32Array, Int32Array, RecordBatch, TimestampNanosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) type WriteError = Box<dyn std::error::Error + Send + Sync>;

/// Rows of a batch.
const BATCH: usize = 1 << 16;

/// The first day: Sunday, 1 April 2018, in nanoseconds since 1970.
const START: i64 = 1_522_540_800_000_000_000;

/// A file beside the wanted one, which takes its name once it is whole.
pub(super) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
}

impl NewFile {
    pub(super) fn beside(path: &Path) -> Result<Self, WriteError> {
        let name = path.file_name().ok_or("it must name a file")?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".tmp");
        Ok(Self {
            temporary: path.with_file_name(hidden),
            path: path.to_path_buf(),
        })
    }

    pub(super) fn create(&self) -> Result<File, WriteError> {
        Ok(File::create(&self.temporary)?)
    }

    pub(super) fn complete(self, file: &File) -> Result<(), WriteError> {
        file.sync_all()?;
        Ok(fs::rename(&self.temporary, &self.path)?)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After a failure; after success the file has its name already and there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Writes transactions to whatever takes bytes.
pub(super) struct TransactionWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    /// Places of the columns that are written.
    kept: Vec<usize>,
    rows: Vec<(Transaction, Features)>,
}

impl<W: Write + Send> TransactionWriter<W> {
    /// Leaves out the columns of these names.
    pub(super) fn new(output: W, exclude: &[String]) -> Result<Self, WriteError> {
        let all = batch(&[])?.schema();
        for name in exclude {
            if all.index_of(name).is_err() {
                return Err(format!("there is no column `{name}` to be excluded").into());
            }
        }
        let is_kept = |place: &usize| !exclude.contains(all.field(*place).name());
        let kept: Vec<usize> = (0..all.fields().len()).filter(is_kept).collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(9)?))
            .set_created_by("podium simulate".to_string())
            .build();
        let schema = Arc::new(all.project(&kept)?);
        Ok(Self {
            writer: ArrowWriter::try_new(output, schema, Some(properties))?,
            kept,
            rows: Vec::with_capacity(BATCH),
        })
    }

    pub(super) fn push(
        &mut self,
        transaction: &Transaction,
        features: &Features,
    ) -> Result<(), WriteError> {
        self.rows.push((*transaction, *features));
        if self.rows.len() == BATCH {
            self.flush()?;
        }
        Ok(())
    }

    /// What everything was written to.
    pub(super) fn finish(mut self) -> Result<W, WriteError> {
        self.flush()?;
        Ok(self.writer.into_inner()?)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        let batch = batch(&self.rows)?.project(&self.kept)?;
        self.rows.clear();
        Ok(self.writer.write(&batch)?)
    }
}

fn batch(rows: &[(Transaction, Features)]) -> Result<RecordBatch, WriteError> {
    let whole = |value: &dyn Fn(&Transaction) -> u32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(
            rows.iter().map(|(row, _)| value(row) as i32),
        ))
    };
    let real = |value: &dyn Fn(&Transaction, &Features) -> f64| -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(
            rows.iter()
                .map(|(row, features)| value(row, features) as f32),
        ))
    };
    let nanoseconds = rows
        .iter()
        .map(|(row, _)| START + i64::from(row.seconds) * 1_000_000_000);
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (
            "transaction_id".into(),
            Arc::new(Int32Array::from_iter_values(
                rows.iter().map(|(row, _)| row.id),
            )),
        ),
        (
            "tx_datetime".into(),
            Arc::new(TimestampNanosecondArray::from_iter_values(nanoseconds)),
        ),
        ("customer_id".into(), whole(&|row| row.customer)),
        ("terminal_id".into(), whole(&|row| row.terminal)),
        ("tx_amount".into(), real(&|row, _| row.amount)),
        ("tx_time_seconds".into(), whole(&|row| row.seconds)),
        ("tx_time_days".into(), whole(&|row| row.seconds / DAY)),
        ("tx_fraud".into(), whole(&|row| u32::from(row.scenario > 0))),
        (
            "tx_fraud_scenario".into(),
            whole(&|row| u32::from(row.scenario)),
        ),
        // The first day is a Sunday.
        (
            "tx_during_weekend".into(),
            whole(&|row| u32::from([0, 6].contains(&(row.seconds / DAY % 7)))),
        ),
        (
            "tx_during_night".into(),
            whole(&|row| u32::from(row.seconds % DAY / 3600 <= 6)),
        ),
    ];
    for (place, days) in WINDOWS.into_iter().enumerate() {
        columns.push((
            format!("customer_id_nb_tx_{days}day_window"),
            real(&|_, features| features.customer_count[place]),
        ));
        columns.push((
            format!("customer_id_avg_amount_{days}day_window"),
            real(&|_, features| features.customer_mean[place]),
        ));
    }
    for (place, days) in WINDOWS.into_iter().enumerate() {
        columns.push((
            format!("terminal_id_nb_tx_{days}day_window"),
            real(&|_, features| features.terminal_count[place]),
        ));
        columns.push((
            format!("terminal_id_risk_{days}day_window"),
            real(&|_, features| features.terminal_risk[place]),
        ));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}
