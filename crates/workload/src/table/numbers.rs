//! Columns of numbers: features, scores, weights and labels.

use super::inference::boolean;
use super::text::{kind, text};
use super::{Column, Table, TableError};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

/// What is said of a cell such as `0,5`.
const COMMA: &str = "; decimals must be written with a point";

impl Column {
    /// The value at a row in words.
    fn described(&self, row: usize) -> String {
        let mut place = row;
        for chunk in &self.chunks {
            if place < chunk.len() {
                return described(chunk, place);
            }
            place -= chunk.len();
        }
        "nothing".to_string()
    }
}

impl Table {
    /// A column of numbers; a missing one is NaN. Numbers with more digits than a floating-point number are the nearest one.
    ///
    /// # Errors
    /// It was not read, or holds something else.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, TableError> {
        let column = self.column(name)?;
        let mut numbers = Vec::with_capacity(self.rows());
        for chunk in &column.chunks {
            let found = if is_number(chunk.data_type()) || *chunk.data_type() == DataType::Null {
                of_numbers(chunk).map_err(|error| self.refuse(&error.to_string()))?
            } else if column.untyped && is_text(chunk.data_type()) {
                of_cells(chunk).map_err(|place| {
                    let got = described(chunk, place);
                    let comma = if got.contains(',') { COMMA } else { "" };
                    let message = format!("`{name}` must be a number; got {got}{comma}");
                    self.refuse_row(numbers.len() + place, &message)
                })?
            } else {
                let first = (0..chunk.len()).find(|place| chunk.is_valid(*place));
                let place = first.unwrap_or_default();
                let mut message = format!(
                    "`{name}` must hold numbers, not {}",
                    kind(chunk.data_type())
                );
                if is_text(chunk.data_type()) && first.is_some() {
                    message += &format!("; got {}", described(chunk, place));
                }
                return Err(self.refuse_row(numbers.len() + place, &message));
            };
            numbers.extend(found);
        }
        Ok(numbers)
    }

    /// A column of labels.
    ///
    /// # Errors
    /// It was not read, or a row holds neither 0 and 1 nor false and true, as numbers or as texts.
    pub fn labels(&self, name: &str) -> Result<Vec<u8>, TableError> {
        let column = self.column(name)?;
        let mut labels = Vec::with_capacity(self.rows());
        for chunk in &column.chunks {
            let found = if is_text(chunk.data_type()) {
                (0..chunk.len())
                    .map(|place| label_of_text(&text(chunk, place).unwrap_or_default()))
                    .collect()
            } else if is_number(chunk.data_type()) || *chunk.data_type() == DataType::Null {
                let numbers = of_numbers(chunk).map_err(|e| self.refuse(&e.to_string()))?;
                numbers.into_iter().map(label).collect::<Vec<_>>()
            } else {
                let message = format!(
                    "`{name}` must hold labels, 0 and 1, not {}",
                    kind(chunk.data_type())
                );
                return Err(self.refuse(&message));
            };
            if let Some(place) = found.iter().position(Option::is_none) {
                let values = if is_text(chunk.data_type()) && chunk.is_valid(place) {
                    format!(", or true or false; it holds {}", column.values())
                } else {
                    format!("; got {}", described(chunk, place))
                };
                let message = format!("`{name}` must be 0 or 1{values}");
                return Err(self.refuse_row(labels.len() + place, &message));
            }
            labels.extend(found.into_iter().flatten());
        }
        Ok(labels)
    }

    /// A column of weights.
    ///
    /// # Errors
    /// It was not read, or a row holds a number that is missing, negative or not finite.
    pub fn weights(&self, name: &str) -> Result<Vec<f64>, TableError> {
        let must = "a finite number of at least 0";
        self.checked(name, must, |value| value.is_finite() && value >= 0.0)
    }

    /// A column of scores.
    ///
    /// # Errors
    /// It was not read, or a row holds a number that is missing or not finite.
    pub fn scores(&self, name: &str) -> Result<Vec<f64>, TableError> {
        self.checked(name, "a finite number", f64::is_finite)
    }

    fn checked(
        &self,
        name: &str,
        must: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<Vec<f64>, TableError> {
        let values = self.numbers(name)?;
        match values.iter().position(|value| !holds(*value)) {
            None => Ok(values),
            Some(row) => {
                let got = self.column(name)?.described(row);
                Err(self.refuse_row(row, &format!("`{name}` must be {must}; got {got}")))
            }
        }
    }
}

/// Whether values of a type are numbers or truth values, dictionaries of them left out.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn described(chunk: &ArrayRef, place: usize) -> String {
    if chunk.is_null(place) {
        return "a missing value".to_string();
    }
    match text(chunk, place) {
        Some(text) if is_text(chunk.data_type()) => format!("`{text}`"),
        Some(text) => text.strip_suffix(".0").unwrap_or(&text).to_string(),
        None => kind(chunk.data_type()),
    }
}

/// Numbers and truth values as the nearest floating-point numbers.
fn of_numbers(chunk: &ArrayRef) -> Result<Vec<f64>, arrow_schema::ArrowError> {
    if matches!(
        chunk.data_type(),
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    ) {
        // Dividing by a power of ten would round twice.
        let number = |place| text(chunk, place).and_then(|text| text.parse().ok());
        return Ok((0..chunk.len())
            .map(|place| number(place).unwrap_or(f64::NAN))
            .collect());
    }
    let numbers = cast(chunk, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>().iter();
    Ok(numbers.map(|number| number.unwrap_or(f64::NAN)).collect())
}

/// Cells as the nearest numbers, or the place of the first that is none.
fn of_cells(chunk: &ArrayRef) -> Result<Vec<f64>, usize> {
    let number = |place: usize| {
        let cell = text(chunk, place).unwrap_or_default();
        match cell.trim() {
            "" => Ok(f64::NAN),
            digits => digits.parse().map_err(|_| place),
        }
    };
    (0..chunk.len()).map(number).collect()
}

fn label(number: f64) -> Option<u8> {
    match number {
        0.0 => Some(0),
        1.0 => Some(1),
        _ => None,
    }
}

fn label_of_text(text: &str) -> Option<u8> {
    let number = || text.trim().parse().ok().and_then(label);
    boolean(text).map(u8::from).or_else(number)
}
