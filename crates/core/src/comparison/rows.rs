//! The rows of a holdout as the comparison counts them: units that are drawn together, and what each row weighs.

use super::holdout::{Holdout, Refusal};
use super::settings::{Method, Settings, WeightRole};
use crate::metrics::{BadRow, Predictions, check_label, check_length, check_score, check_weight};
use crate::random::mix;

/// Sound rows.
pub(super) struct Rows<'a> {
    pub(super) labels: &'a [u8],
    /// As given, or 1; classes are scaled to equal totals when they are balanced.
    pub(super) weights: Vec<f64>,
    pub(super) champion: &'a [f64],
    pub(super) challenger: &'a [f64],
    /// Index of each row's first unit: its cluster, the row itself, or the first of its copies.
    pub(super) units: Vec<u32>,
    /// How many independent copies a row stands for, each a unit of its own; one when absent.
    copies: Option<Vec<u32>>,
    /// The number that names each unit, whatever the order of rows.
    pub(super) unit_keys: Vec<u64>,
    /// Membership of each slice, in the order of names.
    slices: Vec<&'a [bool]>,
    /// Number of clusters, when rows are clustered.
    pub(super) clusters: Option<usize>,
    /// Whether both classes weigh the same in every resample.
    pub(super) balanced: bool,
}

/// Problems that are listed in a refusal; more are counted.
const LISTED: usize = 5;

/// Copies of rows are drawn one by one, so their number is limited.
const MOST_COPIES: f64 = 50e6;

impl<'a> Rows<'a> {
    /// # Errors
    /// Every problem of the columns, rows and settings.
    pub(super) fn check(holdout: &'a Holdout, settings: &Settings) -> Result<Self, Refusal> {
        let mut problems = settings_problems(holdout, settings);
        problems.extend(column_problems(holdout));
        if problems.is_empty() {
            problems = row_problems(holdout, settings.weights);
        }
        if !problems.is_empty() {
            let omitted = problems.len().saturating_sub(LISTED);
            problems.truncate(LISTED);
            return Err(Refusal { problems, omitted });
        }
        Ok(Self::number(holdout, settings.weights))
    }

    fn number(holdout: &'a Holdout, role: WeightRole) -> Self {
        let rows = holdout.labels.len();
        let mut weights = holdout.weights.clone().unwrap_or_else(|| vec![1.0; rows]);
        let units = match &holdout.clusters {
            Some(clusters) => Units::of_clusters(clusters),
            None => {
                let keys = holdout
                    .unit_keys
                    .clone()
                    .unwrap_or_else(|| (0..rows as u64).collect());
                if role == WeightRole::Frequency {
                    Units::of_copies(&keys, &weights)
                } else {
                    Units::of_rows(keys)
                }
            }
        };
        if role == WeightRole::Balanced {
            balance(&holdout.labels, &mut weights);
        }
        Self {
            labels: &holdout.labels,
            weights,
            champion: &holdout.champion,
            challenger: &holdout.challenger,
            units: units.first,
            copies: units.copies,
            clusters: holdout.clusters.is_some().then_some(units.keys.len()),
            unit_keys: units.keys,
            slices: holdout.slices.values().map(Vec::as_slice).collect(),
            balanced: role == WeightRole::Balanced,
        }
    }

    /// Whether the row belongs to the slice; every row belongs to all rows.
    pub(super) fn contains(&self, slice: Option<usize>, row: usize) -> bool {
        slice.is_none_or(|slice| self.slices[slice][row])
    }

    /// The units of a row; each carries an equal part of its weight.
    pub(super) fn units_of(&self, row: usize) -> std::ops::Range<u32> {
        let first = self.units[row];
        let copies = self.copies.as_ref().map_or(1, |copies| copies[row]);
        first..first + copies
    }

    /// Rows of the slice, with the scores of both models, for metrics on all of them.
    pub(super) fn part(&self, slice: Option<usize>) -> Part {
        let mut part = Part::default();
        for row in (0..self.labels.len()).filter(|&row| self.contains(slice, row)) {
            part.labels.push(self.labels[row]);
            part.weights.push(self.weights[row]);
            part.champion.push(self.champion[row]);
            part.challenger.push(self.challenger[row]);
        }
        if self.balanced {
            balance(&part.labels, &mut part.weights);
        }
        part
    }
}

/// The rows of one slice.
#[derive(Default)]
pub(super) struct Part {
    labels: Vec<u8>,
    weights: Vec<f64>,
    champion: Vec<f64>,
    challenger: Vec<f64>,
}

impl Part {
    pub(super) fn champion(&self) -> Predictions<'_> {
        self.predictions(&self.champion)
    }

    pub(super) fn challenger(&self) -> Predictions<'_> {
        self.predictions(&self.challenger)
    }

    fn predictions<'a>(&'a self, scores: &'a [f64]) -> Predictions<'a> {
        Predictions {
            labels: &self.labels,
            scores,
            weights: Some(&self.weights),
        }
    }
}

/// What is drawn as a whole.
struct Units {
    first: Vec<u32>,
    copies: Option<Vec<u32>>,
    keys: Vec<u64>,
}

impl Units {
    fn of_rows(keys: Vec<u64>) -> Self {
        Self {
            first: (0..keys.len() as u32).collect(),
            copies: None,
            keys,
        }
    }

    fn of_clusters(clusters: &[u64]) -> Self {
        let mut keys = clusters.to_vec();
        keys.sort_unstable();
        keys.dedup();
        Self {
            first: clusters
                .iter()
                .map(|cluster| keys.partition_point(|key| key < cluster) as u32)
                .collect(),
            copies: None,
            keys,
        }
    }

    fn of_copies(row_keys: &[u64], frequencies: &[f64]) -> Self {
        let mut units = Self {
            first: Vec::with_capacity(row_keys.len()),
            copies: None,
            keys: Vec::new(),
        };
        let copies: Vec<u32> = frequencies
            .iter()
            .map(|&frequency| frequency as u32)
            .collect();
        for (&key, &copies) in row_keys.iter().zip(&copies) {
            units.first.push(units.keys.len() as u32);
            units
                .keys
                .extend((0..u64::from(copies)).map(|copy| mix(key).wrapping_add(copy)));
        }
        units.copies = Some(copies);
        units
    }
}

/// Scales the weights of each class to a total of 1.
fn balance(labels: &[u8], weights: &mut [f64]) {
    let mut totals = [0.0, 0.0];
    for (&label, &weight) in labels.iter().zip(weights.iter()) {
        totals[usize::from(label == 1)] += weight;
    }
    for (&label, weight) in labels.iter().zip(weights) {
        let total = totals[usize::from(label == 1)];
        if total > 0.0 {
            *weight /= total;
        }
    }
}

fn settings_problems(holdout: &Holdout, settings: &Settings) -> Vec<BadRow> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, message: String| {
        if !holds {
            problems.push(BadRow::of_columns(message));
        }
    };
    let confidence = settings.confidence;
    must(
        confidence > 0.0 && confidence < 1.0,
        format!("`confidence` must lie between 0 and 1; got {confidence}"),
    );
    let improvement = settings.primary.min_improvement;
    must(
        improvement.is_finite() && improvement >= 0.0,
        format!(
            "`primary.minImprovement` must be a finite number of at least 0; got {improvement}"
        ),
    );
    match &settings.method {
        Method::PairedBootstrap => must(
            settings.resamples >= 2,
            format!("`resamples` must be at least 2; got {}", settings.resamples),
        ),
        Method::SeparateIntervals(separate) => {
            must(
                separate.resamples >= 2,
                format!(
                    "`separateIntervals.resamples` must be at least 2; got {}",
                    separate.resamples
                ),
            );
            must(
                separate.fraction > 0.0 && separate.fraction <= 1.0,
                format!(
                    "`separateIntervals.fraction` must be above 0 and at most 1; got {}",
                    separate.fraction
                ),
            );
        }
    }
    for (index, guardrail) in settings.guardrails.iter().enumerate() {
        let regression = guardrail.max_regression;
        must(
            regression.is_finite() && regression > 0.0,
            format!(
                "`guardrails[{index}].maxRegression` must be a finite number above 0; got {regression}"
            ),
        );
        if let Some(slice) = &guardrail.slice {
            must(
                holdout.slices.contains_key(slice),
                format!("`guardrails[{index}].slice` must be the name of a slice; got `{slice}`"),
            );
        }
    }
    problems
}

fn column_problems(holdout: &Holdout) -> Vec<BadRow> {
    let rows = holdout.labels.len();
    let mut lengths = vec![
        ("champion", holdout.champion.len()),
        ("challenger", holdout.challenger.len()),
    ];
    let optional = [
        ("weight", holdout.weights.as_ref().map(Vec::len)),
        ("cluster", holdout.clusters.as_ref().map(Vec::len)),
        ("id", holdout.unit_keys.as_ref().map(Vec::len)),
    ];
    lengths.extend(
        optional
            .iter()
            .filter_map(|(name, length)| length.map(|length| (*name, length))),
    );
    lengths.extend(
        holdout
            .slices
            .iter()
            .map(|(name, rows)| (name.as_str(), rows.len())),
    );
    lengths
        .into_iter()
        .filter_map(|(name, length)| check_length(name, length, rows).err())
        .collect()
}

fn row_problems(holdout: &Holdout, role: WeightRole) -> Vec<BadRow> {
    let mut problems = Vec::new();
    let mut constants: [Option<f64>; 2] = [None, None];
    let mut copies = 0.0;
    for (row, &label) in holdout.labels.iter().enumerate() {
        let weight = holdout.weights.as_ref().map_or(1.0, |weights| weights[row]);
        copies += weight;
        let checks = [
            check_label(label),
            check_score("champion score", holdout.champion[row]),
            check_score("challenger score", holdout.challenger[row]),
            check_weight(weight),
            check_role(role, weight, label, &mut constants),
        ];
        problems.extend(
            checks
                .into_iter()
                .filter_map(Result::err)
                .map(|message| BadRow::at(row, message)),
        );
    }
    if role == WeightRole::Frequency && problems.is_empty() && copies > MOST_COPIES {
        problems.push(BadRow::of_columns(format!(
            "weights that are frequencies must add up to at most {MOST_COPIES}; got {copies}. Weights that are no counts of rows have the role Importance"
        )));
    }
    problems
}

fn check_role(
    role: WeightRole,
    weight: f64,
    label: u8,
    constants: &mut [Option<f64>; 2],
) -> Result<(), String> {
    match role {
        WeightRole::Importance | WeightRole::Balanced => Ok(()),
        WeightRole::Frequency if weight.fract() == 0.0 => Ok(()),
        WeightRole::Frequency => Err(format!(
            "`weight` must be a whole number, since weights are frequencies; got {weight}"
        )),
        WeightRole::Class => {
            let constant = *constants[usize::from(label == 1)].get_or_insert(weight);
            if constant == weight {
                Ok(())
            } else {
                Err(format!(
                    "`weight` must be the same in all rows of a class, since weights belong to classes; got {weight} after {constant} with label {label}"
                ))
            }
        }
    }
}
