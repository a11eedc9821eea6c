//! Seeded streams of random numbers. A stream is a pure function of its keys, so that nothing depends on what was drawn before.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};

use crate::normal::position_above;

/// A stream of draws named by a seed and a list of keys; equal names give equal draws on every machine.
#[derive(Clone, Debug)]
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// The stream for `seed` and `keys`; every key matters, and so does their order.
    #[must_use]
    pub fn new(seed: u64, keys: &[u64]) -> Self {
        let name = keys
            .iter()
            .fold(mix(seed), |name, key| mix(name.rotate_left(23) ^ mix(*key)));
        Self(Xoshiro256PlusPlus::seed_from_u64(name))
    }

    /// A draw from the half-open interval from 0 to 1, with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * UNIT
    }

    /// A draw from the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        // Half a unit away from 0, where the position would be infinite.
        const HALF_UNIT: f64 = 0.5 / (1_u64 << 53) as f64;
        position_above(self.uniform() + HALF_UNIT)
    }

    /// A draw from `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.uniform() * bound as f64) as usize).min(bound.saturating_sub(1))
    }
}

/// A bijection of 64-bit numbers without visible pattern (the output function of `SplitMix64`).
pub(crate) fn mix(value: u64) -> u64 {
    SplitMix64::seed_from_u64(value).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_and_order_of_keys_matters() {
        let draw = |seed, keys: &[u64]| Stream::new(seed, keys).uniform();
        assert_eq!(draw(1, &[2, 3]).to_bits(), draw(1, &[2, 3]).to_bits());
        assert_ne!(draw(1, &[2, 3]).to_bits(), draw(1, &[3, 2]).to_bits());
        assert_ne!(draw(1, &[]).to_bits(), draw(2, &[]).to_bits());
        assert_ne!(draw(1, &[0]).to_bits(), draw(1, &[]).to_bits());
    }

    #[test]
    fn uniform_draws_fill_the_unit_interval() {
        let mut stream = Stream::new(7, &[]);
        let draws: Vec<f64> = (0..10_000).map(|_| stream.uniform()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
    }

    #[test]
    fn normal_draws_have_mean_0_and_deviation_1() {
        let mut stream = Stream::new(7, &[]);
        let draws: Vec<f64> = (0..10_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        let square = draws.iter().map(|draw| draw * draw).sum::<f64>() / 10_000.0;
        assert!(
            mean.abs() < 0.04 && (square - 1.0).abs() < 0.05,
            "mean {mean}, mean square {square}"
        );
    }
}
