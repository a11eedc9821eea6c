//! One plain sentence for a verdict.

use super::result::{
    Class, Comparison, MetricComparison, NotComparableReason, Outcome, Role, Verdict,
};
use super::settings::Method;

/// The words a sentence uses for the models and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming<'a> {
    /// The champion, such as `v1`.
    pub champion: &'a str,
    /// The challenger, such as `v2`.
    pub challenger: &'a str,
    /// Plural noun for rows, such as `transactions`.
    pub rows: &'a str,
}

/// The verdict of `comparison` in plain words, ending in a full stop.
#[must_use]
pub fn sentence(comparison: &Comparison, naming: &Naming<'_>) -> String {
    let words = Words { comparison, naming };
    if let Verdict::NotComparable { reason } = &comparison.verdict {
        return words.not_comparable(reason);
    }
    if matches!(comparison.settings.method, Method::SeparateIntervals(_)) {
        return words.votes();
    }
    let Some(primary) = comparison
        .metrics
        .iter()
        .find(|metric| metric.role == Role::Primary)
    else {
        return format!("{} was not compared on any metric.", naming.challenger);
    };
    format!("{}{}.", words.primary(primary), words.guardrails())
}

struct Words<'a> {
    comparison: &'a Comparison,
    naming: &'a Naming<'a>,
}

impl Words<'_> {
    fn primary(&self, primary: &MetricComparison) -> String {
        let challenger = self.naming.challenger;
        let title = primary.metric.title();
        let rises = primary.difference.unwrap_or(0.0) > 0.0;
        let change = |rises: bool| {
            let (low, high) = (
                primary.low.unwrap_or(f64::NAN),
                primary.high.unwrap_or(f64::NAN),
            );
            let (low, high) = if rises { (low, high) } else { (-high, -low) };
            format!(
                "{challenger} {verb} {title} by {size} ({interval}) on {rows}",
                verb = if rises { "raises" } else { "lowers" },
                size = number(primary.difference.unwrap_or(f64::NAN).abs()),
                interval = self.interval(low, high),
                rows = self.rows(),
            )
        };
        match primary.outcome {
            Outcome::Better | Outcome::Worse => change(rises),
            Outcome::NotWorse | Outcome::Inconclusive | Outcome::Undefined => {
                self.not_shown(primary)
            }
        }
    }

    fn not_shown(&self, primary: &MetricComparison) -> String {
        let margin = primary.margin.unwrap_or(0.0);
        let (verb, noun) = if primary.metric.higher_is_better() {
            ("raise", "rise")
        } else {
            ("lower", "fall")
        };
        let by = if margin > 0.0 {
            format!(" by more than {}", number(margin))
        } else {
            String::new()
        };
        let detectable =
            self.comparison
                .minimum_detectable_effect
                .map_or(String::new(), |effect| {
                    format!(
                        ", where a true {noun} of {} would be found four times in five",
                        number(effect + margin)
                    )
                });
        format!(
            "{challenger} was not shown to {verb} {title}{by}: the difference is {difference} on {rows}{detectable}",
            challenger = self.naming.challenger,
            title = primary.metric.title(),
            difference = self.difference(primary),
            rows = self.rows(),
        )
    }

    /// What the guardrails add, the worst first.
    fn guardrails(&self) -> String {
        let with = |outcome: Outcome| -> Vec<&MetricComparison> {
            self.comparison
                .metrics
                .iter()
                .filter(|metric| metric.role == Role::Guardrail && metric.outcome == outcome)
                .collect()
        };
        let mut parts = Vec::new();
        for (outcome, verb) in [(Outcome::Worse, "is"), (Outcome::Inconclusive, "may be")] {
            parts.extend(with(outcome).into_iter().map(|metric| {
                let direction = if metric.metric.higher_is_better() { "fall" } else { "rise" };
                format!(
                    "; {name} {verb} worse than allowed: the difference is {difference}, and a {direction} of less than {margin} is allowed",
                    name = name(metric),
                    difference = self.difference(metric),
                    margin = number(metric.margin.unwrap_or(0.0)),
                )
            }));
        }
        let kept = with(Outcome::NotWorse);
        // A challenger that is held for its primary metric is not excused by its guardrails.
        if parts.is_empty() && !kept.is_empty() && self.comparison.verdict == Verdict::Superior {
            let names: Vec<String> = kept.into_iter().map(name).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            parts.push(format!(
                "; {} {verb} not worse than allowed",
                listed(&names)
            ));
        }
        parts.concat()
    }

    fn votes(&self) -> String {
        let metrics = &self.comparison.metrics;
        let count = |outcome: Outcome| {
            metrics
                .iter()
                .filter(|metric| metric.outcome == outcome)
                .count()
        };
        format!(
            "{challenger} is better than {champion} on {better} and worse on {worse} of {all} metrics, by separate intervals on {rows}.",
            rows = self.rows(),
            challenger = self.naming.challenger,
            champion = self.naming.champion,
            better = count(Outcome::Better),
            worse = count(Outcome::Worse),
            all = metrics.len(),
        )
    }

    fn not_comparable(&self, reason: &NotComparableReason) -> String {
        let why = match reason {
            NotComparableReason::InsufficientData {
                class,
                slice,
                effective,
                needed,
            } => {
                let class = match class {
                    Class::Positive => "positive",
                    Class::Negative => "negative",
                };
                format!(
                    "{rows}{of_slice} hold {effective} effective {class} rows, and {needed} are needed",
                    rows = self.rows(),
                    of_slice = in_slice(slice.as_deref()),
                    effective = rounded(*effective),
                    needed = rounded(*needed),
                )
            }
            NotComparableReason::TooFewClusters { clusters, needed } => format!(
                "{} belong to {} clusters, and {} are needed",
                self.rows(),
                thousands(*clusters),
                thousands(*needed)
            ),
            NotComparableReason::UndefinedMetric {
                metric,
                slice,
                reason,
            } => format!(
                "{}{} has no value: {reason}",
                metric.title(),
                in_slice(slice.as_deref())
            ),
            NotComparableReason::UnstableResamples {
                metric,
                slice,
                undefined,
                resamples,
            } => format!(
                "{}{} has no value in {} of {} resamples, and at most one in a thousand is allowed",
                metric.title(),
                in_slice(slice.as_deref()),
                thousands(*undefined as usize),
                thousands(*resamples as usize)
            ),
        };
        format!(
            "{} could not be compared with {}: {why}.",
            self.naming.challenger, self.naming.champion
        )
    }

    fn rows(&self) -> String {
        format!("{} {}", thousands(self.comparison.rows), self.naming.rows)
    }

    fn difference(&self, metric: &MetricComparison) -> String {
        let value = |number: Option<f64>| number.unwrap_or(f64::NAN);
        format!(
            "{} ({})",
            number(value(metric.difference)),
            self.interval(value(metric.low), value(metric.high))
        )
    }

    fn interval(&self, low: f64, high: f64) -> String {
        let percent = 100.0 * self.comparison.settings.confidence;
        format!(
            "{}% interval {} to {}",
            rounded(percent),
            number(low),
            number(high)
        )
    }
}

fn name(metric: &MetricComparison) -> String {
    format!(
        "{}{}",
        metric.metric.title(),
        in_slice(metric.slice.as_deref())
    )
}

fn in_slice(slice: Option<&str>) -> String {
    slice
        .map(|slice| format!(" in slice `{slice}`"))
        .unwrap_or_default()
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Four decimals, or two significant digits of a smaller number that is not 0.
fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.000_95 {
        let digits = (1.0 - value.abs().log10().floor()).clamp(4.0, 12.0) as usize;
        return format!("{value:.digits$}");
    }
    let text = format!("{value:.4}");
    if text == "-0.0000" {
        "0.0000".to_owned()
    } else {
        text
    }
}

/// One decimal, and none when it is 0.
fn rounded(value: f64) -> String {
    let tenths = (value * 10.0).floor() / 10.0;
    if tenths.fract() == 0.0 {
        thousands(tenths as usize)
    } else {
        format!("{tenths:.1}")
    }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Guardrail, Settings, tests};
    use super::*;
    use crate::metrics::Metric;

    /// The sentence on simulated rows whose interesting numbers are set by hand.
    fn said(change: impl Fn(&mut Comparison)) -> String {
        let settings = Settings {
            resamples: 64,
            guardrails: vec![Guardrail {
                metric: Metric::WeightedF1,
                slice: None,
                max_regression: 0.01,
            }],
            ..Settings::default()
        };
        let mut comparison =
            super::super::compare(&tests::simulated(2_000, 0.2, [1.0, 0.8], 1), &settings, 1)
                .unwrap();
        comparison.rows = 67_080;
        comparison.verdict = Verdict::Superior;
        comparison.minimum_detectable_effect = Some(0.0111);
        set(
            &mut comparison.metrics[0],
            0.0112,
            (0.0034, 0.019),
            Outcome::Better,
        );
        set(
            &mut comparison.metrics[1],
            0.000_21,
            (-0.001, 0.0014),
            Outcome::NotWorse,
        );
        change(&mut comparison);
        sentence(
            &comparison,
            &Naming {
                champion: "v1",
                challenger: "v2",
                rows: "transactions",
            },
        )
    }

    fn set(metric: &mut MetricComparison, difference: f64, interval: (f64, f64), outcome: Outcome) {
        metric.difference = Some(difference);
        metric.low = Some(interval.0);
        metric.high = Some(interval.1);
        metric.outcome = outcome;
    }

    #[test]
    fn every_verdict_is_one_plain_sentence() {
        assert_eq!(
            said(|_| {}),
            "v2 raises ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions; weighted F1 is not worse than allowed."
        );
        assert_eq!(
            said(|comparison| {
                comparison.metrics[0].metric = Metric::LogLoss;
                set(
                    &mut comparison.metrics[0],
                    -0.02,
                    (-0.03, -0.01),
                    Outcome::Better,
                );
                comparison.metrics.truncate(1);
            }),
            "v2 lowers log loss by 0.0200 (95% interval 0.0100 to 0.0300) on 67,080 transactions."
        );
        assert_eq!(
            said(|comparison| {
                comparison.verdict = Verdict::Inconclusive;
                set(
                    &mut comparison.metrics[0],
                    0.0012,
                    (-0.0045, 0.0069),
                    Outcome::Inconclusive,
                );
            }),
            "v2 was not shown to raise ROC AUC: the difference is 0.0012 (95% interval -0.0045 to 0.0069) on 67,080 transactions, \
             where a true rise of 0.0111 would be found four times in five."
        );
        assert_eq!(
            said(|comparison| {
                comparison.verdict = Verdict::Inconclusive;
                set(
                    &mut comparison.metrics[1],
                    -0.004,
                    (-0.015, 0.007),
                    Outcome::Inconclusive,
                );
                comparison.metrics[1].slice = Some("night".to_owned());
            }),
            "v2 raises ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions; weighted F1 in slice `night` may be worse \
             than allowed: the difference is -0.0040 (95% interval -0.0150 to 0.0070), and a fall of less than 0.0100 is allowed."
        );
        assert_eq!(
            said(|comparison| {
                comparison.verdict = Verdict::Inferior;
                set(
                    &mut comparison.metrics[0],
                    -0.0112,
                    (-0.019, -0.0034),
                    Outcome::Worse,
                );
            }),
            "v2 lowers ROC AUC by 0.0112 (95% interval 0.0034 to 0.0190) on 67,080 transactions."
        );
        assert_eq!(
            said(|comparison| {
                comparison.verdict = Verdict::NotComparable {
                    reason: NotComparableReason::InsufficientData {
                        class: Class::Positive,
                        slice: None,
                        effective: 49.98,
                        needed: 50.0,
                    },
                };
            }),
            "v2 could not be compared with v1: 67,080 transactions hold 49.9 effective positive rows, and 50 are needed."
        );
    }

    #[test]
    fn numbers_are_short_but_never_read_as_nothing() {
        assert_eq!(number(0.000_061_8), "0.000062");
        assert_eq!(number(-0.000_5), "-0.00050");
        assert_eq!(number(0.0), "0.0000");
        assert_eq!(number(0.0112), "0.0112");
        assert_eq!(
            (thousands(7), thousands(67_080), thousands(1_234_567)),
            ("7".into(), "67,080".into(), "1,234,567".into())
        );
    }
}
