//! `podium evaluate --from`: whether a stored comparison comes out the same from the files that it names.

use super::with_a_bar;
use crate::adapters::evidence_files::EvidenceFiles;
use crate::adapters::s3::S3Address;
use crate::cli::{Failure, intervals};
use crate::engine::evaluation::{Difference, comparison_of, first_difference, sentence_of};
use crate::local::evaluation_report;
use crate::local::evaluator::{measure, request_of};
use crate::runs::evaluation_message::without_parts;
use kube::ResourceExt;
use podium_api::Evaluation;
use podium_api::convert::read_object;
use podium_api::evaluation::{EvaluationStatus, EvidenceStatus, FileStatus};
use podium_core::comparison::{Statistics, Verdict};
use std::path::Path;

/// Recomputes an Evaluation, and writes its report to `page` where it is the same; its verdict.
///
/// # Errors
/// The first thing that differs, files that cannot be read, or a report that cannot be written.
pub(super) fn recompute(
    file: &Path,
    directory: &Path,
    page: Option<&Path>,
) -> Result<Verdict, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let no_evaluation = |why: String| format!("{} must hold an Evaluation: {why}", file.display());
    let document = crate::yaml::document(&text).map_err(|e| no_evaluation(e.to_string()))?;
    let evaluation: Evaluation =
        read_object(&document).map_err(|problem| no_evaluation(problem.to_string()))?;
    let stored = evaluation.status.clone().unwrap_or_default();
    let spec = &evaluation.spec;
    let files = EvidenceFiles::new(directory.to_path_buf(), spec.store.clone());
    // The files are taken from the directory when they are read.
    let request = request_of(Path::new(""), spec)?;
    let found = with_a_bar(|show| measure(&files, &request, spec, show))?;
    let recorded = stored
        .evidence
        .as_ref()
        .ok_or("it was not compared yet: `status.evidence` is missing")?;
    same_evidence(recorded, &found.evidence)?;
    same_statistics(&stored, &found.statistics)?;
    let error = stored.look.as_ref().map(|look| look.allowed_error);
    let comparison = comparison_of(&evaluation.spec, &found.statistics, error);
    if let Some(verdict) = &stored.verdict {
        same("status.verdict", verdict, comparison.verdict.name())?;
        let ordinal = stored
            .look
            .as_ref()
            .and_then(|look| u32::try_from(look.ordinal).ok());
        let sentence = sentence_of(&evaluation.spec, &comparison, ordinal);
        let recorded = stored.sentence.clone().unwrap_or_default();
        same("status.sentence", &recorded, &sentence)?;
    }
    print!("{}", intervals::draw(&comparison));
    println!("{}", stored.sentence.unwrap_or_default());
    println!("the same, bit for bit: evidence, seed, statistics and verdict");
    if let Some(page) = page {
        let name = evaluation.name_any();
        // The path is one of whoever calls, and not of the directory.
        let page = std::path::absolute(page)
            .ok()
            .filter(|_| !S3Address::is_meant_by(page))
            .unwrap_or_else(|| page.to_path_buf());
        evaluation_report::write(&files, &page, (name.as_str(), spec, &request), &found)?;
    }
    Ok(comparison.verdict)
}

fn same_evidence(recorded: &EvidenceStatus, found: &EvidenceStatus) -> Result<(), Failure> {
    same_file("champion", &recorded.champion, &found.champion)?;
    same_file("challenger", &recorded.challenger, &found.challenger)?;
    match (&recorded.holdout, &found.holdout) {
        (Some(recorded), Some(found)) => same_file("holdout", recorded, found)?,
        (recorded, found) => same(
            "status.evidence.holdout",
            &recorded.is_some().to_string(),
            &found.is_some().to_string(),
        )?,
    }
    same(
        "status.evidence.fingerprint",
        &recorded.fingerprint,
        &found.fingerprint,
    )?;
    same("status.evidence.sketch", &recorded.sketch, &found.sketch)
}

/// What a store calls a content is not compared: another store calls the same content otherwise.
fn same_file(name: &str, recorded: &FileStatus, found: &FileStatus) -> Result<(), Failure> {
    let path = format!("status.evidence.{name}");
    same(&format!("{path}.uri"), &recorded.uri, &found.uri)?;
    same(&format!("{path}.sha256"), &recorded.sha256, &found.sha256)?;
    same(
        &format!("{path}.size"),
        &recorded.size.to_string(),
        &found.size.to_string(),
    )?;
    same(
        &format!("{path}.rows"),
        &recorded.rows.to_string(),
        &found.rows.to_string(),
    )
}

fn same_statistics(stored: &EvaluationStatus, found: &Statistics) -> Result<(), Failure> {
    let seed = stored.seed.map(|seed| seed.to_string()).unwrap_or_default();
    same("status.seed", &seed, &found.seed.to_string())?;
    let recorded = stored.statistics.clone().unwrap_or_default();
    // What had no room in the message of a pod was not recorded.
    let found = serde_json::to_value(without_parts(found, &stored.left_out))?;
    match first_difference("status.statistics", &recorded, &found) {
        None => Ok(()),
        Some(Difference { path, left, right }) => {
            Err(differs(&path, &left.to_string(), &right.to_string()).into())
        }
    }
}

fn same(path: &str, recorded: &str, found: &str) -> Result<(), Failure> {
    if recorded == found {
        Ok(())
    } else {
        Err(differs(path, recorded, found).into())
    }
}

fn differs(path: &str, recorded: &str, found: &str) -> String {
    format!("{path} differs: recorded is {recorded}, recomputed is {found}")
}
