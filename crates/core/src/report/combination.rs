//! Parts of metrics combined by weight.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CombinedMetric, LARGEST_NUMBER, LONGEST_METRIC_NAME, MOST_METRICS, MOST_PARTS, Report,
    ReportError,
};

/// Words between a metric's name and the number of its part.
const KINDS_OF_PARTS: [&str; 2] = ["_fold_", "_shard_"];

/// One metric before its parts are combined.
#[derive(Default)]
struct Gathered {
    whole: Option<Measured>,
    parts: Vec<Measured>,
}

/// A value with the weight reported for it.
#[derive(Clone, Copy)]
struct Measured {
    value: f64,
    weight: Option<f64>,
}

pub(super) fn combine(report: &Report) -> Result<Vec<CombinedMetric>, ReportError> {
    let mut weights = Weights {
        report,
        used: BTreeSet::new(),
    };
    let mut gathered: BTreeMap<&str, Gathered> = BTreeMap::new();
    for (name, values) in &report.metrics {
        if name.is_empty() {
            return Err(ReportError::new("each metric must have a name"));
        }
        let (metric, part) = split(name);
        let measured = weights.of(name, part, values)?;
        let entry = gathered.entry(metric).or_default();
        match (part, measured.as_slice()) {
            (None, [whole]) => entry.whole = Some(*whole),
            _ => entry.parts.extend(measured),
        }
    }
    weights.check_all_used()?;
    let combined = gathered
        .into_iter()
        .map(|(name, gathered)| gathered.combine(name));
    let combined: Vec<CombinedMetric> = combined.collect::<Result<_, _>>()?;
    match beyond_the_record(&combined) {
        Some(refusal) => Err(refusal),
        None => Ok(combined),
    }
}

/// What the record of a trial has no place for.
fn beyond_the_record(metrics: &[CombinedMetric]) -> Option<ReportError> {
    if metrics.len() > MOST_METRICS {
        return Some(ReportError::new(format!(
            "a trial must report at most {MOST_METRICS} metrics, not {}",
            metrics.len()
        )));
    }
    metrics.iter().find_map(|metric| {
        let CombinedMetric {
            name,
            value,
            weight,
            parts,
        } = metric;
        let characters = name.chars().count();
        let refusal = if characters > LONGEST_METRIC_NAME {
            let start: String = name.chars().take(20).collect();
            format!("the metric `{start}…` must have a name of at most {LONGEST_METRIC_NAME} characters, not {characters}")
        } else if value.abs() > LARGEST_NUMBER {
            format!("the metric `{name}` must lie between -{LARGEST_NUMBER:e} and {LARGEST_NUMBER:e}, not be {value:e}")
        } else if *weight > LARGEST_NUMBER {
            format!("the weights of the metric `{name}` must come to at most {LARGEST_NUMBER:e}, not {weight:e}")
        } else if *parts > MOST_PARTS {
            format!("the metric `{name}` must have at most {MOST_PARTS} parts, not {parts}")
        } else {
            return None;
        };
        Some(ReportError::new(refusal))
    })
}

/// The metric that a name belongs to, and the part that it is.
fn split(name: &str) -> (&str, Option<&str>) {
    for kind in KINDS_OF_PARTS {
        if let Some((metric, number)) = name.rsplit_once(kind)
            && !metric.is_empty()
            && !number.is_empty()
            && number.bytes().all(|digit| digit.is_ascii_digit())
        {
            return (metric, name.get(metric.len() + 1..));
        }
    }
    (name, None)
}

struct Weights<'a> {
    report: &'a Report,
    used: BTreeSet<&'a str>,
}

impl<'a> Weights<'a> {
    /// The values of a metric or part, each with its weight.
    fn of(
        &mut self,
        name: &'a str,
        part: Option<&'a str>,
        values: &[f64],
    ) -> Result<Vec<Measured>, ReportError> {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(ReportError::new(format!(
                "the metric `{name}` must be a finite number, not {value}"
            )));
        }
        let own = self.report.weights.get(name).map(|weights| (name, weights));
        let shared =
            part.and_then(|part| self.report.weights.get(part).map(|weights| (part, weights)));
        if let Some((shared, _)) = shared {
            self.used.insert(shared);
        }
        let Some((found, weights)) = own.or(shared) else {
            return Ok(values
                .iter()
                .map(|&value| Measured {
                    value,
                    weight: None,
                })
                .collect());
        };
        self.used.insert(found);
        if let Some(weight) = weights
            .iter()
            .find(|weight| !weight.is_finite() || **weight < 0.0)
        {
            return Err(ReportError::new(format!(
                "the weight `{found}` must be a finite number, at least 0, not {weight}"
            )));
        }
        if weights.len() != values.len() {
            return Err(ReportError::new(format!(
                "the metric `{name}` must have as many weights as values; it has {} and {}",
                weights.len(),
                values.len()
            )));
        }
        Ok(values
            .iter()
            .zip(weights)
            .map(|(&value, &weight)| Measured {
                value,
                weight: Some(weight),
            })
            .collect())
    }

    /// A weight that belongs to no metric is a slip of the pen that would change results unnoticed.
    fn check_all_used(&self) -> Result<(), ReportError> {
        match self
            .report
            .weights
            .keys()
            .find(|name| !self.used.contains(name.as_str()))
        {
            Some(name) => Err(ReportError::new(format!(
                "the weight `{name}` must have the name of a metric or of a part"
            ))),
            None => Ok(()),
        }
    }
}

impl Gathered {
    fn combine(self, name: &str) -> Result<CombinedMetric, ReportError> {
        let measured = if self.parts.is_empty() {
            self.whole.as_slice()
        } else {
            &self.parts
        };
        let (mean, total) = weighted_mean(name, measured)?;
        let (value, weight) = match self.whole {
            Some(whole) => (whole.value, whole.weight.unwrap_or(total)),
            None => (mean, total),
        };
        if weight <= 0.0 {
            return Err(ReportError::new(format!(
                "the weights of the metric `{name}` must add up to more than 0"
            )));
        }
        let parts = u32::try_from(measured.len()).unwrap_or(u32::MAX);
        Ok(CombinedMetric {
            name: name.to_owned(),
            value,
            weight,
            parts,
        })
    }
}

/// The mean and the sum of the weights.
fn weighted_mean(name: &str, measured: &[Measured]) -> Result<(f64, f64), ReportError> {
    let with_weight = measured.iter().filter(|part| part.weight.is_some()).count();
    if with_weight != 0 && with_weight != measured.len() {
        return Err(ReportError::new(format!(
            "every part of the metric `{name}` must have a weight, or none; {with_weight} of {} have one",
            measured.len()
        )));
    }
    let total: f64 = measured.iter().map(|part| part.weight.unwrap_or(1.0)).sum();
    if !total.is_finite() || total <= 0.0 {
        return Err(ReportError::new(format!(
            "the weights of the metric `{name}` must add up to a finite number above 0"
        )));
    }
    // Shares before products, so that large weights cannot overflow.
    let mean = measured
        .iter()
        .map(|part| part.value * (part.weight.unwrap_or(1.0) / total))
        .sum();
    Ok((mean, total))
}
