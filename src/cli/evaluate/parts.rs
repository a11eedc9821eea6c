//! Slices and guardrails as arguments.

use super::numbers;
use podium_core::comparison::Guardrail;
use podium_core::metrics::UnknownMetric;
use podium_workload::evaluate::Slice;
use std::str::FromStr;

/// `NAME=COLUMN=VALUE`.
#[derive(Clone, Debug)]
pub(super) struct SliceArgument(pub(super) Slice);

impl FromStr for SliceArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '=');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(column), Some(equals)) if !name.is_empty() && !column.is_empty() => {
                Ok(Self(Slice {
                    name: name.to_string(),
                    column: column.to_string(),
                    equals: equals.to_string(),
                }))
            }
            _ => Err("must have the form NAME=COLUMN=VALUE".to_string()),
        }
    }
}

/// The address of a report's page.
pub(super) fn page(text: &str) -> Result<String, String> {
    if text.ends_with(".html") {
        Ok(text.to_string())
    } else {
        Err("must end with .html; the document for programs goes beside it, with .json".to_string())
    }
}

/// `METRIC[@SLICE]:MAX_REGRESSION`.
#[derive(Clone, Debug)]
pub(super) struct GuardrailArgument(pub(super) Guardrail);

impl FromStr for GuardrailArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, allowed) = text
            .rsplit_once(':')
            .ok_or("must have the form METRIC:MAX_REGRESSION, such as weightedF1:0.01")?;
        let (metric, slice) = match what.split_once('@') {
            Some((metric, slice)) => (metric, Some(slice.to_string())),
            None => (what, None),
        };
        Ok(Self(Guardrail {
            metric: metric
                .parse()
                .map_err(|error: UnknownMetric| error.to_string())?,
            slice,
            max_regression: numbers::above_zero(allowed)
                .map_err(|error| format!("the allowed regression {error}"))?,
        }))
    }
}
