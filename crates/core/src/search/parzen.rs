//! A Parzen estimator of one number with adaptive bandwidths, as in hyperopt 0.3 (`adaptive_parzen_normal`, `GMM1`, `LGMM1`).

use crate::normal::{density, mass_between};
use crate::random::Stream;

/// A mixture of normals, one per observation and one for the prior, truncated to a support.
pub(super) struct Parzen {
    components: Vec<Component>,
    support: (f64, f64),
    /// Share of the mixture inside the support.
    inside: f64,
}

struct Component {
    weight: f64,
    /// Mean and deviation.
    normal: (f64, f64),
}

/// Redraws of a component that fell outside of the support, before the position is cut to it.
const REDRAWS: u32 = 1000;

impl Parzen {
    /// Fits observations, the oldest first.
    pub(super) fn new(
        observations: &[f64],
        prior: (f64, f64),
        support: (f64, f64),
        prior_weight: f64,
        full_weights: usize,
    ) -> Self {
        let mut sorted: Vec<(f64, f64)> = match observations.len() > full_weights {
            true => observations
                .iter()
                .copied()
                .zip(forgetting_weights(observations.len(), full_weights))
                .collect(),
            false => observations
                .iter()
                .map(|&position| (position, 1.0))
                .collect(),
        };
        sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
        let prior_place = sorted.partition_point(|(position, _)| *position < prior.0);
        sorted.insert(prior_place, (prior.0, prior_weight));
        let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
        let deviations = bandwidths(&sorted, prior_place, prior.1);
        let components: Vec<Component> = sorted
            .iter()
            .zip(deviations)
            .map(|(&(mean, weight), deviation)| Component {
                weight: weight / total,
                normal: (mean, deviation),
            })
            .collect();
        let mut estimator = Self {
            components,
            support,
            inside: 1.0,
        };
        estimator.inside = estimator.mass(support);
        estimator
    }

    /// A position drawn from the mixture.
    pub(super) fn draw(&self, stream: &mut Stream) -> f64 {
        let (low, high) = self.support;
        let mut position = low;
        for _ in 0..REDRAWS {
            let (mean, deviation) = self.component(stream.uniform());
            position = mean + deviation * stream.normal();
            if low <= position && position < high {
                return position;
            }
        }
        position.clamp(low, high)
    }

    /// The density at a position of the support.
    pub(super) fn density(&self, position: f64) -> f64 {
        let sum: f64 = self
            .components
            .iter()
            .map(|part| part.weight * density(part.normal, position))
            .sum();
        sum / self.inside
    }

    /// The share of the mixture between two positions.
    pub(super) fn mass(&self, (low, high): (f64, f64)) -> f64 {
        let (low, high) = (low.max(self.support.0), high.min(self.support.1));
        let sum: f64 = self
            .components
            .iter()
            .map(|part| part.weight * mass_between(part.normal, low, high))
            .sum();
        sum / self.inside
    }

    fn component(&self, mut share: f64) -> (f64, f64) {
        for part in &self.components {
            share -= part.weight;
            if share < 0.0 {
                return part.normal;
            }
        }
        self.components
            .last()
            .map_or((0.0, 1.0), |part| part.normal)
    }
}

/// The larger distance to a neighbour, at most the prior's deviation and at least its hundredth (more for few observations).
fn bandwidths(sorted: &[(f64, f64)], prior_place: usize, prior_deviation: f64) -> Vec<f64> {
    let smallest = prior_deviation / (1.0 + sorted.len() as f64).min(100.0);
    let gap = |left: usize| match (sorted.get(left), sorted.get(left + 1)) {
        (Some((low, _)), Some((high, _))) => high - low,
        _ => 0.0,
    };
    (0..sorted.len())
        .map(|place| {
            let before = place.checked_sub(1).map_or(0.0, gap);
            let deviation = match (place == prior_place, sorted.len()) {
                (true, _) => return prior_deviation,
                // A single observation has no neighbour but the prior, whose distance says nothing.
                (false, 2) => 0.5 * prior_deviation,
                (false, _) => before.max(gap(place)),
            };
            deviation.clamp(smallest, prior_deviation)
        })
        .collect()
}

/// Weight 1 for the latest `full_weights` of `count` observations, the oldest first; before them a ramp that begins at 1 in `count`.
pub(super) fn forgetting_weights(count: usize, full_weights: usize) -> Vec<f64> {
    let fading = count.saturating_sub(full_weights);
    let begin = 1.0 / count.max(1) as f64;
    let slope = (1.0 - begin) / fading.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|place| {
            if place < fading {
                begin + slope * place as f64
            } else {
                1.0
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: &[f64], right: &[f64]) {
        assert_eq!(left.len(), right.len());
        for (left, right) in left.iter().zip(right) {
            assert!((left - right).abs() < 1e-12, "{left} is not {right}");
        }
    }

    fn parts(estimator: &Parzen) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let of = |part: fn(&Component) -> f64| estimator.components.iter().map(part).collect();
        (
            of(|part| part.weight),
            of(|part| part.normal.0),
            of(|part| part.normal.1),
        )
    }

    /// Expected values are those of hyperopt 0.3.0: `adaptive_parzen_normal(mus, 1.0, 0.5, 1.0, LF)`.
    #[test]
    fn estimators_are_those_of_hyperopt() {
        let fitted = |observations: &[f64], full| {
            parts(&Parzen::new(
                observations,
                (0.5, 1.0),
                (0.0, 1.0),
                1.0,
                full,
            ))
        };
        let (weights, means, deviations) = fitted(&[], 25);
        close(&weights, &[1.0]);
        close(&means, &[0.5]);
        close(&deviations, &[1.0]);
        let (weights, means, deviations) = fitted(&[0.2], 25);
        close(&weights, &[0.5, 0.5]);
        close(&means, &[0.2, 0.5]);
        close(&deviations, &[0.5, 1.0]);
        let (weights, means, deviations) = fitted(&[0.9, 0.1, 0.3, 0.35], 25);
        close(&weights, &[0.2; 5]);
        close(&means, &[0.1, 0.3, 0.35, 0.5, 0.9]);
        close(&deviations, &[0.2, 0.2, 1.0 / 6.0, 1.0, 0.4]);
        let (weights, means, _) = fitted(&[0.9, 0.1, 0.3, 0.35], 2);
        let total = 0.25 + 1.0 + 1.0 + 1.0 + 1.0;
        close(
            &weights,
            &[
                1.0 / total,
                1.0 / total,
                1.0 / total,
                1.0 / total,
                0.25 / total,
            ],
        );
        close(&means, &[0.1, 0.3, 0.35, 0.5, 0.9]);
    }

    #[test]
    fn the_oldest_fade() {
        close(&forgetting_weights(3, 25), &[1.0, 1.0, 1.0]);
        close(&forgetting_weights(5, 2), &[0.2, 0.6, 1.0, 1.0, 1.0]);
        close(&forgetting_weights(3, 2), &[1.0 / 3.0, 1.0, 1.0]);
    }

    #[test]
    fn the_mixture_is_a_distribution_over_its_support() {
        let estimator = Parzen::new(&[0.1, 0.15, 0.8], (0.5, 1.0), (0.0, 1.0), 1.0, 25);
        assert!((estimator.mass((0.0, 1.0)) - 1.0).abs() < 1e-12);
        let steps = 10_000;
        let integral: f64 = (0..steps)
            .map(|step| estimator.density((f64::from(step) + 0.5) / f64::from(steps)))
            .sum();
        assert!((integral / f64::from(steps) - 1.0).abs() < 1e-6);
        let mut stream = Stream::new(3, &[]);
        let below = (0..20_000)
            .filter(|_| estimator.draw(&mut stream) < 0.3)
            .count();
        assert!((below as f64 / 20_000.0 - estimator.mass((0.0, 0.3))).abs() < 0.015);
    }
}
