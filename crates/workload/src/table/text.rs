//! Values as text: for files of text, for messages, and to name rows by.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Nanoseconds of a tick of a unit.
pub(super) fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// The day that times are counted from.
pub(super) const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// Nanoseconds of a day.
pub(super) const DAY: i128 = 86_400_000_000_000;

/// The value at `row`, which must not be missing, as nanoseconds since 1970, or since midnight; absent where the type is no time.
pub(super) fn instant(array: &dyn Array, row: usize) -> Option<i128> {
    macro_rules! ticks {
        ($type:ty) => {
            i128::from(array.as_primitive::<$type>().value(row))
        };
    }
    Some(match array.data_type() {
        DataType::Date32 => DAY * ticks!(Date32Type),
        DataType::Date64 => 1_000_000 * ticks!(Date64Type),
        DataType::Timestamp(unit, _) => {
            nanoseconds(*unit)
                * match unit {
                    TimeUnit::Second => ticks!(TimestampSecondType),
                    TimeUnit::Millisecond => ticks!(TimestampMillisecondType),
                    TimeUnit::Microsecond => ticks!(TimestampMicrosecondType),
                    TimeUnit::Nanosecond => ticks!(TimestampNanosecondType),
                }
        }
        DataType::Time32(TimeUnit::Second) => 1_000_000_000 * ticks!(Time32SecondType),
        DataType::Time32(_) => 1_000_000 * ticks!(Time32MillisecondType),
        DataType::Time64(TimeUnit::Microsecond) => 1_000 * ticks!(Time64MicrosecondType),
        DataType::Time64(_) => ticks!(Time64NanosecondType),
        _ => return None,
    })
}

/// The value at `row` as text that means the same: dates and times as in ISO 8601, those of a time zone in UTC. Empty where it is missing;
/// absent where values of the type have no text, such as lists.
pub(crate) fn text(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return Some(String::new());
    }
    macro_rules! primitive {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row)
        };
    }
    macro_rules! decimal {
        ($type:ty) => {
            array.as_primitive::<$type>().value_as_string(row)
        };
    }
    Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => primitive!(Int8Type).to_string(),
        DataType::Int16 => primitive!(Int16Type).to_string(),
        DataType::Int32 => primitive!(Int32Type).to_string(),
        DataType::Int64 => primitive!(Int64Type).to_string(),
        DataType::UInt8 => primitive!(UInt8Type).to_string(),
        DataType::UInt16 => primitive!(UInt16Type).to_string(),
        DataType::UInt32 => primitive!(UInt32Type).to_string(),
        DataType::UInt64 => primitive!(UInt64Type).to_string(),
        // The shortest digits that are read as the same number, in the format that shows it is no whole number's.
        DataType::Float16 => format!("{:?}", primitive!(Float16Type).to_f32()),
        DataType::Float32 => format!("{:?}", primitive!(Float32Type)),
        DataType::Float64 => format!("{:?}", primitive!(Float64Type)),
        DataType::Decimal32(..) => decimal!(Decimal32Type),
        DataType::Decimal64(..) => decimal!(Decimal64Type),
        DataType::Decimal128(..) => decimal!(Decimal128Type),
        DataType::Decimal256(..) => decimal!(Decimal256Type),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_string(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_string(),
        DataType::Utf8View => array.as_string_view().value(row).to_string(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            return text(dictionary.values(), key);
        }
        _ => return time_text(array, row),
    })
}

fn time_text(array: &dyn Array, row: usize) -> Option<String> {
    let nanoseconds = instant(array, row)?;
    let Some(civil) = civil(nanoseconds) else {
        // No calendar reaches so far.
        return Some(format!("{nanoseconds} ns"));
    };
    Some(match array.data_type() {
        DataType::Date32 => civil.date().to_string(),
        DataType::Date64 if nanoseconds % DAY == 0 => civil.date().to_string(),
        DataType::Time32(_) | DataType::Time64(_) => civil.time().to_string(),
        DataType::Timestamp(_, Some(_)) => format!("{civil}Z"),
        _ => civil.to_string(),
    })
}

/// Date and time in UTC at `nanoseconds` since 1970; absent beyond the years -9999 and 9999.
fn civil(nanoseconds: i128) -> Option<DateTime> {
    let days = i64::try_from(nanoseconds.div_euclid(DAY)).ok()?;
    let date = EPOCH.checked_add(Span::new().try_days(days).ok()?).ok()?;
    let of_day = Timestamp::from_nanosecond(nanoseconds.rem_euclid(DAY)).ok()?;
    Some(date.to_datetime(of_day.to_zoned(TimeZone::UTC).time()))
}

/// A type in the words of people.
pub(crate) fn kind(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "true and false".to_string(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "texts".to_string(),
        DataType::Date32 | DataType::Date64 => "dates".to_string(),
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => "times".to_string(),
        DataType::Duration(_) | DataType::Interval(_) => "durations".to_string(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "bytes without an encoding".to_string(),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => "lists".to_string(),
        DataType::Struct(_) => "structs".to_string(),
        DataType::Map(..) => "maps".to_string(),
        DataType::Null => "missing values only".to_string(),
        DataType::Dictionary(_, values) => kind(values),
        other if other.is_integer() => "whole numbers".to_string(),
        other if other.is_numeric() => "numbers".to_string(),
        other => other.to_string(),
    }
}
