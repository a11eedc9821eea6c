//! What a comparison says, for people.

use super::progress::table;
use podium_core::comparison::{Class, Comparison, IntervalKind, Warning};
use podium_core::metrics::Metric;

/// Every metric of both models.
pub(super) fn metrics(comparison: &Comparison) -> String {
    let mut table = table(&["METRIC", "CHAMPION", "CHALLENGER"]);
    for metric in Metric::ALL {
        let value = |of: &std::collections::BTreeMap<Metric, podium_core::metrics::Value>| {
            of.get(&metric)
                .map_or(String::new(), |value| match value.defined() {
                    Some(number) => format!("{number:.4}"),
                    None => value.to_string(),
                })
        };
        table.add_row(vec![
            metric.title().to_string(),
            value(&comparison.statistics.champion),
            value(&comparison.statistics.challenger),
        ]);
    }
    format!("{table}\n\n")
}

/// A warning in words.
pub(super) fn warning(warning: &Warning) -> String {
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
            let kinds: Vec<&str> = kinds.iter().map(kind).collect();
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

fn kind(kind: &IntervalKind) -> &'static str {
    match kind {
        IntervalKind::NormalT => "normal-t",
        IntervalKind::Percentile => "percentile",
        IntervalKind::Basic => "basic",
        IntervalKind::BCa => "BCa",
    }
}
