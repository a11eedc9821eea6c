//! Rows of Parquet and CSV files, and some of their columns in memory. No value is changed on the way: what cannot be kept is refused with
//! its row.

mod content;
mod csv_file;
mod error;
mod file_read;
#[cfg(test)]
mod foreign_types;
mod inference;
mod keys;
#[cfg(test)]
mod kinds_of_files;
mod made_by;
mod matching;
mod numbers;
mod parquet_file;
mod parts;
mod row_file;
mod source;
mod stored_types;
#[cfg(test)]
pub(super) mod tests;
mod text;

pub use error::TableError;
pub(super) use error::{unreadable, unusable};
pub use file_read::{FileBytes, FileRead, ObjectBytes, hex, sha256_hex, sha256_of_directory};
pub use keys::Keys;
pub use made_by::MadeBy;
pub(super) use matching::same_for_all_of_a_time;
pub(super) use numbers::is_number;
pub use parts::{PartFile, parts_among};
pub(super) use row_file::PartBatch;
pub use row_file::{CellTypes, RowFile};
pub use source::{FileSource, LocalFiles};
pub(super) use text::{kind, text};

use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;
use std::path::{Path, PathBuf};

/// Some columns of a file.
#[derive(Clone, Debug)]
pub struct Table {
    /// The file, as it was read.
    pub source: FileRead,
    columns: Vec<Column>,
    /// The files of the parts and the number of rows before each.
    starts: Vec<(PathBuf, usize)>,
}

/// The values of one column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    name: String,
    /// Cells of text without types, whose types were told from what they hold.
    pub(crate) untyped: bool,
    /// All values, without dictionaries.
    chunks: Vec<ArrayRef>,
}

impl Table {
    /// Reads the columns `wanted`.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a column.
    pub fn read(path: &Path, wanted: &[&str]) -> Result<Self, TableError> {
        Self::of(&RowFile::open(path)?, wanted)
    }

    /// Takes the columns `wanted` from a file.
    ///
    /// # Errors
    /// The file is damaged, or lacks a column.
    pub fn of(file: &RowFile, wanted: &[&str]) -> Result<Self, TableError> {
        let mut chosen = Vec::new();
        for name in wanted {
            let position = file.position(name)?;
            if !chosen.contains(&position) {
                chosen.push(position);
            }
        }
        let scan = file.scan(&chosen, CellTypes::Nearest)?;
        let mut columns: Vec<Column> = chosen
            .iter()
            .zip(scan.schema.fields())
            .map(|(position, field)| Column {
                name: field.name().clone(),
                untyped: file.is_untyped(*position),
                chunks: Vec::new(),
            })
            .collect();
        let mut starts: Vec<(PathBuf, usize)> = Vec::new();
        let mut rows = 0;
        for batch in scan.batches {
            let batch = batch?;
            if starts.last().is_none_or(|(part, _)| part != batch.part) {
                starts.push((batch.part.to_path_buf(), rows));
            }
            rows += batch.rows.num_rows();
            for (column, values) in columns.iter_mut().zip(batch.rows.columns()) {
                let values = without_dictionary(values);
                column
                    .chunks
                    .push(values.map_err(|e| unreadable(batch.part, &e))?);
            }
        }
        let source = FileRead {
            rows,
            ..file.source().clone()
        };
        Ok(Self {
            source,
            columns,
            starts,
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.source.rows
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Names of the columns that were read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// A column.
    ///
    /// # Errors
    /// It was not read.
    pub(crate) fn column(&self, name: &str) -> Result<&Column, TableError> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| TableError::MissingColumn {
            path: self.path().to_path_buf(),
            column: name.to_string(),
            present: self.names().map(str::to_string).collect(),
        })
    }

    /// A column of values that name rows or clusters. `without` follows the refusal of a missing one.
    ///
    /// # Errors
    /// It was not read, a value is missing, or values are neither whole numbers nor texts.
    pub fn keys(&self, name: &str, without: &str) -> Result<Keys, TableError> {
        keys::of_column(self, self.column(name)?, without)
    }

    /// What the file holds cannot be used.
    pub(crate) fn refuse(&self, message: &str) -> TableError {
        unusable(self.path(), message)
    }

    /// What the row holds cannot be used; the first row is 0. A row of a part is counted in it.
    pub(crate) fn refuse_row(&self, row: usize, message: &str) -> TableError {
        let (part, number) = self.part(row);
        unusable(part, format!("row {number}: {message}"))
    }

    /// A row in words, such as `row 3`.
    pub(crate) fn place(&self, row: usize) -> String {
        let (part, number) = self.part(row);
        if part == self.path() {
            format!("row {number}")
        } else {
            format!("row {number} of {}", part.display())
        }
    }

    /// The file that a row stands in, and its number there; the first is 1.
    fn part(&self, row: usize) -> (&Path, usize) {
        let start = self.starts.iter().rfind(|(_, start)| *start <= row);
        start.map_or((self.path(), row + 1), |(path, start)| {
            (path, row - start + 1)
        })
    }
}

/// The values that the keys of a dictionary stand for.
fn without_dictionary(values: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    match values.data_type() {
        DataType::Dictionary(_, of) => cast(values, of),
        _ => Ok(values.clone()),
    }
}
