//! Numbers and findings in words.

use podium_core::comparison::{Class, IntervalKind, MetricOutcome, Role, Warning};
use podium_core::metrics::{Metric, Value};
use podium_core::significant::four_digits;

/// A metric, and the slice that it is of.
pub(super) fn metric(metric: Metric, slice: Option<&str>) -> String {
    match slice {
        Some(slice) => format!("{} ({slice})", metric.title()),
        None => metric.title().to_string(),
    }
}

/// The number, or why there is none.
pub(super) fn value(value: Value) -> String {
    match value {
        Value::Defined(number) => four_digits(number),
        Value::Undefined(_) => value.to_string(),
    }
}

/// The number of a value that may be absent.
pub(super) fn number(number: Option<f64>) -> String {
    number.map_or_else(nothing, four_digits)
}

/// The same with its sign.
pub(super) fn signed(number: f64) -> String {
    let plus = if number > 0.0 { "+" } else { "" };
    format!("{plus}{}", four_digits(number))
}

/// Both ends of an interval.
pub(super) fn interval(low: f64, high: f64) -> String {
    format!("{} to {}", four_digits(low), four_digits(high))
}

/// What stands in the place of something that there is none of.
pub(super) fn nothing() -> String {
    "–".to_string()
}

/// A share in percent, without the digits that come of its being made of another number.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.6}", 100.0 * share);
    let short = text.trim_end_matches('0').trim_end_matches('.');
    format!("{short}%")
}

/// What a metric is for.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Primary => "must be better",
        Role::Guardrail => "must not be worse than allowed",
        Role::Observed => "decides nothing",
        Role::Vote => "votes",
    }
}

/// What was shown.
pub(super) fn outcome(outcome: MetricOutcome) -> &'static str {
    match outcome {
        MetricOutcome::Better => "better",
        MetricOutcome::NotWorse => "not worse than allowed",
        MetricOutcome::Worse => "worse",
        MetricOutcome::Inconclusive => "not shown",
        MetricOutcome::Undefined => "undefined",
    }
}

/// The name of a kind of interval.
pub(super) fn kind(kind: IntervalKind) -> &'static str {
    match kind {
        IntervalKind::NormalT => "normal-t",
        IntervalKind::Percentile => "percentile",
        IntervalKind::Basic => "basic",
        IntervalKind::BCa => "BCa",
    }
}

/// A warning in words.
#[must_use]
pub fn warning(warning: &Warning) -> String {
    let class = |class: &Class| match class {
        Class::Positive => "positive",
        Class::Negative => "negative",
    };
    let scope = |metric: &Metric, slice: &Option<String>| match slice {
        Some(slice) => format!("{} in slice `{slice}`", metric.title()),
        None => metric.title().to_string(),
    };
    match warning {
        Warning::FewEffectiveRows { class: of, effective } => format!(
            "FewEffectiveRows: only {effective:.0} effective {} rows; intervals are rough below 200",
            class(of)
        ),
        Warning::SuspectedLeakage { challenger, roc_auc } => format!(
            "SuspectedLeakage: the {} has a ROC AUC of {roc_auc:.4}, which is more often a leaked label than a good model",
            if *challenger { "challenger" } else { "champion" }
        ),
        Warning::IntervalDisagreement { metric, slice, kinds } => {
            let kinds: Vec<&str> = kinds.iter().map(|of| kind(*of)).collect();
            format!(
                "IntervalDisagreement: on {} the {} interval would have decided otherwise",
                scope(metric, slice),
                kinds.join(" and the ")
            )
        }
        Warning::HeavyWeight { row, share } => format!(
            "HeavyWeight: row {row} carries {:.0}% of the weight of its class",
            100.0 * share
        ),
        Warning::CrossCheckDisagreement { delong, bootstrap } => format!(
            "CrossCheckDisagreement: DeLong's standard error of ROC AUC is {delong:.5} and the bootstrap's {bootstrap:.5}"
        ),
        Warning::NearBoundary { metric, slice } => format!(
            "NearBoundary: {} lies so near its boundary that other resamples might have decided otherwise",
            scope(metric, slice)
        ),
        Warning::IdenticalScores => {
            "IdenticalScores: both models score every row alike, so that nothing could be found".to_string()
        }
        Warning::WeakMethod => {
            "WeakMethod: separate intervals find almost no true improvement; use the paired bootstrap".to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_shares_exact() {
        for (share, text) in [
            (0.95, "95%"),
            (0.5 * (1.0 - 0.95), "2.5%"),
            (1.0 - 2.0 * 0.025, "95%"),
            (0.015_198, "1.5198%"),
            (1.0, "100%"),
            (0.0, "0%"),
        ] {
            assert_eq!(percent(share), text);
        }
        assert_eq!(signed(0.0112), "+0.01120");
        assert_eq!(signed(-0.0112), "-0.01120");
        assert_eq!(signed(0.0), "0");
        assert_eq!(interval(-0.5, 0.25), "-0.5000 to 0.2500");
        assert_eq!(number(None), "–");
    }
}
