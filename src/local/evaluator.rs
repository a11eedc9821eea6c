//! Compares two versions in process.

use crate::adapters::clock::SystemClock;
use crate::adapters::directory::store::{DirectoryStore, path_of};
use crate::ports::{
    Clock, ConfirmationState, EvaluationResult, EvaluationRun, EvaluationState, Evaluator,
    ObjectStore, PortError, Sight,
};
use podium_api::convert::{comparison_settings, confirm_fraction};
use podium_api::evaluation::{EvaluatedVersion, EvaluationSpec, EvidenceStatus, FileStatus};
use podium_core::evaluation::EvidenceFile;
use podium_core::looks::Sketch;
use podium_workload::evaluate::{self, Expected, HoldoutFile, Request, Source};
use podium_workload::table::FileRead;
use std::path::{Path, PathBuf};

/// Compares on this machine, with the code of `podium evaluate`.
#[derive(Clone, Debug)]
pub struct LocalEvaluator {
    directory: PathBuf,
}

impl LocalEvaluator {
    /// Relative paths are taken from `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

impl Evaluator for LocalEvaluator {
    async fn evaluate(&self, run: &EvaluationRun<'_>) -> Result<EvaluationState, PortError> {
        let spec = run.evaluation.spec.clone();
        let request = request_of(&self.directory, &spec)?;
        // The comparison uses every core for seconds: it must not hold up the watching of trials.
        let measured =
            tokio::task::spawn_blocking(move || measure(&request, &spec, &mut |_, _| {}))
                .await
                .map_err(|error| PortError::unavailable(error.to_string()))?;
        Ok(match measured {
            Ok(result) => EvaluationState::Finished(Box::new(result)),
            Err(error) => EvaluationState::Refused(error.to_string()),
        })
    }

    async fn confirm(&self, run: &EvaluationRun<'_>) -> Result<ConfirmationState, PortError> {
        let seen = SystemClock.now();
        let status = run.evaluation.status.as_ref();
        let Some(read) = status.and_then(|status| status.evidence.as_ref()) else {
            let why = "nothing says what was read".to_string();
            return Ok(ConfirmationState::Unknown(why));
        };
        let store = DirectoryStore::new(self.directory.clone());
        for (file, read) in files_of(read) {
            match store.look(&read.uri).await? {
                Sight::Present(digest) if digest == read.sha256 => {}
                Sight::Present(_) | Sight::Missing => return Ok(ConfirmationState::Changed(file)),
                Sight::OnlyByRuns => {
                    let why = format!("{} cannot be seen from here", read.uri);
                    return Ok(ConfirmationState::Unknown(why));
                }
            }
        }
        Ok(ConfirmationState::Unchanged { seen })
    }
}

/// The files that were read, each with what it is of the comparison.
pub fn files_of(read: &EvidenceStatus) -> impl Iterator<Item = (EvidenceFile, &FileStatus)> {
    let holdout = read.holdout.iter();
    let predictions = [
        (EvidenceFile::Champion, &read.champion),
        (EvidenceFile::Challenger, &read.challenger),
    ];
    let holdout = holdout.map(|file| (EvidenceFile::Holdout, file));
    predictions.into_iter().chain(holdout)
}

/// Reads and measures what an `Evaluation` asks for.
///
/// # Errors
/// The files cannot be used.
pub fn measure(
    request: &Request,
    spec: &EvaluationSpec,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<EvaluationResult, evaluate::EvaluateError> {
    let (rows, evidence) = evaluate::read_evidence(request)?;
    let statistics = evaluate::measure(request, &rows, &evidence, progress)?;
    let holdout = spec.holdout.as_ref().zip(evidence.holdout.as_ref());
    Ok(EvaluationResult {
        evidence: EvidenceStatus {
            read_time: None,
            champion: file_status(&spec.champion.predictions, &evidence.champion),
            challenger: file_status(&spec.challenger.predictions, &evidence.challenger),
            holdout: holdout.map(|(asked, read)| file_status(&asked.uri, read)),
            fingerprint: evidence.fingerprint,
            sketch: Sketch::of(evidence.ids).to_text(),
        },
        statistics,
        left_out: Vec::new(),
    })
}

fn file_status(uri: &str, read: &FileRead) -> FileStatus {
    FileStatus {
        uri: uri.to_string(),
        sha256: read.sha256.clone(),
        etag: None,
        size: i64::try_from(read.size).unwrap_or(i64::MAX),
        rows: i64::try_from(read.rows).unwrap_or(i64::MAX),
    }
}

/// What an `Evaluation` asks for, on this machine; relative paths are taken from `directory`.
///
/// # Errors
/// An address that cannot be reached from here.
pub fn request_of(directory: &Path, spec: &EvaluationSpec) -> Result<Request, PortError> {
    // Every field is named, so that a new one does not compile until it is carried out.
    let EvaluationSpec {
        policy_ref: _, // who asks
        model: _,      // of what
        champion,
        challenger,
        holdout,
        store: _, // how whoever reads the files reaches them
        columns,
        slices,
        test,
        measurements: _, // part of the verdict, not of the statistics
        rows_noun: _,    // part of the sentence
    } = spec;
    Ok(Request {
        source: Source::TwoFiles {
            champion: path_of(directory, &champion.predictions)?,
            challenger: path_of(directory, &challenger.predictions)?,
            score: columns.score.clone(),
        },
        holdout: match holdout {
            Some(holdout) => Some(HoldoutFile {
                path: path_of(directory, &holdout.uri)?,
                sha256: holdout.sha256.clone(),
            }),
            None => None,
        },
        champion: expected(directory, champion)?,
        challenger: expected(directory, challenger)?,
        id: Some(columns.id.clone()),
        label: columns.label.clone(),
        weight: columns.weight.clone(),
        cluster: columns.cluster.clone(),
        slices: slices
            .iter()
            .map(|s| evaluate::Slice {
                name: s.name.clone(),
                column: s.column.clone(),
                equals: s.equals.clone(),
            })
            .collect(),
        confirm_fraction: confirm_fraction(test.reuse.as_ref()),
        settings: comparison_settings(test),
        seed: None,
    })
}

/// Predictions that say which version or model made them must be of this one.
fn expected(directory: &Path, version: &EvaluatedVersion) -> Result<Expected, PortError> {
    Ok(Expected {
        version: Some(version.version.clone()),
        model: match &version.source {
            Some(source) => Some(path_of(directory, source)?),
            None => None,
        },
    })
}
