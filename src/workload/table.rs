//! Columns of a Parquet or CSV file, by name.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::{Path, PathBuf};
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
    /// Where it was read from.
    pub path: PathBuf,
    /// Number of rows.
    pub rows: usize,
    columns: Vec<(String, Values)>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {message}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// What the rows or columns hold cannot be used.
    #[error("{path}: {message}")]
    Unusable {
        /// In which file.
        path: PathBuf,
        /// What must hold, and where.
        message: String,
    },
    /// A column is not there.
    #[error("{path} must have the column `{column}`; it has {}", .present.join(", "))]
    MissingColumn {
        /// In which file.
        path: PathBuf,
        /// Which.
        column: String,
        /// Those that are there.
        present: Vec<String>,
    },
    /// A column holds no numbers.
    #[error("the column `{column}` of {path} must hold numbers, not {found}")]
    NotNumbers {
        /// In which file.
        path: PathBuf,
        /// Which.
        column: String,
        /// What it holds.
        found: String,
    },
}

impl Table {
    /// Reads the columns `wanted`, or all of them.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a column.
    pub fn read(path: &Path, wanted: Option<&[&str]>) -> Result<Self, TableError> {
        if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("csv"))
        {
            read_csv(path, wanted)
        } else {
            read_parquet(path, wanted)
        }
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
                path: self.path.clone(),
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
            path: self.path.clone(),
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
                Err(unusable(&self.path, message))
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
                    &self.path,
                    format!("row {row}: `{name}` {must}; got {value}"),
                ))
            }
        }
    }
}

/// What the rows or columns of `path` hold cannot be used.
pub(super) fn unusable(path: &Path, message: impl Into<String>) -> TableError {
    TableError::Unusable {
        path: path.to_path_buf(),
        message: message.into(),
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> TableError {
    TableError::Unreadable {
        path: path.to_path_buf(),
        message: error.to_string(),
    }
}

fn read_parquet(path: &Path, wanted: Option<&[&str]>) -> Result<Table, TableError> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| unreadable(path, &e))?;
    let schema = builder.schema().clone();
    check_present(path, &schema, wanted)?;
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
    let names = schema
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .filter(|n| is_wanted(n, wanted));
    let columns = names
        .enumerate()
        .map(|(position, name)| {
            let parts: Vec<&ArrayRef> =
                batches.iter().map(|batch| batch.column(position)).collect();
            values_of(path, &parts).map(|values| (name, values))
        })
        .collect::<Result<_, _>>()?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    Ok(Table {
        path: path.to_path_buf(),
        rows,
        columns,
    })
}

fn is_wanted(name: &str, wanted: Option<&[&str]>) -> bool {
    wanted.is_none_or(|wanted| wanted.contains(&name))
}

fn check_present(
    path: &Path,
    schema: &SchemaRef,
    wanted: Option<&[&str]>,
) -> Result<(), TableError> {
    let present: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    missing_column(path, &present, wanted)
}

fn missing_column(
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

fn read_csv(path: &Path, wanted: Option<&[&str]>) -> Result<Table, TableError> {
    let mut reader = csv::Reader::from_path(path).map_err(|e| unreadable(path, &e))?;
    let present: Vec<String> = reader
        .headers()
        .map_err(|e| unreadable(path, &e))?
        .iter()
        .map(str::to_string)
        .collect();
    missing_column(path, &present, wanted)?;
    let chosen: Vec<usize> = (0..present.len())
        .filter(|i| present.get(*i).is_some_and(|n| is_wanted(n, wanted)))
        .collect();
    let mut texts: Vec<Vec<String>> = vec![Vec::new(); chosen.len()];
    let mut rows = 0;
    for record in reader.records() {
        let record = record.map_err(|e| unreadable(path, &e))?;
        for (column, position) in texts.iter_mut().zip(&chosen) {
            column.push(record.get(*position).unwrap_or_default().to_string());
        }
        rows += 1;
    }
    let names = chosen
        .iter()
        .filter_map(|position| present.get(*position).cloned());
    let columns = names.zip(texts.into_iter().map(typed)).collect();
    Ok(Table {
        path: path.to_path_buf(),
        rows,
        columns,
    })
}

/// Whole numbers, else numbers (empty is missing), else texts.
fn typed(texts: Vec<String>) -> Values {
    if let Ok(integers) = texts.iter().map(|t| t.trim().parse()).collect() {
        return Values::Integers(integers);
    }
    let number = |text: &String| match text.trim() {
        "" => Ok(f64::NAN),
        text => text.parse(),
    };
    match texts.iter().map(number).collect() {
        Ok(numbers) => Values::Numbers(numbers),
        Err(_) => Values::Texts(texts),
    }
}
