//! One plain sentence for a verdict.

use super::result::{Class, Comparison, MetricComparison, NotComparableReason, Outcome, Role, Verdict};
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
    let Some(primary) = comparison.metrics.iter().find(|metric| metric.role == Role::Primary) else {
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
            let (low, high) = (primary.low.unwrap_or(f64::NAN), primary.high.unwrap_or(f64::NAN));
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
            Outcome::NotWorse | Outcome::Inconclusive | Outcome::Undefined => self.not_shown(primary),
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
        let detectable = self.comparison.minimum_detectable_effect.map_or(String::new(), |effect| {
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
            parts.push(format!("; {} {verb} not worse than allowed", listed(&names)));
        }
        parts.concat()
    }

    fn votes(&self) -> String {
        let metrics = &self.comparison.metrics;
        let count = |outcome: Outcome| metrics.iter().filter(|metric| metric.outcome == outcome).count();
        format!(
            "By separate intervals on {rows}, {challenger} is better than {champion} on {better} and worse on {worse} of {all} metrics.",
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
            NotComparableReason::InsufficientData { class, slice, effective, needed } => {
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
            NotComparableReason::UndefinedMetric { metric, slice, reason } => format!(
                "{}{} has no value: {reason}",
                metric.title(),
                in_slice(slice.as_deref())
            ),
            NotComparableReason::UnstableResamples { metric, slice, undefined, resamples } => format!(
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
        format!("{}% interval {} to {}", rounded(percent), number(low), number(high))
    }
}

fn name(metric: &MetricComparison) -> String {
    format!("{}{}", metric.metric.title(), in_slice(metric.slice.as_deref()))
}

fn in_slice(slice: Option<&str>) -> String {
    slice.map(|slice| format!(" in slice `{slice}`")).unwrap_or_default()
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
    if text == "-0.0000" { "0.0000".to_owned() } else { text }
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
