//! One plain sentence for a verdict.

mod numbers;
#[cfg(test)]
mod tests;

use super::measurement::MeasurementComparison;
use super::result::{
    Comparison, MetricComparison, MetricOutcome, NotComparableReason, Verdict, Warning,
};
use super::settings::Method;
use super::statistics::{Class, Role};
use numbers::{confidence, number, pair, percent, rounded, thousands};

/// The words a sentence uses for the models and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming<'a> {
    /// The champion, such as `v1`.
    pub champion: &'a str,
    /// The challenger, such as `v2`.
    pub challenger: &'a str,
    /// Plural noun for rows, such as `transactions`.
    pub rows: &'a str,
    /// Which look at this holdout it was, the first being 1; the sentence then says so, and which error was allowed.
    pub look: Option<u32>,
}

/// The verdict of `comparison` in plain words, ending in a full stop.
#[must_use]
pub fn sentence(comparison: &Comparison, naming: &Naming<'_>) -> String {
    let words = Words { comparison, naming };
    if let Verdict::NotComparable { reason } = &comparison.verdict {
        return words.not_comparable(reason);
    }
    let metrics = match comparison.statistics.settings.method {
        Method::SeparateIntervals(_) => words.votes(),
        Method::PairedBootstrap => match comparison.primary() {
            Some(primary) => words.primary(primary),
            None => format!("{} was not compared on any metric", naming.challenger),
        },
    };
    format!("{metrics}{}.", words.guardrails())
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
                "{challenger} {verb} {title} by {size} ({interval}{look}) on {rows}",
                verb = if rises { "raises" } else { "lowers" },
                size = number(primary.difference.unwrap_or(f64::NAN).abs()),
                interval = self.interval(low, high),
                look = self.look(),
                rows = self.rows(),
            )
        };
        match primary.outcome {
            MetricOutcome::Better | MetricOutcome::Worse => change(rises),
            MetricOutcome::NotWorse | MetricOutcome::Inconclusive | MetricOutcome::Undefined => {
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
        let challenger = self.naming.challenger;
        let title = primary.metric.title();
        let rows = self.rows();
        if self.comparison.warnings.contains(&Warning::IdenticalScores) {
            let look = self.look_alone();
            return format!(
                "{challenger} was not shown to {verb} {title}{by}: both models score all {rows} alike{look}"
            );
        }
        let detectable =
            self.comparison
                .minimum_detectable_effect
                .map_or(String::new(), |effect| {
                    format!(
                        ", where a true {noun} of {} would be found four times in five",
                        number(effect)
                    )
                });
        format!(
            "{challenger} was not shown to {verb} {title}{by}: the difference is {difference} on {rows}{detectable}",
            difference = self.difference(primary, &self.look()),
        )
    }

    /// What the guardrails add, the worst first.
    fn guardrails(&self) -> String {
        let with = |outcome: MetricOutcome| -> Vec<&MetricComparison> {
            self.comparison
                .metrics
                .iter()
                .filter(|metric| metric.role == Role::Guardrail && metric.outcome == outcome)
                .collect()
        };
        let mut parts = Vec::new();
        for (outcome, verb) in [
            (MetricOutcome::Worse, "is"),
            (MetricOutcome::Inconclusive, "may be"),
        ] {
            parts.extend(with(outcome).into_iter().map(|metric| {
                let direction = if metric.metric.higher_is_better() { "fall" } else { "rise" };
                format!(
                    "; {name} {verb} worse than allowed: the difference is {difference}, and a {direction} of less than {margin} is allowed",
                    name = name(metric),
                    difference = self.difference(metric, ""),
                    margin = number(metric.margin.unwrap_or(0.0)),
                )
            }));
        }
        let measured = |outcome: MetricOutcome| {
            self.comparison
                .measurements
                .iter()
                .filter(move |measurement| measurement.outcome == outcome)
        };
        parts.extend(measured(MetricOutcome::Worse).map(risen));
        let kept = with(MetricOutcome::NotWorse).into_iter().map(name);
        let kept_measurements =
            measured(MetricOutcome::NotWorse).map(|measurement| measurement.name.clone());
        let kept: Vec<String> = kept.chain(kept_measurements).collect();
        // A challenger that is held for its primary metric is not excused by its guardrails.
        if parts.is_empty() && !kept.is_empty() && self.comparison.verdict == Verdict::Superior {
            let verb = if kept.len() == 1 { "is" } else { "are" };
            parts.push(format!("; {} {verb} not worse than allowed", listed(&kept)));
        }
        parts.concat()
    }

    fn votes(&self) -> String {
        let metrics = &self.comparison.metrics;
        let count = |outcome: MetricOutcome| {
            metrics
                .iter()
                .filter(|metric| metric.outcome == outcome)
                .count()
        };
        format!(
            "{challenger} is better than {champion} on {better} and worse on {worse} of {all} metrics, by separate intervals on {rows}{look}",
            rows = self.rows(),
            look = self
                .naming
                .look
                .map(|look| format!(" (look {look} at this holdout)"))
                .unwrap_or_default(),
            challenger = self.naming.challenger,
            champion = self.naming.champion,
            better = count(MetricOutcome::Better),
            worse = count(MetricOutcome::Worse),
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
                // How many rows the slice has is not known here.
                let rows = match slice {
                    Some(slice) => format!("slice `{slice}` holds"),
                    None => format!("{} hold", self.rows()),
                };
                format!(
                    "{rows} {effective} effective {class} rows, and {needed} are needed",
                    effective = rounded(*effective),
                    needed = rounded(*needed),
                )
            }
            NotComparableReason::TooFewClusters { clusters, needed } => format!(
                "{} belong to {} {}, and {} are needed",
                self.rows(),
                thousands(*clusters),
                if *clusters == 1 {
                    "cluster"
                } else {
                    "clusters"
                },
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
            NotComparableReason::UndefinedMeasurement { name, reason } => {
                format!("for {name}, {reason}")
            }
        };
        format!(
            "{} could not be compared with {}: {why}.",
            self.naming.challenger, self.naming.champion
        )
    }

    fn rows(&self) -> String {
        format!(
            "{} {}",
            thousands(self.comparison.statistics.rows),
            self.naming.rows
        )
    }

    /// The difference with its interval and `more` in parentheses.
    fn difference(&self, metric: &MetricComparison, more: &str) -> String {
        let value = |number: Option<f64>| number.unwrap_or(f64::NAN);
        format!(
            "{} ({}{more})",
            number(value(metric.difference)),
            self.interval(value(metric.low), value(metric.high))
        )
    }

    /// An interval, or that there is none: no error is left to a look, or the difference has no degree of freedom.
    fn interval(&self, low: f64, high: f64) -> String {
        if !(low.is_finite() && high.is_finite()) {
            return "no finite interval".to_owned();
        }
        format!(
            "{} interval {} to {}",
            confidence(self.comparison.confidence()),
            number(low),
            number(high)
        )
    }

    /// Which look it was and what it cost, after a semicolon; empty when that is not to be told.
    fn look(&self) -> String {
        self.naming.look.map_or(String::new(), |look| {
            format!(
                "; look {look} at this holdout, with an error of {}",
                percent(self.comparison.allowed_error)
            )
        })
    }

    /// The same in parentheses of its own.
    fn look_alone(&self) -> String {
        match self.look().strip_prefix("; ") {
            Some(look) => format!(" ({look})"),
            None => String::new(),
        }
    }
}

/// How far a measurement rose, and what is allowed.
fn risen(measurement: &MeasurementComparison) -> String {
    let value = |number: Option<f64>| number.unwrap_or(f64::NAN);
    let (before, after) = pair(value(measurement.champion), value(measurement.challenger));
    format!(
        "; {} rose from {before} to {after}, and a rise of {}% is allowed",
        measurement.name,
        value(measurement.max_increase_percent)
    )
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
