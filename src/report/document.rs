//! The document for programs: what was asked, what was read, and all that was found, with every digit.

use super::{AskedBy, Evidence, Report, VERDICT_IS_THE_POLICYS};
use podium_core::comparison::Comparison;
use podium_workload::evaluate::{Request, Source};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    /// The version of Podium that wrote it.
    podium: &'static str,
    #[serde(flatten)]
    asked_by: Option<AskedBy<'a>>,
    champion: &'a str,
    challenger: &'a str,
    /// The same fields as `podium evaluate -o json` prints.
    verdict: &'static str,
    sentence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    columns: Columns<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slices: Vec<Slice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm_fraction: Option<f64>,
    evidence: &'a Evidence,
    comparison: &'a Comparison,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Columns<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    label: &'a str,
    champion_score: &'a str,
    challenger_score: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
}

#[derive(Serialize)]
struct Slice<'a> {
    name: &'a str,
    column: &'a str,
    equals: &'a str,
}

/// The document as JSON, with a line break at its end.
///
/// # Errors
/// A number cannot be written.
pub fn document(report: &Report<'_>) -> Result<String, serde_json::Error> {
    let slices = report.request.slices.iter();
    let document = Document {
        podium: env!("CARGO_PKG_VERSION"),
        asked_by: report.asked_by,
        champion: report.champion,
        challenger: report.challenger,
        verdict: report.comparison.verdict.name(),
        sentence: report.sentence,
        note: report.asked_by.map(|_| VERDICT_IS_THE_POLICYS),
        columns: Columns::of(report.request),
        slices: slices
            .map(|slice| Slice {
                name: &slice.name,
                column: &slice.column,
                equals: &slice.equals,
            })
            .collect(),
        confirm_fraction: report.request.confirm_fraction,
        evidence: report.evidence,
        comparison: report.comparison,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

impl<'a> Columns<'a> {
    fn of(request: &'a Request) -> Self {
        let [champion_score, challenger_score] = scores(&request.source);
        Self {
            id: request.id.as_deref(),
            label: &request.label,
            champion_score,
            challenger_score,
            weight: request.weight.as_deref(),
            cluster: request.cluster.as_deref(),
        }
    }
}

/// The columns of the scores of both models.
pub(super) fn scores(source: &Source) -> [&str; 2] {
    match source {
        Source::TwoFiles { score, .. } => [score, score],
        Source::OneFile {
            champion_score,
            challenger_score,
            ..
        } => [champion_score, challenger_score],
    }
}
