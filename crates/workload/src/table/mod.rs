//! Columns of a Parquet or CSV file, by name.

mod csv_file;
mod error;
mod file_read;
mod made_by;
mod parquet_file;
#[cfg(test)]
pub(super) mod tests;

pub use error::TableError;
pub(super) use error::{unreadable, unusable};
pub(super) use file_read::hex;
pub use file_read::{FileBytes, FileRead, sha256_hex};
pub use made_by::MadeBy;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use std::path::Path;
use std::sync::Arc;

/// Values of one column, one per row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Numbers; a missing one is NaN.
    Numbers(Vec<f64>),
    /// Texts; a missing one is empty.
    Texts(Vec<String>),
    /// Something else, such as a time; its type.
    Other(String),
}

impl Values {
    /// The values as numbers, where they are numbers.
    #[must_use]
    pub fn as_numbers(&self) -> Option<Vec<f64>> {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Self::Integers(values) => Some(values.iter().map(|v| *v as f64).collect()),
            Self::Numbers(values) => Some(values.clone()),
            Self::Texts(_) | Self::Other(_) => None,
        }
    }

    /// The values at some rows as an Arrow array; absent where they are of another kind.
    #[must_use]
    pub fn array(&self, rows: &[usize]) -> Option<ArrayRef> {
        Some(match self {
            Self::Integers(values) => Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|&row| values[row]),
            )),
            Self::Numbers(values) => Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|&row| values[row]),
            )),
            Self::Texts(values) => Arc::new(StringArray::from_iter_values(
                rows.iter().map(|&row| &values[row]),
            )),
            Self::Other(_) => return None,
        })
    }

    /// The value of a row as text, where values have one.
    #[must_use]
    pub fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Integers(values) => values.get(row).map(ToString::to_string),
            Self::Numbers(values) => values.get(row).map(ToString::to_string),
            Self::Texts(values) => values.get(row).cloned(),
            Self::Other(_) => None,
        }
    }
}

/// Some columns of a file.
#[derive(Clone, Debug)]
pub struct Table {
    /// The file, as it was read.
    pub source: FileRead,
    columns: Vec<(String, Values)>,
}

/// What a format's parser finds in the bytes of a file.
struct Parsed {
    rows: usize,
    columns: Vec<(String, Values)>,
    made_by: Option<MadeBy>,
}

impl Table {
    /// Reads the columns `wanted`, or all of them.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a column.
    pub fn read(path: &Path, wanted: Option<&[&str]>) -> Result<Self, TableError> {
        Self::parse(FileBytes::read(path)?, wanted)
    }

    /// Takes the columns `wanted`, or all of them, from the bytes of a file. The file is not opened again.
    ///
    /// # Errors
    /// The bytes are no rows, or lack a column.
    pub fn parse(file: FileBytes, wanted: Option<&[&str]>) -> Result<Self, TableError> {
        let extension = file.path.extension();
        let parsed = if extension.is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
            csv_file::parse(&file, wanted)?
        } else {
            parquet_file::parse(&file, wanted)?
        };
        Ok(Self {
            source: file.into_file_read(parsed.rows, parsed.made_by),
            columns: parsed.columns,
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

    /// Names of the columns that were read, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// All columns that were read, with their names.
    pub fn into_columns(self) -> impl Iterator<Item = (String, Values)> {
        self.columns.into_iter()
    }

    /// A column.
    ///
    /// # Errors
    /// It is not there.
    pub fn column(&self, name: &str) -> Result<&Values, TableError> {
        let found = self.columns.iter().find(|(n, _)| n == name);
        found
            .map(|(_, values)| values)
            .ok_or_else(|| TableError::MissingColumn {
                path: self.path().to_path_buf(),
                column: name.to_string(),
                present: self.names().map(str::to_string).collect(),
            })
    }

    /// A column of numbers.
    ///
    /// # Errors
    /// It is not there, or holds something else.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, TableError> {
        let values = self.column(name)?;
        values.as_numbers().ok_or_else(|| TableError::NotNumbers {
            path: self.path().to_path_buf(),
            column: name.to_string(),
            found: match values {
                Values::Other(kind) => kind.clone(),
                _ => "text".to_string(),
            },
        })
    }

    /// A column of labels.
    ///
    /// # Errors
    /// It is not there, or a row holds neither 0 nor 1.
    pub fn labels(&self, name: &str) -> Result<Vec<u8>, TableError> {
        let label = |(row, value): (usize, &f64)| match value {
            0.0 => Ok(0),
            1.0 => Ok(1),
            other => {
                let message = format!("row {}: `{name}` must be 0 or 1; got {other}", row + 1);
                Err(unusable(self.path(), message))
            }
        };
        self.numbers(name)?.iter().enumerate().map(label).collect()
    }

    /// A column of weights.
    ///
    /// # Errors
    /// It is not there, or a row holds a number that is negative or not finite.
    pub fn weights(&self, name: &str) -> Result<Vec<f64>, TableError> {
        let values = self.numbers(name)?;
        let bad = |value: &f64| !value.is_finite() || *value < 0.0;
        match values.iter().position(bad) {
            None => Ok(values),
            Some(row) => {
                let (row, value) = (row + 1, values[row]);
                let must = "must be a finite number of at least 0";
                Err(unusable(
                    self.path(),
                    format!("row {row}: `{name}` {must}; got {value}"),
                ))
            }
        }
    }
}

fn is_wanted(name: &str, wanted: Option<&[&str]>) -> bool {
    wanted.is_none_or(|wanted| wanted.contains(&name))
}

/// Every wanted column must be among those that are present.
fn check_present(
    path: &Path,
    present: &[String],
    wanted: Option<&[&str]>,
) -> Result<(), TableError> {
    let missing = wanted
        .unwrap_or_default()
        .iter()
        .find(|name| !present.iter().any(|p| p == *name));
    match missing {
        None => Ok(()),
        Some(column) => Err(TableError::MissingColumn {
            path: path.to_path_buf(),
            column: (*column).to_string(),
            present: present.to_vec(),
        }),
    }
}
