//! How many rows a weighted class really holds.

use super::rows::Rows;
use super::statistics::Class;

/// Kish's effective numbers of both classes, `(sum w)^2 / sum w^2`; of clusters' weights when that is smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effective {
    pub(super) positives: f64,
    pub(super) negatives: f64,
}

impl Effective {
    pub(super) fn of(rows: &Rows<'_>, slice: Option<usize>) -> Self {
        Self {
            positives: of_class(rows, slice, 1),
            negatives: of_class(rows, slice, 0),
        }
    }

    pub(super) fn of_class(self, class: Class) -> f64 {
        match class {
            Class::Positive => self.positives,
            Class::Negative => self.negatives,
        }
    }

    /// Degrees of freedom of the interval: the smaller number less one.
    pub(super) fn degrees_of_freedom(self) -> f64 {
        self.positives.min(self.negatives) - 1.0
    }
}

fn of_class(rows: &Rows<'_>, slice: Option<usize>, label: u8) -> f64 {
    let members = || {
        (0..rows.labels.len()).filter(|&row| rows.labels[row] == label && rows.contains(slice, row))
    };
    // A row that stands for copies is as many rows, each of weight 1.
    let of_rows = kish(members().flat_map(|row| {
        let copies = rows.units_of(row).len();
        std::iter::repeat_n(rows.weights[row] / copies as f64, copies)
    }));
    if rows.clusters.is_none() {
        return of_rows;
    }
    let mut sums = vec![0.0; rows.unit_keys.len()];
    for row in members() {
        sums[rows.units[row] as usize] += rows.weights[row];
    }
    of_rows.min(kish(sums.into_iter()))
}

fn kish(weights: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = weights.clone().fold(0.0, f64::max);
    if largest <= 0.0 {
        return 0.0;
    }
    let (sum, squares) = weights
        .map(|weight| weight / largest)
        .fold((0.0, 0.0), |(sum, squares), weight| {
            (sum + weight, squares + weight * weight)
        });
    sum * sum / squares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kish_counts_equal_weights_and_discounts_unequal_ones() {
        assert!((kish([3.0; 7].into_iter()) - 7.0).abs() < 1e-12);
        assert_eq!(kish([1.0, 0.0, 0.0].into_iter()), 1.0);
        assert_eq!(kish([0.0].into_iter()), 0.0);
        assert!((kish([3.0, 1.0].into_iter()) - 1.6).abs() < 1e-12);
        assert_eq!(kish([1e300, 1e300].into_iter()), 2.0);
    }
}
