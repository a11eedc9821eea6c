//! Metrics of the order of the scores: one sweep over the distinct scores, highest first.

use super::{UndefinedReason, Value};

/// Weight of both classes at one distinct score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RankGroup {
    /// The score.
    pub(crate) score: f64,
    /// Weight of the positive rows with this score.
    pub(crate) positive: f64,
    /// Weight of the negative rows with this score.
    pub(crate) negative: f64,
}

impl RankGroup {
    fn add(&mut self, label: u8, weight: f64) {
        if label == 1 {
            self.positive += weight;
        } else {
            self.negative += weight;
        }
    }
}

/// The distinct scores, highest first, with the weight of each class. Scores are compared as 64-bit numbers, `-0` equals `0`.
/// Rows without weight are left out.
pub(crate) fn rank(labels: &[u8], scores: &[f64], weights: &[f64]) -> Vec<RankGroup> {
    let mut rows: Vec<(f64, u8, f64)> = labels
        .iter()
        .zip(scores)
        .zip(weights)
        .filter(|&(_, &weight)| weight > 0.0)
        .map(|((&label, &score), &weight)| (score + 0.0, label, weight))
        .collect();
    rows.sort_unstable_by(|left, right| {
        right
            .0
            .total_cmp(&left.0)
            .then(left.1.cmp(&right.1))
            .then(left.2.total_cmp(&right.2))
    });
    let mut groups: Vec<RankGroup> = Vec::new();
    for (score, label, weight) in rows {
        match groups.last_mut() {
            Some(group) if group.score == score => group.add(label, weight),
            _ => {
                let mut group = RankGroup {
                    score,
                    ..RankGroup::default()
                };
                group.add(label, weight);
                groups.push(group);
            }
        }
    }
    groups
}

/// What one sweep over the ranked rows yields; areas are not yet divided by the class totals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Curve {
    positives: f64,
    negatives: f64,
    concordant: f64,
    step_area: f64,
    trapezoid_area: f64,
    largest_gap: f64,
}

impl Curve {
    pub(super) fn trace(groups: &[RankGroup]) -> Self {
        let positives: f64 = groups.iter().map(|group| group.positive).sum();
        let negatives: f64 = groups.iter().map(|group| group.negative).sum();
        let mut curve = Self {
            positives,
            negatives,
            ..Self::default()
        };
        let (mut above_positive, mut above_negative) = (0.0, 0.0);
        let mut precision_before = None;
        for group in groups {
            curve.concordant += group.negative * (above_positive + 0.5 * group.positive);
            above_positive += group.positive;
            above_negative += group.negative;
            let precision = above_positive / (above_positive + above_negative);
            curve.step_area += group.positive * precision;
            curve.trapezoid_area +=
                group.positive * 0.5 * (precision + precision_before.unwrap_or(precision));
            precision_before = Some(precision);
            let gap = (above_positive / positives - above_negative / negatives).abs();
            curve.largest_gap = curve.largest_gap.max(gap);
        }
        curve
    }

    pub(super) fn roc_auc(&self) -> Value {
        self.when_both_classes(self.concordant / self.positives / self.negatives)
    }

    pub(super) fn average_precision(&self) -> Value {
        self.when_both_classes(self.step_area / self.positives)
    }

    pub(super) fn area_under_pr(&self) -> Value {
        self.when_both_classes(self.trapezoid_area / self.positives)
    }

    pub(super) fn ks(&self) -> Value {
        self.when_both_classes(self.largest_gap)
    }

    fn when_both_classes(&self, value: f64) -> Value {
        match (self.positives > 0.0, self.negatives > 0.0) {
            (true, true) => Value::Defined(value),
            (true, false) => Value::Undefined(UndefinedReason::NoNegatives),
            (false, true) => Value::Undefined(UndefinedReason::NoPositives),
            (false, false) => Value::Undefined(UndefinedReason::NoWeight),
        }
    }
}
