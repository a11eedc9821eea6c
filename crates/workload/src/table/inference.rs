//! The type of a CSV column, told from all of its cells. A cell without a character is a missing value.

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow_schema::DataType;
use std::sync::Arc;

/// What the cells of a column that were seen so far can be.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    any: bool,
    digits: bool,
    signed: bool,
    unsigned: bool,
    fractions: bool,
    numbers: bool,
    exact: bool,
    booleans: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            any: false,
            digits: false,
            signed: true,
            unsigned: true,
            fractions: false,
            numbers: true,
            exact: true,
            booleans: true,
        }
    }
}

impl Seen {
    /// Takes a cell into account.
    pub(super) fn add(&mut self, cell: &str) {
        if cell.is_empty() {
            return;
        }
        self.any = true;
        // Most columns are texts or numbers; what is settled is not asked again.
        self.booleans = self.booleans && boolean(cell).is_some();
        if !self.numbers {
            return;
        }
        let whole = is_whole_number(cell);
        let text = cell.trim();
        let (signed, unsigned) = (
            whole && text.parse::<i64>().is_ok(),
            whole && text.parse::<u64>().is_ok(),
        );
        self.signed = self.signed && signed;
        self.unsigned = self.unsigned && unsigned;
        self.fractions = self.fractions || !whole;
        self.numbers = signed || unsigned || (!whole && number(cell).is_some());
        self.exact = self.exact && ((whole && text.len() <= 15) || digits_survive(cell));
        self.digits = self.digits || cell.contains(|c: char| c.is_ascii_digit());
    }

    /// The narrowest type that holds every cell. With `exact`, numbers whose digits a floating-point number cannot hold stay texts.
    pub(super) fn data_type(&self, exact: bool) -> DataType {
        if !self.any {
            return if exact {
                DataType::Utf8
            } else {
                DataType::Float64
            };
        }
        if self.booleans {
            return DataType::Boolean;
        }
        match (self.numbers && self.digits, self.signed, self.unsigned) {
            (true, true, _) => DataType::Int64,
            (true, false, true) => DataType::UInt64,
            (true, false, false) if self.fractions && (self.exact || !exact) => DataType::Float64,
            _ => DataType::Utf8,
        }
    }
}

/// Cells as the type that [`Seen::data_type`] gives for them.
pub(super) fn typed(cells: &StringArray, data_type: &DataType) -> ArrayRef {
    let present = || {
        cells
            .iter()
            .map(|cell| cell.filter(|cell| !cell.is_empty()))
    };
    match data_type {
        DataType::Int64 => Arc::new(present().map(parsed).collect::<Int64Array>()),
        DataType::UInt64 => Arc::new(present().map(parsed).collect::<UInt64Array>()),
        DataType::Float64 => Arc::new(present().map(parsed).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(
            present()
                .map(|cell| cell.and_then(boolean))
                .collect::<BooleanArray>(),
        ),
        _ => Arc::new(present().collect::<StringArray>()),
    }
}

fn parsed<T: std::str::FromStr>(cell: Option<&str>) -> Option<T> {
    cell?.trim().parse().ok()
}

/// `true` and `false`, as programs write them.
pub(super) fn boolean(cell: &str) -> Option<bool> {
    match cell.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Digits as a number is written: `007` and `+7` are texts, since writing the number again would change them.
fn is_whole_number(cell: &str) -> bool {
    let text = cell.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.as_bytes() {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [b'0', ..] => false,
        all => all.iter().all(u8::is_ascii_digit),
    }
}

/// A finite number, or one of the words for none and for infinity.
fn number(cell: &str) -> Option<f64> {
    let text = cell.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
    if padded || text.starts_with('+') {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let overflowed = value.is_infinite() && digits.starts_with(|c: char| c.is_ascii_digit());
    (!overflowed).then_some(value)
}

/// Whether the nearest floating-point number, written with as many digits as the cell has, is the cell again.
fn digits_survive(cell: &str) -> bool {
    let Some(value) = number(cell) else {
        return false;
    };
    let mantissa = cell.trim().split(['e', 'E']).next().unwrap_or_default();
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    let significant = &digits[leading..];
    // Fifteen digits always survive, but for numbers too small to have them.
    if significant.is_empty() || !value.is_finite() {
        return true;
    }
    if significant.len() <= 15 && value.is_normal() {
        return true;
    }
    let written = format!("{value:.*e}", significant.len() - 1);
    let mantissa = written.split('e').next().unwrap_or_default();
    mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .eq(significant.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(cells: &[&str], exact: bool) -> DataType {
        let mut seen = Seen::default();
        cells.iter().for_each(|cell| seen.add(cell));
        seen.data_type(exact)
    }

    #[test]
    fn a_type_holds_every_cell_without_loss() {
        for (cells, expected) in [
            (&["1", "-2", " 3"][..], DataType::Int64),
            (&["1", "", "9223372036854775807"], DataType::Int64),
            (&["1", "18446744073709551615"], DataType::UInt64),
            (&["-1", "18446744073709551615"], DataType::Utf8),
            (&["18446744073709551616"], DataType::Utf8),
            (&["12345678901234567890123"], DataType::Utf8),
            (&["007", "1"], DataType::Utf8),
            (&["+4912345"], DataType::Utf8),
            (&["1", "0.5", ""], DataType::Float64),
            (&["-0"], DataType::Float64),
            (&["9007199254740993", "0.5"], DataType::Utf8),
            (&["0.1", "nan", "-inf"], DataType::Float64),
            (&["0.10000000000000001"], DataType::Float64),
            (
                &["0.30000000000000004", "5e-324", "1e300"],
                DataType::Float64,
            ),
            (&["0.12345678901234567890"], DataType::Utf8),
            (&["1e400"], DataType::Utf8),
            (&["nan", "Inf"], DataType::Utf8),
            (&["True", "false", ""], DataType::Boolean),
            (&["True", "1"], DataType::Utf8),
            (&["0,5"], DataType::Utf8),
            (&["", ""], DataType::Utf8),
        ] {
            assert_eq!(inferred(cells, true), expected, "{cells:?}");
        }
        // As numbers to calculate with, the nearest ones do.
        for cells in [
            &["0.12345678901234567890"][..],
            &["9007199254740993", "0.5"],
            &[""],
        ] {
            assert_eq!(inferred(cells, false), DataType::Float64, "{cells:?}");
        }
        assert_eq!(
            inferred(&["12345678901234567890123"], false),
            DataType::Utf8
        );
    }
}
