//! The page for people: one file that needs no other one and runs no script.

use super::document::scores;
use super::html::{escaped, list, paragraph, section, table};
use super::words::{self, nothing, number, percent};
use super::{File, Report, VERDICT_IS_THE_POLICYS, plot};
use podium_core::comparison::{
    Comparison, IntervalKind, Method, MetricComparison, Statistics, Verdict,
};
use podium_core::metrics::{Metric, ThresholdOperator};
use podium_core::significant::four_digits;

/// Nothing is loaded and nothing runs, whatever a name may hold.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("page.css");

/// The page.
#[must_use]
pub fn page(report: &Report<'_>) -> String {
    let title = title(report);
    let body = [
        head(report),
        section("Improvements", &improvements(report.comparison)),
        section(
            "What was decided of each metric",
            &decided(report.comparison),
        ),
        section("Measurements", &measurements(report.comparison)),
        section("Slices", &slices(report)),
        section("Warnings", &warnings(report.comparison)),
        section(
            "All metrics on all rows",
            &all_metrics(&report.comparison.statistics),
        ),
        section(
            "Intervals of every kind",
            &intervals(&report.comparison.statistics),
        ),
        section("What was read", &evidence(report)),
        section("How it was compared", &settings(report)),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n<footer>{}</footer>\n</body>\n</html>\n",
        escaped(&title),
        body.concat(),
        escaped(&format!(
            "Podium {}. Every digit stands in the document of the same name that ends with .json.",
            env!("CARGO_PKG_VERSION")
        ))
    )
}

fn title(report: &Report<'_>) -> String {
    let (challenger, champion) = (report.challenger, report.champion);
    match report.asked_by {
        Some(asked_by) => format!("{}: {challenger} against {champion}", asked_by.model),
        None => format!("{challenger} against {champion}"),
    }
}

fn head(report: &Report<'_>) -> String {
    let comparison = report.comparison;
    let asked_by = report.asked_by.map_or_else(String::new, |asked_by| {
        let (policy, evaluation) = (asked_by.policy, asked_by.evaluation);
        paragraph(&format!("ChampionPolicy {policy}, Evaluation {evaluation}"))
    });
    let class = match comparison.verdict {
        Verdict::Superior => "good",
        Verdict::Inferior => "bad",
        Verdict::Inconclusive | Verdict::NotComparable { .. } => "open",
    };
    let note = report.asked_by.map(|_| paragraph(VERDICT_IS_THE_POLICYS));
    let error = format!(
        "One-sided error: {}. Smallest improvement that would have been found four times in five: {}.",
        percent(comparison.allowed_error),
        number(comparison.minimum_detectable_effect)
    );
    format!(
        "<h1>{}</h1>\n{asked_by}<p class=\"verdict {class}\"><strong>{}</strong> {}</p>\n{}{}",
        escaped(&title(report)),
        escaped(comparison.verdict.name()),
        escaped(report.sentence),
        paragraph(&error),
        note.unwrap_or_default()
    )
}

fn improvements(comparison: &Comparison) -> String {
    let drawn = plot::draw(&comparison.metrics);
    if drawn.is_empty() {
        return drawn;
    }
    let words = format!(
        "The further to the right, the better is the challenger; losses and costs are turned. Each line is the interval that decides, at {}; the dashed mark is what it must lie above.",
        percent(comparison.confidence())
    );
    paragraph(&words) + &drawn
}

fn decided(comparison: &Comparison) -> String {
    let row = |metric: &MetricComparison| {
        let ends = metric.low.zip(metric.high);
        vec![
            words::metric(metric.metric, metric.slice.as_deref()),
            words::role(metric.role).to_string(),
            words::value(metric.champion),
            words::value(metric.challenger),
            metric.difference.map_or_else(nothing, words::signed),
            ends.map_or_else(nothing, |(low, high)| words::interval(low, high)),
            number(metric.margin),
            number(metric.p_value),
            number(metric.standard_error),
            words::outcome(metric.outcome).to_string(),
        ]
    };
    let head = [
        "metric",
        "role",
        "champion",
        "challenger",
        "difference",
        "interval",
        "margin",
        "p-value",
        "standard error",
        "shown",
    ];
    let rows: Vec<Vec<String>> = comparison.metrics.iter().map(row).collect();
    table(&head, &rows)
}

fn measurements(comparison: &Comparison) -> String {
    let measured = comparison.measurements.iter();
    let rows: Vec<Vec<String>> = measured
        .map(|measurement| {
            let most = measurement.max_increase_percent;
            vec![
                measurement.name.clone(),
                number(measurement.champion),
                number(measurement.challenger),
                most.map_or_else(nothing, |most| format!("{}%", four_digits(most))),
                words::outcome(measurement.outcome).to_string(),
            ]
        })
        .collect();
    let head = [
        "measurement",
        "champion",
        "challenger",
        "may rise by",
        "shown",
    ];
    table(&head, &rows)
}

fn slices(report: &Report<'_>) -> String {
    let slices = report.request.slices.iter();
    let rows: Vec<Vec<String>> = slices
        .map(|slice| {
            vec![
                slice.name.clone(),
                slice.column.clone(),
                slice.equals.clone(),
            ]
        })
        .collect();
    table(&["slice", "column", "equals"], &rows)
}

fn warnings(comparison: &Comparison) -> String {
    let warnings = comparison.warnings.iter();
    let warnings: Vec<String> = warnings.map(words::warning).collect();
    list(&warnings)
}

fn all_metrics(statistics: &Statistics) -> String {
    let rows: Vec<Vec<String>> = Metric::ALL
        .into_iter()
        .filter_map(|metric| {
            let champion = statistics.champion.get(&metric)?;
            let challenger = statistics.challenger.get(&metric)?;
            Some(vec![
                metric.title().to_string(),
                words::value(*champion),
                words::value(*challenger),
            ])
        })
        .collect();
    table(&["metric", "champion", "challenger"], &rows)
}

fn intervals(statistics: &Statistics) -> String {
    let kinds = [
        IntervalKind::NormalT,
        IntervalKind::Percentile,
        IntervalKind::Basic,
        IntervalKind::BCa,
    ];
    let mut rows = Vec::new();
    for metric in &statistics.metrics {
        for kind in kinds {
            if let Some(interval) = metric.intervals.get(&kind) {
                rows.push(vec![
                    words::metric(metric.metric, metric.slice.as_deref()),
                    words::kind(kind).to_string(),
                    words::interval(interval.low, interval.high),
                    number(metric.p_values.get(&kind).copied()),
                ]);
            }
        }
    }
    if let Some(check) = statistics.cross_check {
        rows.push(vec![
            Metric::RocAuc.title().to_string(),
            "DeLong".to_string(),
            words::interval(check.interval.low, check.interval.high),
            number(Some(check.p_value)),
        ]);
    }
    if rows.is_empty() {
        return String::new();
    }
    let words = format!(
        "Of the difference, challenger minus champion, at {}.",
        percent(statistics.settings.confidence)
    );
    paragraph(&words) + &table(&["metric", "kind", "interval", "p-value"], &rows)
}

fn evidence(report: &Report<'_>) -> String {
    let read = report.evidence;
    let row = |name: &str, file: &File| {
        vec![
            name.to_string(),
            file.uri.clone(),
            file.rows.to_string(),
            file.size.to_string(),
            file.sha256.clone(),
        ]
    };
    let mut files = vec![
        row("champion", &read.champion),
        row("challenger", &read.challenger),
    ];
    files.extend(read.holdout.as_ref().map(|file| row("holdout", file)));
    let statistics = &report.comparison.statistics;
    let mut numbers = vec![
        pair("rows that were compared", statistics.rows.to_string()),
        pair("positive rows", statistics.positives.to_string()),
    ];
    let clusters = statistics.clusters;
    numbers.extend(clusters.map(|clusters| pair("clusters", clusters.to_string())));
    numbers.extend([
        pair(
            "effective positive rows",
            four_digits(statistics.effective_positives),
        ),
        pair(
            "effective negative rows",
            four_digits(statistics.effective_negatives),
        ),
        pair("resamples", statistics.resamples.to_string()),
        pair("seed", statistics.seed.to_string()),
        pair("fingerprint", read.fingerprint.clone()),
    ]);
    let head = ["file", "address", "rows", "bytes", "SHA-256"];
    table(&head, &files) + &table(&["of all rows", "number"], &numbers)
}

fn settings(report: &Report<'_>) -> String {
    let settings = &report.comparison.statistics.settings;
    let request = report.request;
    let decision = settings.decision;
    let [of_champion, of_challenger] = scores(&request.source);
    let positive = match decision.operator {
        ThresholdOperator::AtLeast => format!("at least {}", decision.threshold),
        ThresholdOperator::Above => format!("above {}", decision.threshold),
    };
    let costs = format!(
        "{} for a false positive, {} for a false negative",
        decision.costs.false_positive, decision.costs.false_negative
    );
    let method = match &settings.method {
        Method::PairedBootstrap => "paired Poisson bootstrap of the differences".to_string(),
        Method::SeparateIntervals(_) => "separate intervals and a vote".to_string(),
    };
    let column = |name: &Option<String>| name.clone().unwrap_or_else(nothing);
    let rows = vec![
        pair("method", method),
        pair(
            "interval that decides",
            words::kind(settings.deciding_interval()).to_string(),
        ),
        pair("confidence", percent(settings.confidence)),
        pair("weights", format!("{:?}", settings.weights)),
        pair("scores that are positive", positive),
        pair("costs", costs),
        pair(
            "effective rows of each class, at least",
            four_digits(settings.minimum_positives),
        ),
        pair("clusters, at least", settings.minimum_clusters.to_string()),
        pair("rows are called", report.rows.to_string()),
        pair("column of ids", column(&request.id)),
        pair("column of labels", request.label.clone()),
        pair("column of the champion's scores", of_champion.to_string()),
        pair(
            "column of the challenger's scores",
            of_challenger.to_string(),
        ),
        pair("column of weights", column(&request.weight)),
        pair("column of clusters", column(&request.cluster)),
        pair(
            "share of the rows that was compared",
            request
                .confirm_fraction
                .map_or_else(|| percent(1.0), percent),
        ),
    ];
    table(&["setting", "as used"], &rows)
}

fn pair(name: &str, value: String) -> Vec<String> {
    vec![name.to_string(), value]
}
