//! What a comparison says, for people.

use super::progress::table;
use podium_core::comparison::Comparison;
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
