//! A weighted random forest of binary classification trees, as Spark grows them.
//!
//! Features are cut at quantiles into at most `max_bins` bins; each tree sees a Poisson resample of the
//! rows and, at each node, a random subset of the features; a score is the mean over trees of the weighted
//! share of positives in the leaf.

pub mod binning;
pub mod tree;

use self::binning::Bins;
use self::tree::{Grower, Tree};
use podium_core::random::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How many features a node may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum FeatureSubset {
    /// As `sqrt`.
    Auto,
    /// The square root of their number, rounded up.
    Sqrt,
    /// The logarithm to base 2 of their number, rounded up.
    Log2,
    /// All of them.
    All,
}

impl FeatureSubset {
    /// How many of `features` features a node may choose from; at least one.
    #[must_use]
    pub fn count(self, features: usize) -> usize {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let ceil = |x: f64| x.ceil() as usize;
        #[allow(clippy::cast_precision_loss)]
        let number = features as f64;
        match self {
            Self::Auto | Self::Sqrt => ceil(number.sqrt()),
            Self::Log2 => ceil(libm::log2(number)),
            Self::All => features,
        }
        .clamp(1, features.max(1))
    }
}

/// What a split makes smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Impurity {
    /// Gini impurity.
    Gini,
    /// Entropy in bits.
    Entropy,
}

/// Settings of a forest; the names and meanings are Spark's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Number of trees.
    pub num_trees: usize,
    /// Splits on the way to a leaf at the most.
    pub max_depth: usize,
    /// Bins of a feature at the most.
    pub max_bins: usize,
    /// Rows of a leaf at the least.
    pub min_instances_per_node: u32,
    /// Expected share of the rows in a tree's resample.
    pub subsampling_rate: f64,
    /// Features that a node may choose from.
    pub feature_subset_strategy: FeatureSubset,
    /// What a split makes smaller.
    pub impurity: Impurity,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            num_trees: 20,
            max_depth: 5,
            max_bins: 32,
            min_instances_per_node: 1,
            subsampling_rate: 1.0,
            feature_subset_strategy: FeatureSubset::Auto,
            impurity: Impurity::Gini,
            seed: 0,
        }
    }
}

/// A trained forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// Its trees.
    pub trees: Vec<Tree>,
}

/// Rows to learn from: features by column, labels and weights by row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// One slice per feature, one value per row.
    pub features: &'a [Vec<f64>],
    /// 0 or 1.
    pub labels: &'a [u8],
    /// Not negative.
    pub weights: &'a [f64],
}

impl Forest {
    /// Grows a forest; the same rows and settings give the same forest on any number of threads.
    #[must_use]
    pub fn grow(rows: &Rows<'_>, settings: &Settings) -> Self {
        let bins = Bins::of(rows.features, settings.max_bins);
        let grower = Grower::new(rows, &bins, settings);
        let trees = (0..settings.num_trees)
            .into_par_iter()
            .map(|number| grower.grow(&mut Stream::new(settings.seed, &[number as u64])))
            .collect();
        Self { trees }
    }

    /// The scores of rows given by column: the mean over trees of the leaves' shares of positives.
    #[must_use]
    pub fn score(&self, features: &[Vec<f64>]) -> Vec<f64> {
        let rows = features.first().map_or(0, Vec::len);
        #[allow(clippy::cast_precision_loss)]
        let trees = self.trees.len().max(1) as f64;
        (0..rows)
            .into_par_iter()
            .map(|row| {
                self.trees
                    .iter()
                    .map(|tree| tree.share(features, row))
                    .sum::<f64>()
                    / trees
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_rows(rows: usize) -> (Vec<Vec<f64>>, Vec<u8>, Vec<f64>) {
        let mut stream = Stream::new(7, &[]);
        let signal: Vec<f64> = (0..rows).map(|_| stream.uniform()).collect();
        let noise: Vec<f64> = (0..rows).map(|_| stream.uniform()).collect();
        let labels = signal.iter().map(|s| u8::from(*s > 0.7)).collect();
        (vec![noise, signal], labels, vec![1.0; rows])
    }

    fn mk_settings() -> Settings {
        Settings {
            num_trees: 15,
            feature_subset_strategy: FeatureSubset::All,
            ..Settings::default()
        }
    }

    #[test]
    fn learns_a_threshold() {
        let (features, labels, weights) = mk_rows(2000);
        let forest = Forest::grow(
            &Rows {
                features: &features,
                labels: &labels,
                weights: &weights,
            },
            &mk_settings(),
        );
        let scores = forest.score(&features);
        let right = scores
            .iter()
            .zip(&labels)
            .filter(|(s, l)| (**s >= 0.5) == (**l == 1))
            .count();
        assert!(right > 1950, "{right} of 2000 rows are right");
    }

    #[test]
    fn threads_do_not_change_the_forest() {
        let (features, labels, weights) = mk_rows(500);
        let rows = Rows {
            features: &features,
            labels: &labels,
            weights: &weights,
        };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Forest::grow(&rows, &mk_settings()))
        };
        assert_eq!(on(1), on(4));
    }

    #[test]
    fn weights_move_the_shares_and_small_leaves_are_not_made() {
        let (features, labels, _) = mk_rows(400);
        let weights: Vec<f64> = labels
            .iter()
            .map(|l| if *l == 1 { 9.0 } else { 1.0 })
            .collect();
        let rows = Rows {
            features: &features,
            labels: &labels,
            weights: &weights,
        };
        let stump = Settings {
            max_depth: 0,
            num_trees: 200,
            ..mk_settings()
        };
        let positives: f64 = labels.iter().map(|l| f64::from(*l)).sum();
        let want = 9.0 * positives / (8.0 * positives + 400.0);
        let share = Forest::grow(&rows, &stump).score(&features)[0];
        assert!((share - want).abs() < 0.02, "{share} {want}");
        let coarse = Settings {
            min_instances_per_node: 1000,
            max_depth: 5,
            ..mk_settings()
        };
        assert!(
            Forest::grow(&rows, &coarse)
                .trees
                .iter()
                .all(|t| t.nodes() == 1)
        );
    }

    #[test]
    fn subset_sizes_are_sparks() {
        assert_eq!(FeatureSubset::Auto.count(15), 4);
        assert_eq!(FeatureSubset::Sqrt.count(16), 4);
        assert_eq!(FeatureSubset::Log2.count(15), 4);
        assert_eq!(FeatureSubset::All.count(15), 15);
        assert_eq!(FeatureSubset::Log2.count(1), 1);
    }
}
