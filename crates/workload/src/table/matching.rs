//! Which rows hold a value that is written as text.

use super::Column;
use super::inference::boolean;
use super::text::{EPOCH, instant, kind, text};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Values that are listed in messages.
const LISTED: usize = 8;

impl Column {
    /// Whether each row holds what `wanted` says: numbers are compared as numbers, dates and times as such, `true` and `false` in any
    /// usual spelling, texts letter by letter. A missing value equals nothing.
    ///
    /// # Errors
    /// Values of the type cannot be written as text, or `wanted` is no value of it; in words that follow the name of the column.
    pub(crate) fn equal_to(&self, wanted: &str) -> Result<Vec<bool>, String> {
        let mut found = Vec::new();
        if self.is_missing() {
            let rows = self.chunks.iter().map(|chunk| chunk.len()).sum();
            return Ok(vec![false; rows]);
        }
        for chunk in &self.chunks {
            let wanted = Wanted::of(chunk.data_type(), wanted)?;
            found.extend((0..chunk.len()).map(|row| !chunk.is_null(row) && wanted.is(chunk, row)));
        }
        Ok(found)
    }

    /// The most frequent values, in words.
    pub(crate) fn values(&self) -> String {
        if self.is_missing() {
            return "missing values only".to_string();
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for chunk in &self.chunks {
            for row in 0..chunk.len() {
                let value = if chunk.is_null(row) || *chunk.data_type() == DataType::Null {
                    "missing values".to_string()
                } else {
                    format!("`{}`", text(chunk, row).unwrap_or_default())
                };
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut values: Vec<(String, usize)> = counts.into_iter().collect();
        values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let more = values.len().saturating_sub(LISTED);
        let listed: Vec<String> = values.into_iter().take(LISTED).map(|(v, _)| v).collect();
        let listed = listed.join(", ");
        match more {
            0 => listed,
            more => format!("{listed} and {more} others"),
        }
    }

    /// Whether there are rows, and none has a value.
    fn is_missing(&self) -> bool {
        let mut rows = self
            .chunks
            .iter()
            .filter(|chunk| !chunk.is_empty())
            .peekable();
        rows.peek().is_some() && rows.all(|chunk| chunk.logical_null_count() == chunk.len())
    }

    /// What dates or times are called; absent where the column holds something else.
    pub(crate) fn kind_of_times(&self) -> Option<String> {
        let of_times = |chunk: &&ArrayRef| chunk.data_type().is_temporal();
        let chunk = self.chunks.iter().find(of_times)?;
        Some(kind(chunk.data_type()))
    }
}

/// A value to compare with.
enum Wanted {
    Text(String),
    Boolean(bool),
    /// The digits of a number, written in one way.
    Digits(String),
    Float(f64),
    /// Nanoseconds since 1970, or since midnight.
    Instant(i128),
    Nothing,
}

impl Wanted {
    fn of(data_type: &DataType, text: &str) -> Result<Self, String> {
        let found = match data_type {
            DataType::Null => Some(Self::Nothing),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Some(Self::Text(text.to_string()))
            }
            DataType::Boolean => boolean(text)
                .or(match digits(text).as_deref() {
                    Some("0") => Some(false),
                    Some("1") => Some(true),
                    _ => None,
                })
                .map(Self::Boolean),
            DataType::Date32 | DataType::Date64 => moment(text, None).map(Self::Instant),
            DataType::Timestamp(_, zone) => moment(text, zone.as_deref()).map(Self::Instant),
            DataType::Time32(_) | DataType::Time64(_) => {
                let time: Option<Time> = text.trim().parse().ok();
                time.map(|time| Self::Instant(since_epoch(EPOCH.to_datetime(time))))
            }
            other if other.is_floating() => text.trim().parse().ok().map(Self::Float),
            other if other.is_numeric() => digits(text).map(Self::Digits),
            other => {
                return Err(format!(
                    "holds {}, which have no text to compare",
                    kind(other)
                ));
            }
        };
        found.ok_or_else(|| format!("holds {}, and `{text}` is none", kind(data_type)))
    }

    fn is(&self, chunk: &ArrayRef, row: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Boolean(wanted) => chunk.as_boolean().value(row) == *wanted,
            Self::Instant(wanted) => instant(chunk, row) == Some(*wanted),
            Self::Text(wanted) => text(chunk, row).as_ref() == Some(wanted),
            Self::Digits(wanted) => {
                let value = text(chunk, row).and_then(|value| digits(&value));
                value.as_ref() == Some(wanted)
            }
            Self::Float(wanted) => {
                let value = cast(&chunk.slice(row, 1), &DataType::Float64);
                value.is_ok_and(|value| {
                    let value = value.as_primitive::<Float64Type>().value(0);
                    // 0.1 of a narrower type is the number that is nearest to 0.1 there.
                    value == *wanted
                        || (*chunk.data_type() == DataType::Float32
                            && value == f64::from(*wanted as f32))
                        || (*chunk.data_type() == DataType::Float16
                            && text(chunk, row).and_then(|text| text.parse().ok()) == Some(*wanted))
                })
            }
        }
    }
}

/// A text that all texts for the same date, date and time, or time of the day have in common: midnight is the date, and times without a zone
/// are those of UTC. Another text is its own.
pub(crate) fn same_for_all_of_a_time(text: &str) -> String {
    let time = || Some(since_epoch(EPOCH.to_datetime(text.trim().parse().ok()?)));
    match (moment(text, None), time()) {
        // It is also what a time that no calendar reaches is written as.
        (Some(since), _) => format!("{since} ns"),
        (None, Some(since)) => format!("{since} ns after midnight"),
        (None, None) => text.to_string(),
    }
}

/// Numbers have at most 76 digits in the types that are read; whoever asks for more places means none of them.
const MOST_PLACES: i32 = 400;

/// Decimal digits without zeros that mean nothing; absent where the text is no such number.
fn digits(text: &str) -> Option<String> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((text, exponent)) => (text, exponent.parse().ok()?),
        None => (text, 0_i32),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !(-MOST_PLACES..=MOST_PLACES).contains(&exponent) {
        return None;
    }
    // The point moves by as many places, into zeros where there are no digits.
    let zeros = "0".repeat(exponent.unsigned_abs() as usize);
    let point = whole.len();
    let (all, point) = if exponent < 0 {
        (format!("{zeros}{all}"), point)
    } else {
        (format!("{all}{zeros}"), point + zeros.len())
    };
    let (whole, fraction) = all.split_at(point);
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && !(whole == "0" && fraction.is_empty()) {
        "-"
    } else {
        ""
    };
    Some(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

/// A date, or a date and a time, as nanoseconds since 1970. Without an offset it is meant in `zone`, or in none.
fn moment(text: &str, zone: Option<&str>) -> Option<i128> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_nanosecond());
    }
    // The last days of the calendar have no time in UTC for this library.
    let utc = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"));
    if let Some(time) = utc.and_then(|text| text.parse::<DateTime>().ok()) {
        return Some(since_epoch(time));
    }
    let date = || Some(text.parse::<Date>().ok()?.to_datetime(Time::midnight()));
    let civil_time = text.parse::<DateTime>().ok().or_else(date)?;
    let Some(zone) = zone else {
        return Some(since_epoch(civil_time));
    };
    // An offset such as `+02:00` is no name of a zone.
    let offset = format!("1970-01-01T00:00:00{zone}").parse::<Timestamp>();
    match offset {
        Ok(start) => Some(since_epoch(civil_time) + start.as_nanosecond()),
        Err(_) => {
            let zone = TimeZone::get(zone).ok()?;
            Some(civil_time.to_zoned(zone).ok()?.timestamp().as_nanosecond())
        }
    }
}

/// Nanoseconds from 1970 to a time in UTC.
fn since_epoch(time: DateTime) -> i128 {
    time.duration_since(EPOCH.to_datetime(Time::midnight()))
        .as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
        StringArray, TimestampMicrosecondArray, UInt64Array,
    };
    use std::sync::Arc;

    fn column(chunk: ArrayRef) -> Column {
        Column {
            name: "x".into(),
            untyped: false,
            chunks: vec![chunk],
        }
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let new_year = 1_767_225_600_000_000;
        let times = || TimestampMicrosecondArray::from(vec![Some(new_year), None, Some(5)]);
        let decimals = Decimal128Array::from(vec![100, 1050]);
        let cases: Vec<(ArrayRef, &[&str])> = vec![
            (
                Arc::new(BooleanArray::from(vec![true, false])),
                &["true", "True", "1", "1.0"],
            ),
            (
                Arc::new(Int64Array::from(vec![1, 2])),
                &["1", "1.0", " 1", "01", "1e0", "0.1E1", "10e-1", "1.00e+0"],
            ),
            (
                Arc::new(UInt64Array::from(vec![u64::MAX, 0])),
                &["18446744073709551615"],
            ),
            (
                Arc::new(Float64Array::from(vec![1.0, 2.0])),
                &["1", "1.0", "1e0"],
            ),
            (Arc::new(Float32Array::from(vec![0.1, 2.0])), &["0.1"]),
            (
                Arc::new(decimals.with_precision_and_scale(6, 2).unwrap()),
                &["1", "1.00", "1.0", "1e0", "0.01e2"],
            ),
            (Arc::new(StringArray::from(vec!["a ", "a"])), &["a "]),
            // The last day, which many tables mean by "never".
            (
                Arc::new(TimestampMicrosecondArray::from(vec![
                    253_402_214_400_000_000,
                    0,
                ])),
                &["9999-12-31"],
            ),
            (
                Arc::new(Date32Array::from(vec![20_454, 1])),
                &["2026-01-01", "2026-01-01T00:00:00"],
            ),
            (
                Arc::new(times()),
                &["2026-01-01", "2026-01-01 00:00:00", "2026-01-01T00:00:00Z"],
            ),
            (
                Arc::new(times().with_timezone("UTC")),
                &["2026-01-01", "2026-01-01T01:00:00+01:00"],
            ),
            (
                Arc::new(times().with_timezone("+01:00")),
                &["2026-01-01T01:00", "2026-01-01T00:00:00Z"],
            ),
            (
                Arc::new(times().with_timezone("Europe/Berlin")),
                &["2026-01-01T01:00:00"],
            ),
        ];
        for (chunk, wanted) in cases {
            let kind = chunk.data_type().clone();
            let column = column(chunk);
            for wanted in wanted {
                let found = column.equal_to(wanted).unwrap();
                assert!(found[0], "{kind} {wanted}");
                assert!(found[1..].iter().all(|found| !found), "{kind} {wanted}");
            }
        }
    }

    #[test]
    fn what_is_no_value_of_the_type_is_refused() {
        let refusal = |chunk: ArrayRef, wanted: &str| column(chunk).equal_to(wanted).unwrap_err();
        let day = refusal(Arc::new(Date32Array::from(vec![1])), "monday");
        assert_eq!(day, "holds dates, and `monday` is none");
        let number = refusal(Arc::new(Int64Array::from(vec![1])), "one");
        assert_eq!(number, "holds whole numbers, and `one` is none");
        let truth = refusal(Arc::new(BooleanArray::from(vec![true])), "yes");
        assert_eq!(truth, "holds true and false, and `yes` is none");
    }

    #[test]
    fn missing_values_are_said_to_be_such() {
        let columns: [ArrayRef; 2] = [
            Arc::new(arrow_array::NullArray::new(2)),
            Arc::new(Int64Array::from(vec![None, None])),
        ];
        for values in columns {
            let column = column(values);
            assert_eq!(column.equal_to("").unwrap(), [false, false]);
            assert_eq!(column.values(), "missing values only");
        }
        let some = column(Arc::new(Int64Array::from(vec![None, Some(1), None])));
        assert_eq!(some.values(), "missing values, `1`");
        for number in ["1e9999", "1e", "e1", "1e1.5", "1e1e1"] {
            let refusal = some.equal_to(number).unwrap_err();
            assert_eq!(
                refusal,
                format!("holds whole numbers, and `{number}` is none")
            );
        }
    }
}
