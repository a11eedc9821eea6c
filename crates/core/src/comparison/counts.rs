//! How often each unit is in each resample. A count is a pure function of (key, unit, resample), so both models, all metrics, all
//! slices and any number of threads see the same draw.

use crate::random::mix;

/// Resamples that are drawn and accumulated together.
pub(super) const LANES: usize = 64;

/// The counts of one unit in the resamples of one block.
pub(super) type Counts = [u8; LANES];

/// Gives every unit its counts.
pub(super) trait Draw: Sync {
    /// Counts of the unit at `unit` in the resamples `block * LANES..(block + 1) * LANES`.
    fn counts(&self, unit: usize, block: usize) -> Counts;
}

/// Independent Poisson counts, from 16 random bits each by the inverse distribution function.
///
/// With a mean of 1 the rounded distribution has a mean of exactly 1, variance 0.99997 and a maximum of 8.
pub(super) struct Poisson<'a> {
    key: u64,
    unit_keys: &'a [u64],
    /// A draw above `bounds[k]` has a count above `k`.
    bounds: [u16; 8],
}

impl<'a> Poisson<'a> {
    /// Counts with the given mean, above 0 and at most 1, for units named by `unit_keys`.
    pub(super) fn new(key: u64, unit_keys: &'a [u64], mean: f64) -> Self {
        let mut probability = libm::exp(-mean);
        let mut cumulative = 0.0;
        let mut bounds = [u16::MAX; 8];
        for (index, bound) in bounds.iter_mut().enumerate() {
            cumulative += probability;
            probability *= mean / (index + 1) as f64;
            *bound = ((cumulative * 65_536.0).round() - 1.0) as u16;
        }
        Self {
            key: mix(key),
            unit_keys,
            bounds,
        }
    }
}

impl Draw for Poisson<'_> {
    fn counts(&self, unit: usize, block: usize) -> Counts {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        const WORDS: usize = LANES / 4;
        let start = mix(self.key ^ mix(self.unit_keys[unit]))
            .wrapping_add((block as u64).wrapping_mul((WORDS as u64).wrapping_mul(GOLDEN)));
        let mut draws = [0_u16; LANES];
        for word in 0..WORDS {
            let bits = mix(start.wrapping_add((word as u64).wrapping_mul(GOLDEN)));
            for part in 0..4 {
                draws[4 * word + part] = (bits >> (16 * part)) as u16;
            }
        }
        let mut counts = [0_u16; LANES];
        for bound in self.bounds {
            for (count, draw) in counts.iter_mut().zip(draws) {
                *count += u16::from(draw > bound);
            }
        }
        counts.map(|count| count as u8)
    }
}

/// Leaves one group of units out of each resample: the delete-group jackknife.
pub(super) struct WithoutGroup<'a> {
    /// The group of each unit.
    pub(super) groups: &'a [u16],
}

impl Draw for WithoutGroup<'_> {
    fn counts(&self, unit: usize, block: usize) -> Counts {
        let mut counts = [1; LANES];
        let group = usize::from(self.groups[unit]);
        if group / LANES == block {
            counts[group % LANES] = 0;
        }
        counts
    }
}

/// Counts that were written down elsewhere, one row of `resamples` counts per unit.
#[cfg(test)]
pub(super) struct Stored<'a> {
    pub(super) counts: &'a [u8],
    pub(super) resamples: usize,
}

#[cfg(test)]
impl Draw for Stored<'_> {
    fn counts(&self, unit: usize, block: usize) -> Counts {
        std::array::from_fn(|lane| {
            let resample = block * LANES + lane;
            if resample < self.resamples {
                self.counts[unit * self.resamples + resample]
            } else {
                0
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_one_has_the_published_bounds() {
        let bounds = Poisson::new(1, &[], 1.0)
            .bounds
            .map(u32::from)
            .map(|bound| bound + 1);
        assert_eq!(
            bounds,
            [
                24_109, 48_219, 60_273, 64_292, 65_296, 65_497, 65_531, 65_535
            ]
        );
        let mean: u32 = bounds.iter().map(|bound| 65_536 - bound).sum();
        assert_eq!(mean, 65_536);
    }

    #[test]
    fn counts_have_the_moments_of_poisson_and_neither_lanes_nor_units_correlate() {
        let keys: Vec<u64> = (0..20_000).collect();
        for mean in [1.0, 0.01] {
            let draw = Poisson::new(3, &keys, mean);
            let rows: Vec<Counts> = (0..keys.len()).map(|unit| draw.counts(unit, 5)).collect();
            let all = (rows.len() * LANES) as f64;
            let centred = |count: u8| f64::from(count) - mean;
            let average = rows
                .iter()
                .flatten()
                .map(|&count| f64::from(count))
                .sum::<f64>()
                / all;
            let moment = |pairs: &mut dyn Iterator<Item = (u8, u8)>| {
                pairs
                    .map(|(left, right)| centred(left) * centred(right))
                    .sum::<f64>()
                    / all
            };
            let variance = moment(&mut rows.iter().flatten().map(|&count| (count, count)));
            let lanes = moment(
                &mut rows
                    .iter()
                    .flat_map(|row| row.windows(2).map(|pair| (pair[0], pair[1]))),
            );
            let units = moment(
                &mut rows
                    .windows(2)
                    .flat_map(|pair| pair[0].into_iter().zip(pair[1])),
            );
            // Five standard errors of a mean over 1.28 million draws.
            let tolerance = 5.0 / all.sqrt();
            assert!((average - mean).abs() < tolerance, "mean {average}");
            assert!(
                (variance - mean).abs() < 2.0 * tolerance,
                "variance {variance}"
            );
            assert!(
                lanes.abs() < tolerance && units.abs() < tolerance,
                "{lanes} {units}"
            );
        }
    }

    #[test]
    fn key_unit_and_block_all_matter() {
        let keys = [7, 8];
        let counts = |key, unit, block| Poisson::new(key, &keys, 1.0).counts(unit, block);
        assert_eq!(counts(1, 0, 0), counts(1, 0, 0));
        for other in [counts(2, 0, 0), counts(1, 1, 0), counts(1, 0, 1)] {
            assert_ne!(counts(1, 0, 0), other);
        }
    }
}
