//! Reading a container's termination message.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::distinct::Distinct;
use super::{CombinedMetric, Report, ReportError};

/// Kubernetes keeps this many bytes of a termination message and drops the rest; fewer where a pod has more than three containers.
pub const KEPT_BYTES: usize = 4096;

/// A termination message as a container left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminationMessage {
    /// Its text; `None` where nothing was left.
    pub text: Option<String>,
    /// Bytes that are kept of such a message: one of this length was cut.
    pub kept_bytes: usize,
}

impl Default for TerminationMessage {
    fn default() -> Self {
        Self {
            text: None,
            kept_bytes: KEPT_BYTES,
        }
    }
}

/// What a trial reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Reported {
    /// Nothing.
    #[default]
    Nothing,
    /// Its metrics.
    Metrics(Vec<CombinedMetric>),
    /// Something that cannot be used.
    Unreadable(ReportError),
}

impl TerminationMessage {
    /// The report in it.
    #[must_use]
    pub fn read(&self) -> Reported {
        let text = self.text.as_deref();
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Reported::Nothing;
        };
        let report = parse_termination_message(text, self.kept_bytes);
        match report.and_then(|report| report.combine()) {
            Ok(metrics) => Reported::Metrics(metrics),
            Err(error) => Reported::Unreadable(error),
        }
    }
}

/// Numbers that JSON does not have but that Python's `json.dumps` and others write.
const NOT_IN_JSON: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads a container's termination message, of which `kept` bytes were kept at most: one JSON object with `metrics` and, perhaps, `weights`.
///
/// # Errors
/// Says what must hold; names the metric where the value of one is at fault.
pub fn parse_termination_message(message: &str, kept: usize) -> Result<Report, ReportError> {
    // Windows' tools write a byte order mark.
    let message = message.trim_start_matches('\u{feff}');
    if message.trim().is_empty() {
        return Err(ReportError::new(
            "the termination message must be a JSON object with `metrics`; it is empty",
        ));
    }
    let read: Distinct = serde_json::from_str(&quote_what_json_lacks(message))
        .map_err(|error| unreadable(message, kept, &error))?;
    if let Some(place) = read.repeated.first() {
        return Err(ReportError::new(format!(
            "the termination message must name each thing once; {} stands in it twice",
            in_words(place)
        )));
    }
    let Value::Object(mut fields) = read.value else {
        return Err(ReportError::new(
            "the termination message must be a JSON object with `metrics`",
        ));
    };
    let metrics = match fields.remove("metrics") {
        Some(Value::Object(metrics)) if !metrics.is_empty() => values(metrics, "the metric")?,
        Some(_) => {
            return Err(ReportError::new(
                "`metrics` must be a JSON object from names to numbers, with at least one",
            ));
        }
        None => {
            return Err(ReportError::new(
                "the termination message must have `metrics`, as in {\"metrics\": {\"auc\": 0.93}}",
            ));
        }
    };
    let weights = match fields.remove("weights") {
        Some(Value::Object(weights)) => values(weights, "the weight")?,
        Some(Value::Null) | None => BTreeMap::new(),
        Some(_) => {
            return Err(ReportError::new(
                "`weights` must be a JSON object from names to numbers",
            ));
        }
    };
    match fields.keys().next() {
        Some(unknown) => Err(ReportError::new(format!(
            "the termination message may have `metrics` and `weights`, but not `{unknown}`"
        ))),
        None => Ok(Report { metrics, weights }),
    }
}

/// What stands at a place of the message.
fn in_words(place: &[String]) -> String {
    match place {
        [field, name] if field == "metrics" => format!("the metric `{name}`"),
        [field, name] if field == "weights" => format!("the weight `{name}`"),
        _ => format!("`{}`", place.join(".")),
    }
}

fn unreadable(message: &str, kept: usize, error: &serde_json::Error) -> ReportError {
    if message.len() >= kept {
        return ReportError::new(format!(
            "the termination message must be shorter than {kept} bytes, of which Kubernetes keeps no more; it was cut. \
             Report fewer metrics, or parts as arrays"
        ));
    }
    ReportError::new(format!(
        "the termination message must be one JSON object: {error}"
    ))
}

fn values(
    object: Map<String, Value>,
    what: &str,
) -> Result<BTreeMap<String, Vec<f64>>, ReportError> {
    object
        .into_iter()
        .map(|(name, value)| {
            let numbers = match &value {
                Value::Array(parts) if parts.is_empty() => {
                    return Err(ReportError::new(format!(
                        "{what} `{name}` must have at least one part"
                    )));
                }
                Value::Array(parts) => parts
                    .iter()
                    .map(|part| number(part, &name, what))
                    .collect::<Result<_, _>>()?,
                _ => vec![number(&value, &name, what)?],
            };
            Ok((name, numbers))
        })
        .collect()
}

fn number(value: &Value, name: &str, what: &str) -> Result<f64, ReportError> {
    let read = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text == "NaN" => Some(f64::NAN),
        Value::String(text) if text == "Infinity" => Some(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    read.ok_or_else(|| ReportError::new(format!("{what} `{name}` must be a number, not {value}")))
}

/// Puts `NaN`, `Infinity` and `-Infinity` into quotes where they stand outside of strings, so that they can be told by name.
fn quote_what_json_lacks(message: &str) -> String {
    let mut quoted = String::with_capacity(message.len());
    let mut rest = message;
    let mut in_string = false;
    while let Some(next) = rest.chars().next() {
        if !in_string && let Some(word) = NOT_IN_JSON.iter().find(|word| rest.starts_with(**word)) {
            quoted.push('"');
            quoted.push_str(word);
            quoted.push('"');
            rest = rest.strip_prefix(word).unwrap_or_default();
            continue;
        }
        // A backslash takes the next character with it, which may be a quotation mark.
        let taken = if in_string && next == '\\' {
            rest.chars().take(2).map(char::len_utf8).sum()
        } else {
            next.len_utf8()
        };
        let (head, tail) = rest.split_at(taken);
        quoted.push_str(head);
        rest = tail;
        in_string ^= next == '"';
    }
    quoted
}
