//! A numeric parameter as a stretch of a line: prior, bounds, lattice of allowed values.
//!
//! Positions on the line are *latent*: the value itself, or its natural logarithm on the log scale. A lattice value owns
//! the cell that reaches half a step to either side of it, so every value has full weight, also the first and the last
//! (hyperopt's `quniform` gives those two half weight).

use super::domain::{Domain, Scale};
use crate::normal::{mass_between, position_above, share_above};
use crate::value::ParameterValue;

/// A numeric domain, ready for sampling and encoding. All positions are latent unless named values.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    log: bool,
    /// Mean and deviation of a normal prior; a uniform one otherwise.
    normal: Option<(f64, f64)>,
    /// Smallest and largest value.
    bounds: (f64, f64),
    /// Where the prior begins and ends, half-cells included; infinite for an unbounded normal prior.
    support: (f64, f64),
    lattice: Option<Lattice>,
}

/// The allowed values `origin + k * step`. Where they are whole, they and their distances are exact as real numbers too.
#[derive(Clone, Debug)]
struct Lattice {
    origin: f64,
    step: f64,
    first: i64,
    last: i64,
    whole: bool,
    /// Digits after the decimal point that values are written with.
    decimals: usize,
}

/// Lattice numbers stay below this where the domain itself sets no end; beyond it a double cannot tell neighbours apart.
pub(super) const FARTHEST: i64 = 1 << 52;

/// Whole numbers up to this are exact as real numbers.
const EXACT: f64 = (1_u64 << 53) as f64;

/// The largest distance from 0 of values that lie up to so many deviations from the mean.
pub(super) fn reach(mean: f64, deviation: f64, scale: Scale, deviations: f64) -> f64 {
    match scale {
        Scale::Linear => mean.abs() + deviations * deviation,
        Scale::Log => libm::exp(mean + deviations * deviation),
    }
}

impl Line {
    /// The line of a valid numeric domain; `None` for texts.
    pub(super) fn new(domain: &Domain) -> Option<Self> {
        match *domain {
            Domain::Real {
                min,
                max,
                scale,
                step,
            } => {
                let lattice = step.map(|step| Lattice::new(min, step, Some(min), Some(max)));
                Some(Self::with(scale, None, (min, max), lattice))
            }
            Domain::Integer {
                min,
                max,
                step,
                scale,
            } => {
                let bounds = (min as f64, max as f64);
                let lattice = Lattice::whole(min, max, step.unwrap_or(1));
                Some(Self::with(scale, None, bounds, Some(lattice)))
            }
            Domain::Normal {
                mean,
                deviation,
                min,
                max,
                step,
                scale,
            } => {
                let smallest = if scale == Scale::Log {
                    0.0
                } else {
                    f64::NEG_INFINITY
                };
                let bounds = (min.unwrap_or(smallest), max.unwrap_or(f64::INFINITY));
                let lattice = step.map(|step| {
                    let positive = (scale == Scale::Log).then_some(step);
                    let lattice = Lattice::new(0.0, step, min.or(positive), max);
                    // As far from the mean as draws of 53 bits come.
                    let far = reach(mean, deviation, scale, 8.5);
                    let (low, high) = (min.unwrap_or(-far), max.unwrap_or(far));
                    match step.fract() == 0.0 && low.abs().max(high.abs()) <= EXACT {
                        true => lattice.of_whole_numbers(),
                        false => lattice,
                    }
                });
                Some(Self::with(scale, Some((mean, deviation)), bounds, lattice))
            }
            Domain::Categorical { .. } | Domain::Ordinal { .. } => None,
        }
    }

    fn with(
        scale: Scale,
        normal: Option<(f64, f64)>,
        bounds: (f64, f64),
        lattice: Option<Lattice>,
    ) -> Self {
        let mut line = Self {
            log: scale == Scale::Log,
            normal,
            bounds,
            support: (0.0, 0.0),
            lattice,
        };
        line.support = match &line.lattice {
            Some(lattice) => (
                if bounds.0.is_finite() {
                    line.lower_edge(lattice.first)
                } else {
                    f64::NEG_INFINITY
                },
                if bounds.1.is_finite() {
                    line.upper_edge(lattice.last)
                } else {
                    f64::INFINITY
                },
            ),
            None => (line.latent(bounds.0), line.latent(bounds.1)),
        };
        line
    }

    /// Where a value lies.
    pub(crate) fn latent(&self, value: f64) -> f64 {
        if self.log { libm::log(value) } else { value }
    }

    /// Begin and end of the prior; infinite where the domain is unbounded.
    pub(crate) fn support(&self) -> (f64, f64) {
        self.support
    }

    /// Centre and width of the prior: mean and deviation, or the middle and the whole length of the support.
    pub(crate) fn prior(&self) -> (f64, f64) {
        let (low, high) = self.support;
        self.normal.unwrap_or((0.5 * (low + high), high - low))
    }

    /// The cell that a value owns on a lattice; `None` when values are continuous.
    pub(crate) fn cell(&self, value: f64) -> Option<(f64, f64)> {
        let lattice = self.lattice.as_ref()?;
        let number = lattice.nearest(value);
        Some((self.lower_edge(number), self.upper_edge(number)))
    }

    /// The allowed value at a latent position, or the nearest one.
    pub(crate) fn value_at(&self, latent: f64) -> ParameterValue {
        let value = if self.log { libm::exp(latent) } else { latent };
        match &self.lattice {
            Some(lattice) => lattice.value(lattice.nearest(value)),
            None => {
                let smallest = if self.log {
                    f64::MIN_POSITIVE
                } else {
                    f64::MIN
                };
                ParameterValue::Real(
                    value.clamp(self.bounds.0.max(smallest), self.bounds.1.min(f64::MAX)),
                )
            }
        }
    }

    /// Whether values come without gaps.
    pub(super) fn is_continuous(&self) -> bool {
        self.lattice.is_none() && self.bounds.0 < self.bounds.1
    }

    /// How many values there are; `None` when continuous or unbounded.
    pub(super) fn count(&self) -> Option<u128> {
        if !(self.bounds.0.is_finite() && self.bounds.1.is_finite()) {
            return None;
        }
        match &self.lattice {
            Some(lattice) => {
                u128::try_from(i128::from(lattice.last) - i128::from(lattice.first) + 1).ok()
            }
            None => (self.bounds.0 == self.bounds.1).then_some(1),
        }
    }

    /// The value numbered `number` from below.
    pub(super) fn nth(&self, number: u128) -> ParameterValue {
        match &self.lattice {
            Some(lattice) => {
                let offset = i64::try_from(number).unwrap_or(i64::MAX);
                lattice.value(lattice.first.saturating_add(offset).min(lattice.last))
            }
            None => ParameterValue::Real(self.bounds.0),
        }
    }

    /// `value` as the domain writes it, if it is one of the domain's values.
    pub(super) fn admit(&self, value: &ParameterValue) -> Option<ParameterValue> {
        let number = value.as_number()?;
        let inside = number.is_finite()
            && self.bounds.0 <= number
            && number <= self.bounds.1
            && !(self.log && number <= 0.0);
        if !inside {
            return None;
        }
        let Some(lattice) = &self.lattice else {
            return Some(ParameterValue::Real(number));
        };
        match value {
            ParameterValue::Integer(exact) if lattice.whole => lattice.admit_whole(*exact),
            _ if lattice.whole => lattice.admit_whole(whole_number(number)?),
            _ => lattice.admit_real(number),
        }
    }

    /// Whether no value lies on the lattice and within the bounds.
    pub(super) fn is_empty(&self) -> bool {
        self.lattice
            .as_ref()
            .is_some_and(|lattice| lattice.first > lattice.last)
    }

    /// The share of the prior below a value; for lattice values the middle of the cell's share.
    pub(super) fn unit(&self, value: f64) -> f64 {
        match self.cell(value) {
            Some((low, high)) => 0.5 * (self.share_below(low) + self.share_below(high)),
            None => self.share_below(self.latent(value)),
        }
    }

    /// The value with `unit` of the prior below it.
    pub(super) fn at_unit(&self, unit: f64) -> ParameterValue {
        let unit = if unit.is_finite() {
            unit.clamp(0.0, 1.0)
        } else {
            0.5
        };
        let (low, high) = self.support;
        let latent = match self.normal {
            None => low + unit * (high - low),
            Some((mean, deviation)) => {
                let standard = |position: f64| (position - mean) / deviation;
                // Inverting in the nearer tail keeps precision when the bounds lie far above the mean.
                let quantile = if standard(low) > 0.0 {
                    let (above_low, above_high) =
                        (share_above(standard(low)), share_above(standard(high)));
                    position_above(above_low - unit * (above_low - above_high))
                } else {
                    let (below_low, below_high) =
                        (share_above(-standard(low)), share_above(-standard(high)));
                    -position_above(below_low + unit * (below_high - below_low))
                };
                (mean + deviation * quantile.clamp(-38.0, 38.0)).clamp(low, high)
            }
        };
        self.value_at(latent)
    }

    fn share_below(&self, latent: f64) -> f64 {
        let (low, high) = self.support;
        let share = match self.normal {
            None if high > low => (latent - low) / (high - low),
            None => 0.5,
            Some(prior) => mass_between(prior, low, latent) / mass_between(prior, low, high),
        };
        share.clamp(0.0, 1.0)
    }

    /// The prior's mass between the bounds before truncation: 1 for a uniform prior.
    pub(super) fn mass(&self) -> f64 {
        self.normal.map_or(1.0, |prior| {
            mass_between(prior, self.support.0, self.support.1)
        })
    }

    fn lower_edge(&self, number: i64) -> f64 {
        let Some(lattice) = &self.lattice else {
            return self.support.0;
        };
        let edge = lattice.position(number) - 0.5 * lattice.step;
        // On the log scale a cell cannot reach 0; half of the smallest value stands in.
        let edge = if self.log {
            edge.max(0.5 * lattice.position(number))
        } else {
            edge
        };
        self.latent(edge)
    }

    fn upper_edge(&self, number: i64) -> f64 {
        let Some(lattice) = &self.lattice else {
            return self.support.1;
        };
        self.latent(lattice.position(number) + 0.5 * lattice.step)
    }
}

impl Lattice {
    fn new(origin: f64, step: f64, min: Option<f64>, max: Option<f64>) -> Self {
        // A bound such as 0.3 with a step of 0.1 is a multiple up to rounding, and is meant to be included.
        const SLACK: f64 = 1e-9;
        let number = |value: f64| (value - origin) / step;
        let mut lattice = Self {
            origin,
            step,
            first: min.map_or(-FARTHEST, |min| (number(min) - SLACK).ceil() as i64),
            last: max.map_or(FARTHEST, |max| (number(max) + SLACK).floor() as i64),
            whole: false,
            decimals: decimals(origin).max(decimals(step)),
        };
        // Where the slack takes in a value beyond a bound, that value is none of the domain's.
        if min.is_some_and(|min| lattice.written(lattice.first) < min) {
            lattice.first = lattice.first.saturating_add(1);
        }
        if max.is_some_and(|max| lattice.written(lattice.last) > max) {
            lattice.last = lattice.last.saturating_sub(1);
        }
        lattice
    }

    /// The whole numbers from `min` to `max`, which a real number holds exactly, at distances of `step`.
    fn whole(min: i64, max: i64, step: i64) -> Self {
        let length = max.saturating_sub(min).max(0);
        Self {
            origin: min as f64,
            step: step as f64,
            first: 0,
            last: length.checked_div(step).unwrap_or(0),
            whole: true,
            decimals: 0,
        }
    }

    /// The same values as whole numbers, without those that a real number does not hold exactly.
    fn of_whole_numbers(self) -> Self {
        let farthest = (EXACT / self.step).floor() as i64;
        Self {
            first: self.first.max(-farthest),
            last: self.last.min(farthest),
            whole: true,
            ..self
        }
    }

    fn admit_whole(&self, value: i64) -> Option<ParameterValue> {
        let (origin, step) = (self.origin as i128, self.step as i128);
        let distance = i128::from(value) - origin;
        let number = distance.checked_div(step)?;
        let is_on = distance == number * step
            && (i128::from(self.first)..=i128::from(self.last)).contains(&number);
        is_on.then_some(ParameterValue::Integer(value))
    }

    fn admit_real(&self, value: f64) -> Option<ParameterValue> {
        // Far from the origin the division alone rounds to a neighbour.
        let about = self.nearest(value);
        let around =
            about.saturating_sub(1).max(self.first)..=about.saturating_add(1).min(self.last);
        let off = |number: i64| (self.written(number) - value).abs();
        let number = around.min_by(|one, other| off(*one).total_cmp(&off(*other)))?;
        let distance = off(number);
        // Digits that get lost on the way through text are no difference.
        let lost = (1e-9 * self.step).max(1e-14 * value.abs());
        (distance <= lost.min(0.25 * self.step)).then(|| self.value(number))
    }

    fn nearest(&self, value: f64) -> i64 {
        (((value - self.origin) / self.step).round() as i64).clamp(self.first, self.last)
    }

    fn position(&self, number: i64) -> f64 {
        self.origin + number as f64 * self.step
    }

    fn value(&self, number: i64) -> ParameterValue {
        if self.whole {
            let exact = self.origin as i128 + i128::from(number) * self.step as i128;
            return ParameterValue::Integer(i64::try_from(exact).unwrap_or(if exact < 0 {
                i64::MIN
            } else {
                i64::MAX
            }));
        }
        ParameterValue::Real(self.written(number))
    }

    /// A real value with the digits of `min` and `step`, so that people read 0.3 and not 0.30000000000000004.
    fn written(&self, number: i64) -> f64 {
        let position = self.position(number);
        format!("{position:.*}", self.decimals)
            .parse()
            .unwrap_or(position)
            + 0.0
    }
}

/// The whole number that a real one is.
fn whole_number(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

fn decimals(value: f64) -> usize {
    let written = value.to_string();
    written
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len())
}
