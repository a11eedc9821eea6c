//! Weighted sums of one model's ranked rows in 64 resamples at once.

use super::counts::{Counts, LANES};
use crate::metrics::{Confusion, DecisionRule, Metric, UndefinedReason, Value};

/// One row of a model's ranking, highest score first. The negatives of a tie with positives appear twice at half their weight,
/// before and after the positives, which gives half credit without a branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Index of the unit whose counts the row shares.
    pub(super) unit: u32,
    /// Weight of a positive row, scaled within its class; 0 for a negative.
    pub(super) positive: f32,
    /// Weight of a negative row, scaled within its class; 0 for a positive.
    pub(super) negative: f32,
}

/// Losses of one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) log: f64,
    pub(super) squared: f64,
}

/// One model's ranking of the rows of one slice.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranking {
    pub(super) entries: Vec<Entry>,
    /// Number of entries that are predicted positive.
    pub(super) predicted_positive: usize,
    /// Index after the last entry of each distinct score; empty when no metric of the curve is asked for.
    pub(super) group_ends: Vec<usize>,
    /// Losses of each entry; empty when none is asked for.
    pub(super) losses: Vec<Loss>,
    /// Factors that undo the scaling of both classes' weights.
    pub(super) scale: PerClass,
    /// Whether both classes weigh the same in every resample.
    pub(super) balanced: bool,
}

/// A number for positives and one for negatives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PerClass {
    pub(super) positive: f64,
    pub(super) negative: f64,
}

type Sums = [f64; LANES];

/// What one pass over a ranking yields per resample.
pub(super) struct LaneSums {
    positive_above: Sums,
    positive_below: Sums,
    negative_above: Sums,
    negative_below: Sums,
    concordant: Sums,
    curve: Option<CurveSums>,
    losses: Option<LossSums>,
}

struct CurveSums {
    step_area: Sums,
    trapezoid_area: Sums,
    largest_gap: Sums,
}

struct LossSums {
    log: [Sums; 2],
    squared: [Sums; 2],
}

/// Entries whose sums are kept in 32 bits before they are added to the totals in 64.
const BATCH: usize = 256;

/// Lanes whose sums stay in registers while a batch is read.
const WIDTH: usize = 16;

impl Ranking {
    /// Sums over all entries; `counts_of` gives a unit's counts.
    pub(super) fn sweep(&self, counts_of: &impl Fn(usize) -> Counts) -> LaneSums {
        let (above, below) = self.entries.split_at(self.predicted_positive);
        let mut totals = Totals::default();
        totals.add_entries(above, counts_of);
        let (positive_above, negative_above) = (totals.positive, totals.negative);
        totals.add_entries(below, counts_of);
        let mut sums = LaneSums {
            positive_below: difference(&totals.positive, &positive_above),
            negative_below: difference(&totals.negative, &negative_above),
            positive_above,
            negative_above,
            concordant: totals.concordant,
            curve: None,
            losses: None,
        };
        if !self.group_ends.is_empty() {
            sums.curve = Some(self.sweep_curve(&totals, counts_of));
        }
        if !self.losses.is_empty() {
            sums.losses = Some(self.sweep_losses(counts_of));
        }
        sums
    }

    fn sweep_curve(&self, totals: &Totals, counts_of: &impl Fn(usize) -> Counts) -> CurveSums {
        let mut curve = CurveSums {
            step_area: [0.0; LANES],
            trapezoid_area: [0.0; LANES],
            largest_gap: [0.0; LANES],
        };
        let mut above = [PerClass::default(); LANES];
        let mut precision_before = [0.0; LANES];
        let mut start = 0;
        for &end in &self.group_ends {
            let mut group = [PerClass::default(); LANES];
            for entry in &self.entries[start..end] {
                let counts = counts_of(entry.unit as usize);
                for (sums, count) in group.iter_mut().zip(counts) {
                    sums.positive += f64::from(entry.positive) * f64::from(count);
                    sums.negative += f64::from(entry.negative) * f64::from(count);
                }
            }
            start = end;
            for lane in 0..LANES {
                let factor = self.class_factors(totals.positive[lane], totals.negative[lane]);
                let was_empty = above[lane] == PerClass::default();
                above[lane].positive += group[lane].positive;
                above[lane].negative += group[lane].negative;
                let (positive, negative) = (
                    above[lane].positive * factor.positive,
                    above[lane].negative * factor.negative,
                );
                if positive + negative <= 0.0 {
                    continue;
                }
                let precision = positive / (positive + negative);
                let before = if was_empty {
                    precision
                } else {
                    precision_before[lane]
                };
                curve.step_area[lane] += group[lane].positive * precision;
                curve.trapezoid_area[lane] += group[lane].positive * 0.5 * (precision + before);
                precision_before[lane] = precision;
                let gap = (above[lane].positive / totals.positive[lane]
                    - above[lane].negative / totals.negative[lane])
                    .abs();
                curve.largest_gap[lane] = curve.largest_gap[lane].max(gap);
            }
        }
        curve
    }

    fn sweep_losses(&self, counts_of: &impl Fn(usize) -> Counts) -> LossSums {
        let mut sums = LossSums {
            log: [[0.0; LANES]; 2],
            squared: [[0.0; LANES]; 2],
        };
        for (entry, loss) in self.entries.iter().zip(&self.losses) {
            let class = usize::from(entry.positive > 0.0);
            let weight = f64::from(entry.positive + entry.negative);
            let (log, squared) = (weight * loss.log, weight * loss.squared);
            let counts = counts_of(entry.unit as usize);
            for (lane, count) in counts.into_iter().enumerate() {
                sums.log[class][lane] += log * f64::from(count);
                sums.squared[class][lane] += squared * f64::from(count);
            }
        }
        sums
    }

    /// What a unit of each class's scaled weight counts, given the classes' scaled totals.
    fn class_factors(&self, positives: f64, negatives: f64) -> PerClass {
        if self.balanced {
            PerClass {
                positive: 1.0 / positives,
                negative: 1.0 / negatives,
            }
        } else {
            self.scale
        }
    }

    /// A metric in one resample.
    pub(super) fn value(
        &self,
        sums: &LaneSums,
        lane: usize,
        metric: Metric,
        rule: &DecisionRule,
    ) -> Value {
        let positives = sums.positive_above[lane] + sums.positive_below[lane];
        let negatives = sums.negative_above[lane] + sums.negative_below[lane];
        let both = |value: f64| match (positives > 0.0, negatives > 0.0) {
            (true, true) => Value::Defined(value),
            (false, _) => Value::Undefined(UndefinedReason::NoPositives),
            (_, false) => Value::Undefined(UndefinedReason::NoNegatives),
        };
        let curve = |value: fn(&CurveSums, usize) -> f64, by: f64| {
            sums.curve
                .as_ref()
                .map_or(Value::Undefined(UndefinedReason::NoWeight), |curve| {
                    both(value(curve, lane) / by)
                })
        };
        let factor = self.class_factors(positives, negatives);
        let mean_loss = |sums_of: fn(&LossSums) -> &[Sums; 2]| {
            let Some(losses) = &sums.losses else {
                return Value::Undefined(UndefinedReason::NotProbabilities);
            };
            let of_class = sums_of(losses);
            let share = |sum: f64, factor: f64| if sum > 0.0 { sum * factor } else { 0.0 };
            Value::ratio(
                share(of_class[1][lane], factor.positive)
                    + share(of_class[0][lane], factor.negative),
                share(positives, factor.positive) + share(negatives, factor.negative),
                UndefinedReason::NoWeight,
            )
        };
        match metric {
            Metric::RocAuc => both(sums.concordant[lane] / positives / negatives),
            Metric::AveragePrecision => curve(|curve, lane| curve.step_area[lane], positives),
            Metric::AreaUnderPr => curve(|curve, lane| curve.trapezoid_area[lane], positives),
            Metric::Ks => curve(|curve, lane| curve.largest_gap[lane], 1.0),
            Metric::LogLoss => mean_loss(|losses| &losses.log),
            Metric::Brier => mean_loss(|losses| &losses.squared),
            Metric::Accuracy
            | Metric::F1
            | Metric::WeightedF1
            | Metric::Precision
            | Metric::Recall
            | Metric::Mcc
            | Metric::Cost => self.confusion(sums, lane).metric(metric, &rule.costs),
        }
    }

    fn confusion(&self, sums: &LaneSums, lane: usize) -> Confusion {
        let confusion = Confusion {
            true_positive: sums.positive_above[lane] * self.scale.positive,
            false_negative: sums.positive_below[lane] * self.scale.positive,
            false_positive: sums.negative_above[lane] * self.scale.negative,
            true_negative: sums.negative_below[lane] * self.scale.negative,
        };
        if self.balanced {
            confusion.balanced()
        } else {
            confusion
        }
    }
}

impl LaneSums {
    /// Whether a class carries no weight in the resample.
    pub(super) fn lacks_a_class(&self, lane: usize) -> bool {
        self.positive_above[lane] + self.positive_below[lane] <= 0.0
            || self.negative_above[lane] + self.negative_below[lane] <= 0.0
    }
}

/// Running sums of a sweep, highest score first.
struct Totals {
    positive: Sums,
    negative: Sums,
    /// Sum over negatives of their weight times the weight of the positives ranked above.
    concordant: Sums,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            positive: [0.0; LANES],
            negative: [0.0; LANES],
            concordant: [0.0; LANES],
        }
    }
}

impl Totals {
    fn add_entries(&mut self, entries: &[Entry], counts_of: &impl Fn(usize) -> Counts) {
        let mut counts = [[0; LANES]; BATCH];
        for batch in entries.chunks(BATCH) {
            for (slot, entry) in counts.iter_mut().zip(batch) {
                *slot = counts_of(entry.unit as usize);
            }
            for first_lane in (0..LANES).step_by(WIDTH) {
                self.add_batch(batch, &counts, first_lane);
            }
        }
    }

    fn add_batch(&mut self, batch: &[Entry], counts: &[Counts; BATCH], first_lane: usize) {
        let mut positive = [0.0_f32; WIDTH];
        let mut negative = [0.0_f32; WIDTH];
        let mut concordant = [0.0_f32; WIDTH];
        for (entry, counts) in batch.iter().zip(counts) {
            let lanes = &counts[first_lane..first_lane + WIDTH];
            for lane in 0..WIDTH {
                let count = f32::from(lanes[lane]);
                let drawn = entry.negative * count;
                positive[lane] += entry.positive * count;
                negative[lane] += drawn;
                concordant[lane] += drawn * positive[lane];
            }
        }
        for lane in 0..WIDTH {
            let total = first_lane + lane;
            let drawn = f64::from(negative[lane]);
            self.concordant[total] += f64::from(concordant[lane]) + drawn * self.positive[total];
            self.positive[total] += f64::from(positive[lane]);
            self.negative[total] += drawn;
        }
    }
}

fn difference(left: &Sums, right: &Sums) -> Sums {
    std::array::from_fn(|lane| left[lane] - right[lane])
}
