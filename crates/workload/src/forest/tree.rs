//! One tree: grown level by level on bins, stored as flat arrays.

use super::binning::Bins;
use super::{Impurity, Rows, Settings};
use podium_core::random::Stream;
use serde::{Deserialize, Serialize};

/// A tree as flat arrays, one element a node; node 0 is the root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The feature that a node asks; meaningless in a leaf.
    pub(crate) feature: Vec<u16>,
    /// Rows whose value is below it (or NaN) go left.
    pub(crate) threshold: Vec<f64>,
    /// The left child, the right one follows it; 0 in a leaf.
    pub(crate) left: Vec<u32>,
    /// Weighted share of positives of the training rows.
    pub(crate) share: Vec<f64>,
}

impl Tree {
    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.share.len()
    }

    /// The share of positives in the leaf that a row falls into; rows are given by column.
    #[must_use]
    pub fn share(&self, features: &[Vec<f64>], row: usize) -> f64 {
        let mut node = 0;
        loop {
            let (Some(left), Some(feature), Some(threshold)) = (
                self.left.get(node),
                self.feature.get(node),
                self.threshold.get(node),
            ) else {
                return f64::NAN;
            };
            if *left == 0 {
                return self.share.get(node).copied().unwrap_or(f64::NAN);
            }
            let value = features
                .get(usize::from(*feature))
                .and_then(|column| column.get(row));
            let right = value.is_some_and(|value| value >= threshold);
            node = *left as usize + usize::from(right);
        }
    }

    /// Whether every child lies behind its parent and every feature is one of `features`.
    #[must_use]
    pub fn is_sound(&self, features: usize) -> bool {
        let nodes = self.nodes();
        let same = [self.feature.len(), self.threshold.len(), self.left.len()] == [nodes; 3];
        let children = self.left.iter().enumerate().all(|(node, left)| {
            let left = *left as usize;
            left == 0 || (left > node && left + 1 < nodes)
        });
        same && nodes > 0
            && children
            && self
                .feature
                .iter()
                .all(|f| usize::from(*f) < features.max(1))
    }

    fn push(&mut self, share: f64) -> u32 {
        self.feature.push(0);
        self.threshold.push(0.0);
        self.left.push(0);
        self.share.push(share);
        u32::try_from(self.share.len() - 1).unwrap_or(u32::MAX)
    }
}

/// Grows trees on one set of rows.
#[derive(Debug)]
pub struct Grower<'a> {
    rows: &'a Rows<'a>,
    bins: &'a Bins,
    settings: &'a Settings,
    candidates: usize,
}

/// Sums over some rows.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    positive: f64,
    negative: f64,
    rows: u32,
}

impl Sums {
    fn total(&self) -> f64 {
        self.positive + self.negative
    }

    fn share(&self) -> f64 {
        if self.total() > 0.0 {
            self.positive / self.total()
        } else {
            0.0
        }
    }

    fn add(&mut self, other: &Self) {
        self.positive += other.positive;
        self.negative += other.negative;
        self.rows += other.rows;
    }

    fn without(&self, other: &Self) -> Self {
        Self {
            positive: (self.positive - other.positive).max(0.0),
            negative: (self.negative - other.negative).max(0.0),
            rows: self.rows - other.rows,
        }
    }
}

/// One row of a tree's resample.
#[derive(Clone, Copy)]
struct Drawn {
    row: u32,
    count: u32,
}

/// A node whose split is still to be looked for: a range of the drawn rows.
struct Open {
    node: u32,
    begin: usize,
    end: usize,
    sums: Sums,
    depth: usize,
}

struct Split {
    feature: usize,
    /// The last bin that goes left.
    bin: usize,
    left: Sums,
    gain: f64,
}

impl<'a> Grower<'a> {
    /// A grower; `bins` must be those of the rows' features.
    #[must_use]
    pub fn new(rows: &'a Rows<'a>, bins: &'a Bins, settings: &'a Settings) -> Self {
        let candidates = settings.feature_subset_strategy.count(rows.features.len());
        Self {
            rows,
            bins,
            settings,
            candidates,
        }
    }

    /// Grows one tree with the draws of `stream`.
    pub fn grow(&self, stream: &mut Stream) -> Tree {
        let mut drawn = self.draw(stream);
        let mut tree = Tree::default();
        let sums = self.sums(&drawn);
        let root = tree.push(sums.share());
        let mut open = vec![Open {
            node: root,
            begin: 0,
            end: drawn.len(),
            sums,
            depth: 0,
        }];
        while let Some(node) = open.pop() {
            let Some(part) = drawn.get_mut(node.begin..node.end) else {
                continue;
            };
            let Some(split) = self.best_split(part, &node, stream) else {
                continue;
            };
            let middle = node.begin + self.partition(part, &split);
            let right = node.sums.without(&split.left);
            let left_node = tree.push(split.left.share());
            let right_node = tree.push(right.share());
            let at = node.node as usize;
            if let (Some(feature), Some(threshold), Some(left)) = (
                tree.feature.get_mut(at),
                tree.threshold.get_mut(at),
                tree.left.get_mut(at),
            ) {
                *feature = u16::try_from(split.feature).unwrap_or(u16::MAX);
                *threshold = self.cut(&split);
                *left = left_node;
            }
            let depth = node.depth + 1;
            open.push(Open {
                node: left_node,
                begin: node.begin,
                end: middle,
                sums: split.left,
                depth,
            });
            open.push(Open {
                node: right_node,
                begin: middle,
                end: node.end,
                sums: right,
                depth,
            });
        }
        tree
    }

    /// A Poisson resample: each row as often as it was drawn. A rate of 1 draws about 63% of the rows.
    fn draw(&self, stream: &mut Stream) -> Vec<Drawn> {
        let rate = self.settings.subsampling_rate;
        (0..self.rows.labels.len())
            .filter_map(|row| {
                let count = poisson(rate, stream.uniform());
                (count > 0).then(|| Drawn {
                    row: u32::try_from(row).unwrap_or(u32::MAX),
                    count,
                })
            })
            .collect()
    }

    fn sums(&self, drawn: &[Drawn]) -> Sums {
        drawn.iter().fold(Sums::default(), |mut sums, drawn| {
            sums.add(&self.weighed(drawn));
            sums
        })
    }

    fn weighed(&self, drawn: &Drawn) -> Sums {
        let row = drawn.row as usize;
        let weight = self.rows.weights.get(row).copied().unwrap_or(0.0) * f64::from(drawn.count);
        match self.rows.labels.get(row) {
            Some(1) => Sums {
                positive: weight,
                negative: 0.0,
                rows: drawn.count,
            },
            _ => Sums {
                positive: 0.0,
                negative: weight,
                rows: drawn.count,
            },
        }
    }

    fn best_split(&self, part: &[Drawn], node: &Open, stream: &mut Stream) -> Option<Split> {
        let least = self.settings.min_instances_per_node.max(1);
        let pure = node.sums.positive <= 0.0 || node.sums.negative <= 0.0;
        if pure || node.depth >= self.settings.max_depth || node.sums.rows < least.saturating_mul(2)
        {
            return None;
        }
        let mut best: Option<Split> = None;
        for feature in self.candidates(stream) {
            if let Some(split) = self.split_on(part, node, feature, least)
                && best.as_ref().is_none_or(|b| split.gain > b.gain)
            {
                best = Some(split);
            }
        }
        best
    }

    /// Features that this node may ask: the first of a partial shuffle.
    fn candidates(&self, stream: &mut Stream) -> Vec<usize> {
        let mut features: Vec<usize> = (0..self.rows.features.len()).collect();
        for place in 0..self.candidates.min(features.len().saturating_sub(1)) {
            let other = place + stream.below(features.len() - place);
            features.swap(place, other);
        }
        features.truncate(self.candidates);
        features
    }

    fn split_on(&self, part: &[Drawn], node: &Open, feature: usize, least: u32) -> Option<Split> {
        let bins = self.bins.of_row.get(feature)?;
        let number = self.bins.cuts.get(feature)?.len() + 1;
        let mut histogram = vec![Sums::default(); number];
        for drawn in part {
            let bin = usize::from(*bins.get(drawn.row as usize)?);
            histogram.get_mut(bin)?.add(&self.weighed(drawn));
        }
        let parent = self.impurity(&node.sums);
        let mut left = Sums::default();
        let mut best: Option<Split> = None;
        for (bin, sums) in histogram.iter().enumerate().take(number - 1) {
            left.add(sums);
            let right = node.sums.without(&left);
            if sums.rows == 0 || left.rows < least || right.rows < least {
                continue;
            }
            let total = node.sums.total();
            let after = (left.total() * self.impurity(&left)
                + right.total() * self.impurity(&right))
                / total;
            let gain = parent - after;
            if gain > 1e-12 && best.as_ref().is_none_or(|b| gain > b.gain) {
                best = Some(Split {
                    feature,
                    bin,
                    left,
                    gain,
                });
            }
        }
        best
    }

    fn impurity(&self, sums: &Sums) -> f64 {
        let positive = sums.share();
        let negative = 1.0 - positive;
        match self.settings.impurity {
            Impurity::Gini => 2.0 * positive * negative,
            Impurity::Entropy => {
                let part = |share: f64| {
                    if share > 0.0 {
                        -share * libm::log2(share)
                    } else {
                        0.0
                    }
                };
                part(positive) + part(negative)
            }
        }
    }

    /// Moves the rows that go left to the front; returns how many there are.
    fn partition(&self, part: &mut [Drawn], split: &Split) -> usize {
        let Some(bins) = self.bins.of_row.get(split.feature) else {
            return 0;
        };
        let goes_left = |drawn: &Drawn| {
            bins.get(drawn.row as usize)
                .is_some_and(|bin| usize::from(*bin) <= split.bin)
        };
        let mut left: Vec<Drawn> = part.iter().copied().filter(|d| goes_left(d)).collect();
        let middle = left.len();
        left.extend(part.iter().copied().filter(|d| !goes_left(d)));
        part.copy_from_slice(&left);
        middle
    }

    fn cut(&self, split: &Split) -> f64 {
        let cuts = self.bins.cuts.get(split.feature);
        cuts.and_then(|cuts| cuts.get(split.bin))
            .copied()
            .unwrap_or(f64::INFINITY)
    }
}

/// The count whose share of the Poisson distribution holds the uniform draw.
fn poisson(rate: f64, uniform: f64) -> u32 {
    let mut share = libm::exp(-rate);
    let mut below = share;
    let mut count = 0;
    while uniform >= below && count < 64 {
        count += 1;
        share *= rate / f64::from(count);
        below += share;
    }
    count
}
