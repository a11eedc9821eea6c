//! Operational guardrails: numbers of both models that are measured once, such as a latency or a size.

use serde::{Deserialize, Serialize};

use super::result::{MetricOutcome, NotComparableReason};

/// A number of each model that must not rise by more than allowed. It has no interval: what was measured decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// Its name, such as `latency_p99_ms`.
    pub name: String,
    /// The champion's number, in the unit of the measurement; finite and above 0.
    pub champion: f64,
    /// The challenger's number, in the same unit; finite.
    pub challenger: f64,
    /// The challenger's number may be at most the champion's times `1 + maxIncreasePercent / 100`; finite and at least 0.
    pub max_increase_percent: f64,
}

/// One measurement of both models and whether it is as allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementComparison {
    /// Its name.
    pub name: String,
    /// The champion's number; absent when it is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<f64>,
    /// The challenger's number; absent when it is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<f64>,
    /// The allowed increase in percent of the champion's number; absent when it is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_increase_percent: Option<f64>,
    /// `NotWorse`, `Worse` or `Undefined`.
    pub outcome: MetricOutcome,
}

impl Measurement {
    /// Why the measurement cannot be compared, when it cannot.
    fn fault(&self) -> Option<String> {
        if !(self.champion.is_finite() && self.champion > 0.0) {
            return Some(format!(
                "the champion's number must be finite and above 0; got {}",
                self.champion
            ));
        }
        // A challenger that nothing can be above would be champion for ever.
        if !(self.challenger.is_finite() && self.challenger > 0.0) {
            return Some(format!(
                "the challenger's number must be finite and above 0; got {}",
                self.challenger
            ));
        }
        let percent = self.max_increase_percent;
        (!(percent.is_finite() && percent >= 0.0)).then(|| {
            format!("the allowed increase must be a finite number of at least 0; got {percent}")
        })
    }

    /// Whether the measurement is as allowed: `NotWorse`, `Worse` or `Undefined`.
    #[must_use]
    pub fn outcome(&self) -> MetricOutcome {
        // The rounding of the product does not make a number exceed that is equal to it in decimals.
        const ROUNDING: f64 = 1e-12;
        let allowed = self.champion * (1.0 + self.max_increase_percent / 100.0) * (1.0 + ROUNDING);
        if self.fault().is_some() {
            MetricOutcome::Undefined
        } else if self.challenger > allowed {
            MetricOutcome::Worse
        } else {
            MetricOutcome::NotWorse
        }
    }

    /// The measurement as it is reported.
    pub(super) fn compared(&self) -> MeasurementComparison {
        let finite = |number: f64| number.is_finite().then_some(number);
        MeasurementComparison {
            name: self.name.clone(),
            champion: finite(self.champion),
            challenger: finite(self.challenger),
            max_increase_percent: finite(self.max_increase_percent),
            outcome: self.outcome(),
        }
    }

    /// Why nothing can be decided with this measurement, when it cannot be compared.
    pub(super) fn obstacle(&self) -> Option<NotComparableReason> {
        self.fault()
            .map(|reason| NotComparableReason::UndefinedMeasurement {
                name: self.name.clone(),
                reason,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_increase_is_inclusive_and_senseless_numbers_are_undefined() {
        use MetricOutcome::{NotWorse, Undefined, Worse};
        let outcome = |champion, challenger, max_increase_percent| {
            Measurement {
                name: "size".to_owned(),
                champion,
                challenger,
                max_increase_percent,
            }
            .outcome()
        };
        assert_eq!(outcome(10.0, 11.0, 10.0), NotWorse);
        assert_eq!(outcome(10.0, 11.1, 10.0), Worse);
        for tenths in 1..2_000 {
            let champion = f64::from(tenths) / 10.0;
            let challenger = f64::from(tenths * 11) / 100.0;
            assert_eq!(outcome(champion, challenger, 10.0), NotWorse, "{champion}");
        }
        assert_eq!(outcome(10.0, 3.0, 0.0), NotWorse);
        assert_eq!(outcome(10.0, 10.0, 0.0), NotWorse);
        for (champion, challenger, percent) in [
            (0.0, 1.0, 10.0),
            (-1.0, 1.0, 10.0),
            (f64::NAN, 1.0, 10.0),
            (f64::INFINITY, 1.0, 10.0),
            (1.0, f64::NAN, 10.0),
            (1.0, f64::NEG_INFINITY, 10.0),
            // It would become the champion that no other may be above.
            (10.0, -1.0, 0.0),
            (10.0, 0.0, 10.0),
            (1.0, 1.0, f64::NAN),
            (1.0, 1.0, -1.0),
        ] {
            assert_eq!(outcome(champion, challenger, percent), Undefined);
        }
    }
}
