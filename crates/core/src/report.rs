//! What a trial reports: metrics, perhaps in parts, each with a weight.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why a report cannot be used, in words for the trial's author.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ReportError {
    /// What must hold, naming the metric where there is one.
    pub message: String,
}

/// Metrics and weights as reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Metric or part of a metric to its values; more than one where an array was reported.
    pub metrics: BTreeMap<String, Vec<f64>>,
    /// Weights by the same names.
    pub weights: BTreeMap<String, Vec<f64>>,
}

/// One metric after its parts were combined.
#[derive(Clone, Debug, PartialEq)]
pub struct CombinedMetric {
    /// Name without the part's suffix.
    pub name: String,
    /// Weighted mean of the parts.
    pub value: f64,
    /// Sum of the parts' weights, 1 each where none was reported.
    pub weight: f64,
    /// How many parts there were.
    pub parts: u32,
}

/// Reads a container's termination message.
///
/// # Errors
/// Says what is wrong with the message.
pub fn parse_termination_message(message: &str) -> Result<Report, ReportError> {
    #[derive(serde::Deserialize)]
    struct Written {
        metrics: BTreeMap<String, f64>,
    }
    let written: Written = serde_json::from_str(message).map_err(|error| ReportError {
        message: format!(
            "the termination message must be one JSON object with numbers under `metrics`, such as {{\"metrics\": {{\"auc\": 0.93}}}}: {error}"
        ),
    })?;
    let metrics = written
        .metrics
        .into_iter()
        .map(|(name, value)| (name, vec![value]));
    Ok(Report {
        metrics: metrics.collect(),
        weights: BTreeMap::new(),
    })
}

impl Report {
    /// Combines the parts of each metric by their weights.
    ///
    /// # Errors
    /// Names the metric whose value or weight cannot be used.
    pub fn combine(&self) -> Result<Vec<CombinedMetric>, ReportError> {
        let combined = self.metrics.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| CombinedMetric {
                name: name.clone(),
                value: *value,
                weight: 1.0,
                parts: 1,
            })
        });
        Ok(combined.collect())
    }
}
