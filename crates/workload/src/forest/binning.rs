//! Cuts features into few bins, so that a node looks at counts per bin instead of at sorted rows.

/// Bins of all features.
#[derive(Clone, Debug)]
pub struct Bins {
    /// Per feature the cuts, ascending: bin `k` holds values `v` with `cuts[k - 1] <= v < cuts[k]`.
    pub cuts: Vec<Vec<f64>>,
    /// Per feature the bin of each row.
    pub of_row: Vec<Vec<u8>>,
}

impl Bins {
    /// Cuts each feature at quantiles of its values into at most `max_bins` bins (2 to 256). NaN lies in bin 0.
    #[must_use]
    pub fn of(features: &[Vec<f64>], max_bins: usize) -> Self {
        let max_bins = max_bins.clamp(2, 256);
        let cuts: Vec<Vec<f64>> = features
            .iter()
            .map(|values| cuts(values, max_bins))
            .collect();
        let of_row = features
            .iter()
            .zip(&cuts)
            .map(|(values, cuts)| values.iter().map(|v| bin(cuts, *v)).collect())
            .collect();
        Self { cuts, of_row }
    }
}

/// Number of cuts at or below the value.
fn bin(cuts: &[f64], value: f64) -> u8 {
    u8::try_from(cuts.partition_point(|cut| *cut <= value)).unwrap_or(u8::MAX)
}

/// Cuts halfway between neighbouring distinct values, spread so that bins hold about equally many rows.
fn cuts(values: &[f64], max_bins: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let mut cuts = Vec::new();
    let rows = sorted.len();
    let mut distinct = sorted.clone();
    distinct.dedup();
    if distinct.len() <= max_bins {
        return distinct.windows(2).filter_map(halfway).collect();
    }
    for number in 1..max_bins {
        let place = number * rows / max_bins;
        let (Some(below), Some(at)) = (sorted.get(place.saturating_sub(1)), sorted.get(place))
        else {
            continue;
        };
        // Inside a run of equal values the cut goes to the end of the run.
        let cut = if below < at {
            halfway(&[*below, *at])
        } else {
            let next = sorted.partition_point(|v| v <= at);
            sorted.get(next).and_then(|above| halfway(&[*at, *above]))
        };
        if let Some(cut) = cut.filter(|cut| cuts.last().is_none_or(|last| last < cut)) {
            cuts.push(cut);
        }
    }
    cuts
}

fn halfway(pair: &[f64]) -> Option<f64> {
    let [low, high] = pair else {
        return None;
    };
    let middle = low / 2.0 + high / 2.0;
    // Between neighbouring numbers there may be no other.
    Some(if middle > *low { middle } else { *high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_get_a_bin_each() {
        let bins = Bins::of(&[vec![3.0, 1.0, 1.0, 2.0, f64::NAN]], 32);
        assert_eq!(bins.cuts, [vec![1.5, 2.5]]);
        assert_eq!(bins.of_row, [vec![2, 0, 0, 1, 0]]);
    }

    #[test]
    fn many_values_are_spread_evenly() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let bins = Bins::of(&[values], 10);
        assert_eq!(bins.cuts[0].len(), 9);
        let counts = bins.of_row[0].iter().fold([0; 10], |mut counts, bin| {
            counts[usize::from(*bin)] += 1;
            counts
        });
        assert!(counts.iter().all(|c| *c == 100), "{counts:?}");
    }

    #[test]
    fn a_run_of_equal_values_stays_in_one_bin() {
        let mut values = vec![0.0; 900];
        values.extend((1..=100).map(f64::from));
        let bins = Bins::of(&[values], 4);
        assert_eq!(bins.cuts[0], [0.5]);
    }
}
