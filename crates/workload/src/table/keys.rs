//! Values that name a row or a cluster: two are the same only if they are equal, and none is missing.

use super::text::{kind, text};
use super::{Column, Table, TableError};
use arrow_array::builder::LargeStringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

/// A value per row that is not missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// Whole numbers of any type, floating-point ones among them.
    Integers(Vec<i128>),
    /// Texts, and times as texts.
    Texts(arrow_array::LargeStringArray),
}

impl Keys {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// The key of a row as text.
    #[must_use]
    pub fn text(&self, row: usize) -> String {
        match self {
            Self::Integers(values) => values[row].to_string(),
            Self::Texts(values) => values.value(row).to_string(),
        }
    }

    /// All keys as texts.
    #[must_use]
    pub fn into_texts(self) -> arrow_array::LargeStringArray {
        match self {
            Self::Integers(values) => {
                let texts = values.iter().map(ToString::to_string);
                arrow_array::LargeStringArray::from_iter_values(texts)
            }
            Self::Texts(values) => values,
        }
    }

    /// What they are, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Integers(_) => "whole numbers",
            Self::Texts(_) => "texts",
        }
    }
}

/// The keys in a column, which `without` says what to do about where one is missing.
pub(super) fn of_column(table: &Table, column: &Column, without: &str) -> Result<Keys, TableError> {
    let mut integers: Vec<i128> = Vec::new();
    let mut texts = LargeStringBuilder::new();
    let (mut row, mut whole) = (0, None);
    for chunk in &column.chunks {
        let refuse = |place: usize, message: String| {
            Err(table.refuse_row(row + place, &format!("`{}` {message}", column.name)))
        };
        let is_empty = |place: usize| {
            chunk.is_null(place) || text(chunk, place).is_none_or(|text| text.is_empty())
        };
        if let Some(place) = (0..chunk.len()).find(|place| is_missing(chunk, *place)) {
            return refuse(place, format!("must not be missing{without}"));
        }
        let is_whole = match chunk.data_type() {
            DataType::Null => continue,
            data_type if data_type.is_numeric() || *data_type == DataType::Boolean => {
                match whole_numbers(chunk) {
                    Ok(numbers) => integers.extend(numbers),
                    Err((place, message)) => return refuse(place, message),
                }
                true
            }
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..)
            | DataType::Time32(_)
            | DataType::Time64(_) => {
                if let Some(place) = (0..chunk.len()).find(|place| is_empty(*place)) {
                    return refuse(place, format!("must not be empty{without}"));
                }
                for place in 0..chunk.len() {
                    texts.append_value(text(chunk, place).unwrap_or_default());
                }
                false
            }
            other => {
                let message = format!("must hold whole numbers or texts, not {}", kind(other));
                return Err(table.refuse(&format!("`{}` {message}", column.name)));
            }
        };
        if whole.is_some_and(|whole| whole != is_whole) {
            let message = "must hold either whole numbers or texts in all parts";
            return refuse(0, message.to_string());
        }
        whole = Some(is_whole);
        row += chunk.len();
    }
    Ok(match whole {
        Some(false) => Keys::Texts(texts.finish()),
        Some(true) | None => Keys::Integers(integers),
    })
}

fn is_missing(chunk: &ArrayRef, place: usize) -> bool {
    chunk.is_null(place)
        || match chunk.data_type() {
            DataType::Null => true,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                text(chunk, place).is_some_and(|text| text == "NaN")
            }
            _ => false,
        }
}

/// Numbers without a fraction, or the place and the reason of the first that is none.
fn whole_numbers(chunk: &ArrayRef) -> Result<Vec<i128>, (usize, String)> {
    let data_type = chunk.data_type();
    let failed = |error: arrow_schema::ArrowError| (0, error.to_string());
    match data_type {
        DataType::UInt64 => {
            let values = chunk.as_primitive::<UInt64Type>().values();
            Ok(values.iter().map(|value| i128::from(*value)).collect())
        }
        DataType::Boolean => Ok((0..chunk.len())
            .map(|place| i128::from(chunk.as_boolean().value(place)))
            .collect()),
        _ if data_type.is_integer() => {
            let values = cast(chunk, &DataType::Int64).map_err(failed)?;
            let values = values.as_primitive::<Int64Type>().values();
            Ok(values.iter().map(|value| i128::from(*value)).collect())
        }
        _ if data_type.is_floating() => {
            // Beyond these, neighbouring whole numbers are the same number of the type.
            let digits = match data_type {
                DataType::Float16 => 11,
                DataType::Float32 => 24,
                _ => 53,
            };
            let values = cast(chunk, &DataType::Float64).map_err(failed)?;
            let whole = |(place, value): (usize, &f64)| {
                if value.fract() != 0.0 || value.is_infinite() {
                    let message = format!("must be a whole number or a text; got {value}");
                    return Err((place, message));
                }
                if value.abs() > f64::from(digits).exp2() {
                    let message = format!(
                        "must be a whole number of at most 2^{digits}, beyond which floating-point numbers of this type run together; got {value}. Write the column as whole numbers or texts"
                    );
                    return Err((place, message));
                }
                #[allow(clippy::cast_possible_truncation)] // It is whole and small.
                Ok(*value as i128)
            };
            let values = values.as_primitive::<Float64Type>().values();
            values.iter().enumerate().map(whole).collect()
        }
        _ => (0..chunk.len())
            .map(|place| {
                let text = text(chunk, place).unwrap_or_default();
                let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
                if fraction.bytes().any(|digit| digit != b'0') {
                    let message = format!("must be a whole number or a text; got {text}");
                    return Err((place, message));
                }
                let too_long = |_| {
                    let message = format!(
                        "must be a whole number of at most 128 bits, or a text; got {text}"
                    );
                    (place, message)
                };
                whole.parse().map_err(too_long)
            })
            .collect(),
    }
}
