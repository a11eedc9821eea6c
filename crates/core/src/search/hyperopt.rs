//! hyperopt's tree of Parzen estimators (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011), as in
//! hyperopt 0.3: univariate, with its constants and its adaptive bandwidths.
//!
//! Differences, all on purpose: the first and the last value of a step have full weight; nothing is suggested twice; bounds may
//! truncate a normal prior. Pending, failed and infeasible trials count as bad ones, as they do in hyperopt.

use serde::{Deserialize, Serialize};

use super::Suggestion;
use super::history::{Known, KnownTrial};
use super::novelty;
use super::parzen::{Parzen, forgetting_weights};
use crate::random::Stream;
use crate::space::{Axis, Line, Space, SpaceError};
use crate::value::{Configuration, ParameterValue};

const ORIGIN: &str = "Hyperopt";

/// Proposals of the model before a random draw takes over because all were tried.
const ATTEMPTS: u64 = 16;

/// Settings of [`super::Algorithm::Hyperopt`]; the defaults are those of hyperopt 0.3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HyperoptSettings {
    /// Random trials before the model takes over (`n_startup_jobs`).
    pub startup_trials: u32,
    /// The best `gamma` times the square root of n trials count as good.
    pub gamma: f64,
    /// Draws among which the best is taken, per parameter (`n_EI_candidates`).
    pub candidates: u32,
    /// Weight of the prior against one observation.
    pub prior_weight: f64,
    /// Number of latest observations with full weight, older ones fading linearly; also the most trials that count as good.
    pub linear_forgetting: u32,
}

impl Default for HyperoptSettings {
    fn default() -> Self {
        Self {
            startup_trials: 20,
            gamma: 0.25,
            candidates: 24,
            prior_weight: 1.0,
            linear_forgetting: 25,
        }
    }
}

impl HyperoptSettings {
    pub(super) fn problems(&self) -> Vec<SpaceError> {
        let positive = |number: f64| number.is_finite() && number > 0.0;
        [
            (
                "gamma",
                positive(self.gamma),
                "a finite number above 0",
                self.gamma,
            ),
            (
                "candidates",
                self.candidates > 0,
                "at least 1",
                f64::from(self.candidates),
            ),
            (
                "prior_weight",
                positive(self.prior_weight),
                "a finite number above 0",
                self.prior_weight,
            ),
            (
                "linear_forgetting",
                self.linear_forgetting > 0,
                "at least 1",
                f64::from(self.linear_forgetting),
            ),
        ]
        .into_iter()
        .filter(|(_, holds, ..)| !holds)
        .map(|(field, _, needs, value)| {
            let field = camel_case(field);
            SpaceError::new(
                format!("algorithm.hyperopt.{field}"),
                format!("`{field}` must be {needs}, not {value}"),
            )
        })
        .collect()
    }
}

pub(super) fn suggest(
    space: &Space,
    known: &Known<'_>,
    settings: &HyperoptSettings,
    stream: &mut Stream,
) -> Suggestion {
    if known.count() < settings.startup_trials as usize {
        return novelty::new_draw(space, known, stream);
    }
    let groups = Groups::new(known, settings);
    novelty::first_new(space, known, stream, ORIGIN, ATTEMPTS, |stream| {
        space.assemble(|place, axis, _| {
            let name = space
                .parameters()
                .get(place)
                .map_or("", |parameter| parameter.name.as_str());
            groups.choose(name, axis, settings, stream)
        })
    })
}

/// Trials split by loss, each group in order of index, so that the oldest are forgotten first.
struct Groups<'a> {
    good: Vec<&'a Configuration>,
    bad: Vec<&'a Configuration>,
}

impl<'a> Groups<'a> {
    fn new(known: &'a Known<'_>, settings: &HyperoptSettings) -> Self {
        let trials = known.trials();
        let mut ranked: Vec<(f64, usize)> = trials
            .iter()
            .enumerate()
            .filter_map(|(place, trial)| Some((trial.loss?, place)))
            .collect();
        ranked.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let share = (settings.gamma * libm::sqrt(trials.len() as f64)).ceil() as usize;
        ranked.truncate(share.min(settings.linear_forgetting as usize));
        let mut is_good = vec![false; trials.len()];
        for (_, place) in ranked {
            is_good[place] = true;
        }
        let side = |wanted: bool| {
            let chosen = trials
                .iter()
                .zip(&is_good)
                .filter(move |(_, good)| **good == wanted);
            chosen
                .map(|(trial, _): (&&'a KnownTrial, _)| &trial.configuration)
                .collect()
        };
        Self {
            good: side(true),
            bad: side(false),
        }
    }

    /// The candidate, drawn from the good trials, that is likeliest among good ones against bad ones.
    fn choose(
        &self,
        name: &str,
        axis: &Axis,
        settings: &HyperoptSettings,
        stream: &mut Stream,
    ) -> ParameterValue {
        if axis.count() == Some(1) {
            return axis.nth(0);
        }
        let observed = |group: &[&Configuration]| -> Vec<ParameterValue> {
            group
                .iter()
                .filter_map(|configuration| axis.admit(configuration.get(name)?))
                .collect()
        };
        let (good, bad) = (observed(&self.good), observed(&self.bad));
        match axis {
            Axis::Texts(values) => {
                let weights = |observed: &[ParameterValue]| {
                    text_weights(axis, values.len(), observed, settings)
                };
                let place =
                    choose_place(&weights(&good), &weights(&bad), settings.candidates, stream);
                axis.nth(place as u128)
            }
            Axis::Numbers(line) => {
                let fit = |observed: &[ParameterValue]| fit(line, observed, settings);
                choose_number(line, &fit(&good), &fit(&bad), settings.candidates, stream)
            }
        }
    }
}

/// The share of each text: its faded count plus the prior weight.
fn text_weights(
    axis: &Axis,
    texts: usize,
    observed: &[ParameterValue],
    settings: &HyperoptSettings,
) -> Vec<f64> {
    let mut weights = vec![settings.prior_weight; texts];
    let faded = forgetting_weights(observed.len(), settings.linear_forgetting as usize);
    for (value, weight) in observed.iter().zip(faded) {
        if let Some(slot) = axis.place(value).and_then(|place| weights.get_mut(place)) {
            *slot += weight;
        }
    }
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn choose_place(good: &[f64], bad: &[f64], candidates: u32, stream: &mut Stream) -> usize {
    let drawn = (0..candidates.max(1)).map(|_| {
        let place = draw_place(good, stream);
        (place, good[place] / bad[place])
    });
    best(drawn).unwrap_or(0)
}

fn draw_place(shares: &[f64], stream: &mut Stream) -> usize {
    let mut left = stream.uniform();
    let found = shares.iter().position(|share| {
        left -= share;
        left < 0.0
    });
    found.unwrap_or(shares.len().saturating_sub(1))
}

fn fit(line: &Line, observed: &[ParameterValue], settings: &HyperoptSettings) -> Parzen {
    let positions: Vec<f64> = observed
        .iter()
        .filter_map(|value| Some(line.latent(value.as_number()?)))
        .collect();
    Parzen::new(
        &positions,
        line.prior(),
        line.support(),
        settings.prior_weight,
        settings.linear_forgetting as usize,
    )
}

fn choose_number(
    line: &Line,
    good: &Parzen,
    bad: &Parzen,
    candidates: u32,
    stream: &mut Stream,
) -> ParameterValue {
    let drawn = (0..candidates.max(1)).map(|_| {
        let value = line.value_at(good.draw(stream));
        let number = value.as_number().unwrap_or_default();
        let ratio = match line.cell(number) {
            Some(cell) => good.mass(cell) / bad.mass(cell),
            None => good.density(line.latent(number)) / bad.density(line.latent(number)),
        };
        (value, ratio)
    });
    best(drawn).unwrap_or_else(|| line.value_at(line.prior().0))
}

/// The first candidate with the highest ratio; a ratio that is not a number loses.
fn best<T>(candidates: impl Iterator<Item = (T, f64)>) -> Option<T> {
    let score = |ratio: f64| {
        if ratio.is_nan() {
            f64::NEG_INFINITY
        } else {
            ratio
        }
    };
    let higher = |best: (T, f64), next: (T, f64)| {
        if score(next.1) > score(best.1) {
            next
        } else {
            best
        }
    };
    candidates.reduce(higher).map(|(candidate, _)| candidate)
}

fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &initial.into_iter().chain(letters).collect::<String>()
    })
}
