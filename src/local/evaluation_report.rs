//! The report of a comparison that an Evaluation asked for, whoever makes it: the operator's pod, a local run, or somebody who makes it again.

use crate::engine::evaluation::{comparison_of, sentence_of};
use crate::ports::EvaluationResult;
use crate::report::{self, AskedBy, Evidence, File, Report};
use podium_api::evaluation::{EvaluationSpec, FileStatus};
use podium_core::champion::words;
use podium_workload::evaluate::{Request, Source};
use podium_workload::predictions_file::FileSink;
use std::path::{Path, PathBuf};

/// Writes the report of the Evaluation of this name, whose `spec` was read as `request`, to the page's address and beside it. It is judged at
/// the error of a first look, since nobody has paid one yet.
///
/// # Errors
/// Why it was not written.
pub fn write(
    files: &dyn FileSink,
    address: &Path,
    (evaluation, spec, request): (&str, &EvaluationSpec, &Request),
    result: &EvaluationResult,
) -> Result<(), String> {
    let comparison = comparison_of(spec, &result.statistics, None);
    let sentence = sentence_of(spec, &comparison, None);
    let read = &result.evidence;
    let evidence = Evidence {
        champion: file_of(&read.champion),
        challenger: file_of(&read.challenger),
        holdout: read.holdout.as_ref().map(file_of),
        fingerprint: read.fingerprint.clone(),
    };
    let [champion, challenger] = [&spec.champion, &spec.challenger];
    let report = Report {
        asked_by: Some(AskedBy {
            policy: &spec.policy_ref.name,
            evaluation,
            model: &spec.model,
        }),
        champion: &words::version(&champion.version),
        challenger: &words::version(&challenger.version),
        rows: &spec.rows_noun,
        request,
        evidence: &evidence,
        comparison: &comparison,
        sentence: &sentence,
    };
    let written = report::write(files, address, &inputs_of(request), &report);
    written.map_err(|error| error.to_string())
}

/// What is read, and must not be written over.
#[must_use]
pub fn inputs_of(request: &Request) -> Vec<&Path> {
    let predictions = match &request.source {
        Source::TwoFiles {
            champion,
            challenger,
            ..
        } => [champion, challenger],
        Source::OneFile { predictions, .. } => [predictions, predictions],
    };
    let holdout = request.holdout.iter().map(|holdout| &holdout.path);
    let all = predictions.into_iter().chain(holdout);
    all.map(PathBuf::as_path).collect()
}

fn file_of(read: &FileStatus) -> File {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    File {
        uri: read.uri.clone(),
        sha256: read.sha256.clone(),
        size: count(read.size),
        rows: count(read.rows),
    }
}
