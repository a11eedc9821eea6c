//! Reading YAML as kubectl does: only `true` and `false` are booleans, so a column named `y` is a text, and `010` is eight.

use serde_json::{Number, Value};

pub use serde_saphyr::Error;

/// The one document in `text`.
///
/// # Errors
/// It is not YAML; the message has line and column.
pub fn document(text: &str) -> Result<Value, Error> {
    serde_saphyr::from_str_with_options(text, options())
}

/// All documents in `text`.
///
/// # Errors
/// As [`document`].
pub fn documents(text: &str) -> Result<Vec<Value>, Error> {
    serde_saphyr::from_multiple_with_options(text, options())
}

/// All documents in `text`, with numbers as they reach an API server.
///
/// # Errors
/// As [`document`].
pub fn manifests(text: &str) -> Result<Vec<Value>, Error> {
    let read = documents(text)?;
    Ok(read.into_iter().map(with_whole_numbers).collect())
}

// What podium writes is quoted so that it reads the same under YAML 1.1 and 1.2.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: true, legacy_octal_numbers: true }
}

/// On its way to an API server a document becomes JSON, in which Go writes `1e3` and `4.0` as `1000` and `4`.
fn with_whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        Value::Array(items) => Value::Array(items.into_iter().map(with_whole_numbers).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name, with_whole_numbers(value)))
                .collect(),
        ),
        other => other,
    }
}

/// A number without a fraction as one of 64 bits; beyond them an API server keeps a floating-point number too.
#[allow(clippy::cast_possible_truncation)] // Both are asked for first.
fn whole(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    let fits = float.fract() == 0.0 && float.abs() < 2_f64.powi(63);
    fits.then(|| Number::from(float as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_looks_like_an_answer_is_a_text() {
        let read: Value = document("{label: y, no: on, really: true}").unwrap();
        assert_eq!(read, json!({"label": "y", "no": "on", "really": true}));
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let written = json!({"label": "y", "size": "1e3", "empty": "", "time": "2026-01-01", "code": "010", "hex": "0x1F",
            "long": "1_000", "octal": "0o17", "bits": "0b1", "float": 4.0, "small": 1e-7, "large": 1e300, "whole": 1000});
        let text = serde_saphyr::to_string(&written).unwrap();
        assert_eq!(document(&text).unwrap(), written, "{text}");
    }

    /// The right-hand sides are what `kubectl label --local -o json` of Kubernetes 1.34 makes of the left-hand ones.
    #[test]
    fn numbers_are_those_that_an_api_server_gets() {
        let table = [
            ("1e3", json!(1000)),
            ("1E2", json!(100)),
            ("1.0e+3", json!(1000)),
            ("4.0", json!(4)),
            ("1.", json!(1)),
            ("-0.0", json!(0)),
            ("010", json!(8)),
            ("-010", json!(-8)),
            ("0777", json!(511)),
            ("00", json!(0)),
            ("0o10", json!(8)),
            ("0x10", json!(16)),
            ("+0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("+5", json!(5)),
            ("12e-1", json!(1.2)),
            ("0.10", json!(0.1)),
            (".5", json!(0.5)),
            ("1e-7", json!(1e-7)),
            ("9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("9007199254740993.0", json!(9_007_199_254_740_992_i64)),
            ("9223372036854775807", json!(i64::MAX)),
            ("1e21", json!(1e21)),
            ("\"010\"", json!("010")),
            ("1:30", json!("1:30")),
            ("2026-01-01", json!("2026-01-01")),
        ];
        for (text, want) in table {
            assert_eq!(manifests(text).unwrap(), [want], "{text}");
        }
    }
}
