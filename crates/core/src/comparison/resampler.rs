//! Metrics of both models in every resample.

use std::ops::Range;

use rayon::prelude::*;

use super::counts::{Counts, Draw, LANES};
use super::lanes::{Entry, LaneSums, Loss, PerClass, Ranking};
use super::rows::Rows;
use crate::metrics::{
    DecisionRule, Metric, is_probability, log_loss_of, scale_to_one, squared_error_of,
};

/// A metric on all rows or on one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) metric: Metric,
    /// Index of the slice; all rows when absent.
    pub(super) slice: Option<usize>,
}

/// Values of one measure per resample; NaN where it is undefined.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) champion: Vec<f64>,
    pub(super) challenger: Vec<f64>,
}

impl Values {
    /// Challenger minus champion per resample, without resamples in which either is undefined.
    pub(super) fn differences(&self) -> Vec<f64> {
        self.challenger
            .iter()
            .zip(&self.champion)
            .map(|(challenger, champion)| challenger - champion)
            .filter(|difference| !difference.is_nan())
            .collect()
    }

    fn extend(&mut self, other: Self) {
        self.champion.extend(other.champion);
        self.challenger.extend(other.challenger);
    }
}

/// What a range of resamples yields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Resamples {
    /// One element per measure.
    pub(super) values: Vec<Values>,
    /// Number of resamples in which a class has no weight among all rows.
    pub(super) empty: u32,
}

impl Resamples {
    /// Appends later resamples of the same measures.
    pub(super) fn extend(&mut self, later: Self) {
        self.empty += later.empty;
        self.values.resize_with(later.values.len(), Values::default);
        for (values, later) in self.values.iter_mut().zip(later.values) {
            values.extend(later);
        }
    }
}

/// Rankings of both models, ready to be summed under any counts.
pub(super) struct Resampler {
    measures: Vec<Measure>,
    /// All rows first, then each slice that a measure uses, with the champion's and the challenger's ranking.
    scopes: Vec<(Option<usize>, [Ranking; 2])>,
    rule: DecisionRule,
    units: usize,
}

/// Counts of a block are kept while they fit this much memory, else they are drawn again for each ranking: the same bits either way.
const KEPT_BYTES: usize = 64 << 20;

impl Resampler {
    /// Ranks `rows` for `measures`.
    pub(super) fn new(rows: &Rows<'_>, measures: Vec<Measure>, rule: DecisionRule) -> Self {
        let mut slices: Vec<Option<usize>> = measures.iter().map(|measure| measure.slice).collect();
        slices.push(None);
        slices.sort_unstable();
        slices.dedup();
        let scopes = slices
            .into_par_iter()
            .map(|slice| {
                let wanted: Vec<Metric> = measures
                    .iter()
                    .filter(|measure| measure.slice == slice)
                    .map(|measure| measure.metric)
                    .collect();
                let rank = |scores: &[f64]| rank_rows(rows, slice, scores, &wanted, &rule);
                (slice, [rank(rows.champion), rank(rows.challenger)])
            })
            .collect();
        Self {
            measures,
            scopes,
            rule,
            units: rows.unit_keys.len(),
        }
    }

    /// Values of all measures in the given resamples. Blocks of resamples are computed on any number of threads; each block is
    /// summed in one order, so the bits do not depend on the threads.
    pub(super) fn run(&self, draw: &impl Draw, resamples: Range<usize>) -> Resamples {
        let blocks = resamples.start / LANES..resamples.end.div_ceil(LANES);
        let parts: Vec<Resamples> = blocks
            .into_par_iter()
            .map(|block| {
                let first = block * LANES;
                let lanes =
                    resamples.start.saturating_sub(first)..(resamples.end - first).min(LANES);
                self.run_block(draw, block, lanes)
            })
            .collect();
        let mut all = Resamples::default();
        for part in parts {
            all.extend(part);
        }
        all
    }

    fn run_block(&self, draw: &impl Draw, block: usize, lanes: Range<usize>) -> Resamples {
        let kept: Option<Vec<Counts>> = (self.units * LANES <= KEPT_BYTES).then(|| {
            (0..self.units)
                .map(|unit| draw.counts(unit, block))
                .collect()
        });
        let sweep = |ranking: &Ranking| match &kept {
            Some(kept) => ranking.sweep(&|unit| kept[unit]),
            None => ranking.sweep(&|unit| draw.counts(unit, block)),
        };
        let sums: Vec<[LaneSums; 2]> = self
            .scopes
            .iter()
            .map(|(_, rankings)| [sweep(&rankings[0]), sweep(&rankings[1])])
            .collect();
        let values = self
            .measures
            .iter()
            .map(|measure| self.values_of(measure, &sums, lanes.clone()))
            .collect();
        let empty = lanes.filter(|&lane| sums[0][0].lacks_a_class(lane)).count();
        Resamples {
            values,
            empty: empty as u32,
        }
    }

    fn values_of(&self, measure: &Measure, sums: &[[LaneSums; 2]], lanes: Range<usize>) -> Values {
        let scope = self
            .scopes
            .iter()
            .position(|(slice, _)| *slice == measure.slice)
            .unwrap_or(0);
        let of_model = |model: usize| {
            let ranking = &self.scopes[scope].1[model];
            lanes
                .clone()
                .map(|lane| {
                    ranking
                        .value(&sums[scope][model], lane, measure.metric, &self.rule)
                        .defined()
                        .unwrap_or(f64::NAN)
                })
                .collect()
        };
        Values {
            champion: of_model(0),
            challenger: of_model(1),
        }
    }
}

/// The rows of a slice in the order of falling scores; the order of rows in the file has no influence.
fn rank_rows(
    rows: &Rows<'_>,
    slice: Option<usize>,
    scores: &[f64],
    wanted: &[Metric],
    rule: &DecisionRule,
) -> Ranking {
    let mut order: Vec<u32> = (0..rows.labels.len())
        .filter(|&row| rows.weights[row] > 0.0 && rows.contains(slice, row))
        .map(|row| row as u32)
        .collect();
    // Adding 0 turns -0 into 0, so that both are one score.
    let score = |row: u32| scores[row as usize] + 0.0;
    let key = |row: u32| {
        let row = row as usize;
        (rows.labels[row], rows.unit_keys[rows.units[row] as usize])
    };
    order.sort_unstable_by(|&left, &right| {
        score(right)
            .total_cmp(&score(left))
            .then_with(|| key(left).cmp(&key(right)))
            .then_with(|| rows.weights[left as usize].total_cmp(&rows.weights[right as usize]))
    });
    let scaled = ScaledWeights::of(rows, &order);
    let has_losses = wanted
        .iter()
        .any(|metric| matches!(metric, Metric::LogLoss | Metric::Brier))
        && (0..scores.len())
            .filter(|&row| rows.contains(slice, row))
            .all(|row| is_probability(scores[row]));
    let has_curve = wanted.iter().any(|metric| {
        matches!(
            metric,
            Metric::AveragePrecision | Metric::AreaUnderPr | Metric::Ks
        )
    });
    let mut ranking = Ranking {
        scale: scaled.scale,
        balanced: rows.balanced,
        ..Ranking::default()
    };
    let mut start = 0;
    while start < order.len() {
        let tied = order[start..]
            .iter()
            .take_while(|&&row| score(row) == score(order[start]))
            .count();
        let group = &order[start..start + tied];
        let (negatives, positives) =
            group.split_at(group.partition_point(|&row| rows.labels[row as usize] == 0));
        let halved = !positives.is_empty();
        let mut push = |row: u32, factor: f32| {
            let row = row as usize;
            let label = rows.labels[row];
            let units = rows.units_of(row);
            let weight = scaled.weights[row] * factor / units.len() as f32;
            for unit in units {
                ranking.entries.push(Entry {
                    unit,
                    positive: if label == 1 { weight } else { 0.0 },
                    negative: if label == 1 { 0.0 } else { weight },
                });
                if has_losses {
                    ranking.losses.push(Loss {
                        log: log_loss_of(label, scores[row]),
                        squared: squared_error_of(label, scores[row]),
                    });
                }
            }
        };
        let half = if halved { 0.5 } else { 1.0 };
        negatives.iter().for_each(|&row| push(row, half));
        positives.iter().for_each(|&row| push(row, 1.0));
        if halved {
            negatives.iter().for_each(|&row| push(row, half));
        }
        if rule.is_positive(score(order[start])) {
            ranking.predicted_positive = ranking.entries.len();
        }
        if has_curve {
            ranking.group_ends.push(ranking.entries.len());
        }
        start += tied;
    }
    ranking
}

/// Weights whose largest is near 1 within each class, so that sums in 32 bits neither overflow nor vanish.
struct ScaledWeights {
    /// By row.
    weights: Vec<f32>,
    scale: PerClass,
}

impl ScaledWeights {
    fn of(rows: &Rows<'_>, order: &[u32]) -> Self {
        // The whole column is scaled first: weights near the largest number stay finite when the scales are undone.
        let relative = scale_to_one(&rows.weights);
        let largest = |class: u8| {
            order
                .iter()
                .filter(|&&row| rows.labels[row as usize] == class)
                .map(|&row| relative[row as usize])
                .fold(0.0, f64::max)
        };
        let scale = PerClass {
            positive: largest(1),
            negative: largest(0),
        };
        let weights = relative
            .iter()
            .zip(rows.labels)
            .map(|(&weight, &label)| {
                let of_class = if label == 1 {
                    scale.positive
                } else {
                    scale.negative
                };
                (weight / of_class) as f32
            })
            .collect();
        Self { weights, scale }
    }
}
