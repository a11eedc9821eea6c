//! The difference of ROC AUC and its standard error by weighted DeLong influences, without resampling.

use super::rows::Rows;
use super::statistics::{CrossCheck, Interval};
use crate::metrics::{RankGroup, rank};
use crate::normal::{position_above, share_above};

/// DeLong's comparison on all rows; absent when a class has fewer than two weighted rows (or clusters are fewer than two).
///
/// A positive has the influence `w (P0(s) - AUC) / W1`, with `P0` the weighted share of negatives below and half of those tied;
/// a negative likewise. The variance is the sum of squared differences of influences, times `n / (n - 1)` of the class; with
/// clusters their sums are squared.
pub(super) fn delong(rows: &Rows<'_>, alpha: f64) -> Option<CrossCheck> {
    let champion = Influences::of(rows, rows.champion)?;
    let challenger = Influences::of(rows, rows.challenger)?;
    let difference = challenger.roc_auc - champion.roc_auc;
    let influences: Vec<f64> = challenger
        .by_row
        .iter()
        .zip(&champion.by_row)
        .map(|(new, old)| new - old)
        .collect();
    let variance = match rows.clusters {
        Some(clusters) => {
            let mut sums = vec![0.0; clusters];
            for (&unit, influence) in rows.units.iter().zip(&influences) {
                sums[unit as usize] += influence;
            }
            corrected_squares(sums.into_iter())?
        }
        None => {
            let of_class = |label: u8| {
                let members = (0..influences.len())
                    .filter(move |&row| rows.labels[row] == label && rows.weights[row] > 0.0);
                // Each copy of a row is a row of its own.
                corrected_squares(members.flat_map(|row| {
                    let copies = rows.units_of(row).len();
                    std::iter::repeat_n(influences[row] / copies as f64, copies)
                }))
            };
            of_class(1)? + of_class(0)?
        }
    };
    let standard_error = variance.sqrt();
    let z = if standard_error > 0.0 {
        difference / standard_error
    } else {
        0.0
    };
    Some(CrossCheck {
        difference,
        standard_error,
        z,
        p_value: 2.0 * share_above(z.abs()),
        interval: Interval::about(difference, position_above(alpha) * standard_error),
    })
}

fn corrected_squares(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (number, squares) = values.fold((0.0, 0.0), |(number, squares), value| {
        (number + 1.0, squares + value * value)
    });
    (number >= 2.0).then(|| squares * number / (number - 1.0))
}

struct Influences {
    roc_auc: f64,
    by_row: Vec<f64>,
}

impl Influences {
    fn of(rows: &Rows<'_>, scores: &[f64]) -> Option<Self> {
        let groups = rank(rows.labels, scores, &rows.weights);
        let positives: f64 = groups.iter().map(|group| group.positive).sum();
        let negatives: f64 = groups.iter().map(|group| group.negative).sum();
        if positives <= 0.0 || negatives <= 0.0 {
            return None;
        }
        let ranks = Ranks::of(&groups, positives, negatives);
        let roc_auc = groups
            .iter()
            .zip(&ranks.0)
            .map(|(group, rank)| group.positive / positives * rank.negatives_below)
            .sum();
        let by_row = (0..rows.labels.len())
            .map(|row| {
                if rows.weights[row] <= 0.0 {
                    return 0.0;
                }
                let group = groups.partition_point(|group| group.score > scores[row] + 0.0);
                let rank = ranks.0[group];
                if rows.labels[row] == 1 {
                    rows.weights[row] / positives * (rank.negatives_below - roc_auc)
                } else {
                    rows.weights[row] / negatives * (rank.positives_above - roc_auc)
                }
            })
            .collect();
        Some(Self { roc_auc, by_row })
    }
}

/// Where each distinct score stands among the other class, ties counting half.
struct Ranks(Vec<Rank>);

#[derive(Clone, Copy)]
struct Rank {
    negatives_below: f64,
    positives_above: f64,
}

impl Ranks {
    fn of(groups: &[RankGroup], positives: f64, negatives: f64) -> Self {
        let (mut positives_above, mut negatives_above) = (0.0, 0.0);
        Self(
            groups
                .iter()
                .map(|group| {
                    let rank = Rank {
                        negatives_below: 1.0 - (negatives_above + 0.5 * group.negative) / negatives,
                        positives_above: (positives_above + 0.5 * group.positive) / positives,
                    };
                    positives_above += group.positive;
                    negatives_above += group.negative;
                    rank
                })
                .collect(),
        )
    }
}
