//! Compares two versions in process.

use super::evaluation_report;
use crate::adapters::clock::SystemClock;
use crate::adapters::directory::store::{DirectoryStore, path_of};
use crate::adapters::evidence_files::address_of;
use crate::ports::{
    Clock, ConfirmationState, EvaluationResult, EvaluationRun, EvaluationState, Evaluator,
    ObjectStore, PortError, ReportState, Sight,
};
use kube::ResourceExt;
use podium_api::convert::{comparison_settings, confirm_fraction};
use podium_api::evaluation::{EvaluatedVersion, EvaluationSpec, EvidenceStatus, FileStatus};
use podium_core::evaluation::EvidenceFile;
use podium_core::looks::Sketch;
use podium_workload::evaluate::{self, Expected, HoldoutFile, Request, Source};
use podium_workload::table::{FileRead, FileSource, LocalFiles};
use std::path::{Path, PathBuf};

/// Characters of an ETag that a status holds.
const LONGEST_ETAG: usize = 250;

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
        only_files(&spec)?;
        let request = request_of(&self.directory, &spec)?;
        let (name, page) = (run.evaluation.name_any(), run.page());
        let directory = self.directory.clone();
        // The comparison uses every core for seconds: it must not hold up the watching of trials.
        let compared =
            tokio::task::spawn_blocking(move || -> Result<_, evaluate::EvaluateError> {
                let mut result = measure(&LocalFiles, &request, &spec, &mut |_, _| {})?;
                result.report = page.map(|page| {
                    let written = path_of(&directory, &page)
                        .map_err(|error| error.message)
                        .and_then(|address| {
                            let asked = (name.as_str(), &spec, &request);
                            evaluation_report::write(&LocalFiles, &address, asked, &result)
                        });
                    ReportState::of(&page, written)
                });
                Ok(result)
            })
            .await
            .map_err(|error| PortError::unavailable(error.to_string()))?;
        Ok(match compared {
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
        for (file, read) in files_read(read) {
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
pub fn files_read(read: &EvidenceStatus) -> impl Iterator<Item = (EvidenceFile, &FileStatus)> {
    let holdout = read.holdout.iter();
    let predictions = [
        (EvidenceFile::Champion, &read.champion),
        (EvidenceFile::Challenger, &read.challenger),
    ];
    let holdout = holdout.map(|file| (EvidenceFile::Holdout, file));
    predictions.into_iter().chain(holdout)
}

/// A run on this machine reads its files and no object store.
fn only_files(spec: &EvaluationSpec) -> Result<(), PortError> {
    let predictions = [&spec.champion, &spec.challenger].map(|version| &version.predictions);
    let holdout = spec.holdout.as_ref().map(|holdout| &holdout.uri);
    for uri in predictions.into_iter().chain(holdout) {
        path_of(Path::new(""), uri)?;
    }
    Ok(())
}

/// Reads by way of `files` and measures what an `Evaluation` asks for. When that was is known to whoever records it.
///
/// # Errors
/// The files cannot be used.
pub fn measure(
    files: &dyn FileSource,
    request: &Request,
    spec: &EvaluationSpec,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<EvaluationResult, evaluate::EvaluateError> {
    let (rows, evidence) = evaluate::read_evidence(files, request)?;
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
        report: None,
    })
}

fn file_status(uri: &str, read: &FileRead) -> FileStatus {
    FileStatus {
        uri: uri.to_string(),
        sha256: read.sha256.clone(),
        etag: read.etag.clone().filter(|etag| etag.len() <= LONGEST_ETAG),
        size: i64::try_from(read.size).unwrap_or(i64::MAX),
        rows: i64::try_from(read.rows).unwrap_or(i64::MAX),
    }
}

/// What an `Evaluation` asks for; relative paths are taken from `directory`, and the addresses of objects stay as they are.
///
/// # Errors
/// An address that is neither.
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
            champion: address_of(directory, &champion.predictions)?,
            challenger: address_of(directory, &challenger.predictions)?,
            score: columns.score.clone(),
        },
        holdout: match holdout {
            Some(holdout) => Some(HoldoutFile {
                path: address_of(directory, &holdout.uri)?,
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

/// Predictions that say which version or model made them must be of this one. A model is looked at where it can be read as a file; where it
/// lies behind a registry, only the version is.
fn expected(directory: &Path, version: &EvaluatedVersion) -> Result<Expected, PortError> {
    let readable = version.source.as_ref().filter(|source| is_file(source));
    Ok(Expected {
        version: Some(version.version.clone()),
        model: match readable {
            Some(source) => Some(address_of(directory, source)?),
            None => None,
        },
    })
}

/// Whether a URI names a file or an object, and nothing that only a registry or another store knows.
fn is_file(uri: &str) -> bool {
    let may_be = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    match uri.split_once(":/") {
        Some((scheme, _)) if !scheme.is_empty() && scheme.chars().all(may_be) => {
            scheme == "s3" || scheme.eq_ignore_ascii_case("file")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(predictions: &str, source: Option<&str>) -> EvaluationSpec {
        serde_json::from_value(json!({
            "policyRef": {"name": "fraud"}, "model": "fraud",
            "champion": {"version": "1", "predictions": predictions, "source": source},
            "challenger": {"version": "2", "predictions": "new.csv"},
            "store": {"endpoint": "https://s3.example.com"},
            "columns": {"id": "id", "label": "y", "score": "score"},
            "test": {"primary": {"metric": "rocAuc"}},
            "rowsNoun": "rows",
        }))
        .unwrap()
    }

    #[test]
    fn addresses_of_objects_stay_as_they_are() {
        let directory = Path::new("/base");
        for (uri, address) in [
            ("old.csv", "/base/old.csv"),
            ("s3://bucket/a b//old.csv", "s3://bucket/a b//old.csv"),
        ] {
            let request = request_of(directory, &spec(uri, None)).unwrap();
            let Source::TwoFiles { champion, .. } = request.source else {
                panic!("{request:?}");
            };
            assert_eq!(champion.to_str(), Some(address));
        }
        let refusal = request_of(directory, &spec("gs://bucket/old.csv", None)).unwrap_err();
        assert!(
            refusal.to_string().contains("gs://bucket/old.csv"),
            "{refusal}"
        );
    }

    #[test]
    fn a_model_is_looked_at_where_it_is_a_file() {
        for (source, model) in [
            ("/models/1", Some("/models/1")),
            ("models/a:b", Some("/base/models/a:b")),
            ("file:///models/1", Some("/models/1")),
            ("s3://models/1", Some("s3://models/1")),
            ("mlflow-artifacts:/1/r/artifacts/m", None),
            ("runs:/r/m", None),
            ("models:/m-1", None),
            ("gs://models/1", None),
        ] {
            let request = request_of(Path::new("/base"), &spec("old.csv", Some(source))).unwrap();
            let found = request.champion.model;
            assert_eq!(found.as_deref(), model.map(Path::new), "{source}");
            assert_eq!(request.champion.version.as_deref(), Some("1"));
        }
    }

    #[test]
    fn a_run_on_this_machine_reads_files_only() {
        only_files(&spec("file://old.csv", None)).unwrap();
        let refusal = only_files(&spec("s3://bucket/old.csv", None)).unwrap_err();
        let expected = "`s3://bucket/old.csv` cannot be reached without a cluster: its scheme must be `file`, not `s3`";
        assert_eq!(refusal.to_string(), expected);
    }
}
