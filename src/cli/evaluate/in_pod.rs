//! `podium evaluate` in a pod of a policy's comparison: what is asked stands in the environment, what is found goes to the termination
//! message, which the operator believes because its own Job made the pod.

use super::with_a_bar;
use crate::adapters::evidence_files::{EvidenceFiles, address_of};
use crate::adapters::s3::S3Address;
use crate::cli::{FAILED, Failure, intervals, summary};
use crate::engine::evaluation::comparison_of;
use crate::local::evaluation_report;
use crate::local::evaluator::{files_read, measure, request_of};
use crate::ports::{EvaluationResult, ReportState};
use crate::runs::evaluation_message::{Outcome, encode};
use crate::runs::evaluation_runner::{
    EVIDENCE_VARIABLE, NAME_VARIABLE, QUESTION_VARIABLE, check_question,
};
use podium_api::evaluation::{EvaluationSpec, EvidenceStatus, FileStatus};
use podium_core::evaluation::EvidenceFile;
use podium_workload::evaluate::EvaluateError;
use podium_workload::table::{FileSource, TableError};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where a kubelet looks for the message of a container, unless that is said elsewhere.
const TERMINATION_MESSAGE: &str = "/dev/termination-log";
const TERMINATION_MESSAGE_VARIABLE: &str = "PODIUM_TERMINATION_MESSAGE_PATH";

/// Makes the comparison that the environment asks for, and writes its report to the address of `page`, where one is wanted. A report that
/// cannot be written is said in the answer, and the comparison counts all the same.
///
/// # Errors
/// Nothing can be asked, or the answer cannot be left.
pub(super) fn compare(page: Option<&str>) -> Result<ExitCode, Failure> {
    let question = variable(QUESTION_VARIABLE)?;
    let spec: EvaluationSpec = parsed(QUESTION_VARIABLE, &question)?;
    let files = files_of(&spec);
    let mut outcome = compared(&files, &spec);
    if let Outcome::Compared(result) = &mut outcome {
        show(&spec, result);
        result.report = page.map(|page| reported(&files, page, &spec, result));
    }
    answer(&question, &outcome)
}

/// Writes a report; what became of it.
fn reported(
    files: &EvidenceFiles,
    page: &str,
    spec: &EvaluationSpec,
    result: &EvaluationResult,
) -> ReportState {
    let name = std::env::var(NAME_VARIABLE).unwrap_or_default();
    let written = address_of(Path::new(""), page)
        .and_then(|address| Ok((address, request_of(Path::new(""), spec)?)))
        .map_err(|error| error.message)
        .and_then(|(address, request)| {
            let asked = (name.as_str(), spec, &request);
            evaluation_report::write(files, &address, asked, result)
        });
    match &written {
        Ok(()) => println!("the report is at {page}"),
        Err(why) => eprintln!("the report was not written: {why}"),
    }
    ReportState::of(page, written)
}

/// Looks whether the files that the environment names are still what was read.
///
/// # Errors
/// As [`compare`].
pub(super) fn check() -> Result<ExitCode, Failure> {
    let (asked, read) = (variable(QUESTION_VARIABLE)?, variable(EVIDENCE_VARIABLE)?);
    let spec: EvaluationSpec = parsed(QUESTION_VARIABLE, &asked)?;
    let evidence: EvidenceStatus = parsed(EVIDENCE_VARIABLE, &read)?;
    let outcome = checked(&files_of(&spec), &evidence);
    answer(&check_question(&asked, &read), &outcome)
}

fn variable(name: &str) -> Result<String, Failure> {
    let found = std::env::var(name);
    found.map_err(|error| format!("the variable {name} must be set by Podium: {error}").into())
}

fn parsed<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Failure> {
    let found = serde_json::from_str(text);
    found.map_err(|error| {
        format!("the variable {name} cannot be read; is the image that of the operator? {error}")
            .into()
    })
}

fn files_of(spec: &EvaluationSpec) -> EvidenceFiles {
    EvidenceFiles::new(PathBuf::new(), spec.store.clone())
}

fn compared(files: &EvidenceFiles, spec: &EvaluationSpec) -> Outcome {
    let request = match request_of(Path::new(""), spec) {
        Ok(request) => request,
        Err(error) => return Outcome::Refused(error.message),
    };
    let found = with_a_bar(|show| measure(files, &request, spec, show));
    match found {
        Ok(result) => Outcome::Compared(Box::new(result)),
        Err(error) => failed(files, spec, &error),
    }
}

/// What became of a comparison that could not be made: files may come, and what keeps them from being read may go.
fn failed(files: &EvidenceFiles, spec: &EvaluationSpec, error: &EvaluateError) -> Outcome {
    let of_spec = addresses(spec);
    let missing = error.missing().and_then(|path| {
        let mut known = of_spec.iter().filter(|(_, address)| *address == path);
        known.next().map(|(file, _)| *file)
    });
    match (missing, error) {
        (Some(first), _) => {
            let others = of_spec.iter().filter(|(file, _)| *file != first);
            let missing = others.filter(|(_, address)| is_missing(files, address));
            let mut all: Vec<EvidenceFile> = missing.map(|(file, _)| *file).collect();
            all.push(first);
            all.sort_unstable();
            Outcome::Missing(all)
        }
        (None, EvaluateError::Table(TableError::Unreadable { .. })) => {
            Outcome::Unreadable(error.to_string())
        }
        (None, _) => Outcome::Refused(error.to_string()),
    }
}

fn addresses(spec: &EvaluationSpec) -> Vec<(EvidenceFile, &Path)> {
    let holdout = spec.holdout.as_ref();
    let holdout = holdout.map(|holdout| (EvidenceFile::Holdout, Path::new(&holdout.uri)));
    let predictions = [
        (EvidenceFile::Champion, &spec.champion.predictions),
        (EvidenceFile::Challenger, &spec.challenger.predictions),
    ];
    let predictions = predictions.map(|(file, uri)| (file, Path::new(uri)));
    predictions.into_iter().chain(holdout).collect()
}

/// Whether another file is known to be missing too, so that all of them are made at once.
fn is_missing(files: &EvidenceFiles, address: &Path) -> bool {
    if !S3Address::is_meant_by(address) {
        return !address.exists();
    }
    match files.store().map(|store| store.head(address)) {
        Ok(Ok(found)) => found.is_none(),
        Ok(Err(error)) => error.is_missing(),
        Err(_) => false,
    }
}

fn checked(files: &EvidenceFiles, evidence: &EvidenceStatus) -> Outcome {
    for (file, read) in files_read(evidence) {
        match is_unchanged(files, read) {
            Ok(true) => {}
            Ok(false) => return Outcome::Changed(file),
            Err(error) if error.is_missing() => return Outcome::Changed(file),
            Err(error) => return Outcome::Unreadable(error.to_string()),
        }
    }
    Outcome::Unchanged
}

/// What a store calls a content tells it from others; where that is not known, the content is read again.
fn is_unchanged(files: &EvidenceFiles, read: &FileStatus) -> Result<bool, TableError> {
    let address = Path::new(&read.uri);
    let known = read
        .etag
        .as_ref()
        .filter(|_| S3Address::is_meant_by(address));
    let Some(etag) = known else {
        return Ok(files.read(address)?.sha256() == read.sha256);
    };
    let store = files.store().map_err(|error| TableError::Unreadable {
        path: address.to_path_buf(),
        message: error.message,
    })?;
    let size = u64::try_from(read.size).ok();
    let found = store.head(address)?;
    Ok(found.is_some_and(|head| head.etag == *etag && Some(head.size) == size))
}

/// For whoever reads the log.
fn show(spec: &EvaluationSpec, result: &EvaluationResult) {
    let comparison = comparison_of(spec, &result.statistics, None);
    print!("{}", summary::metrics(&comparison));
    print!("{}", intervals::draw(&comparison));
    println!("the policy takes the verdict, at its look at the holdout");
}

/// Leaves the answer where the kubelet looks for it.
fn answer(question: &str, outcome: &Outcome) -> Result<ExitCode, Failure> {
    let path = std::env::var_os(TERMINATION_MESSAGE_VARIABLE);
    let path = path.map_or_else(|| PathBuf::from(TERMINATION_MESSAGE), PathBuf::from);
    std::fs::write(&path, encode(question, outcome))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    let (words, code) = match outcome {
        Outcome::Compared(_) | Outcome::Unchanged => (None, ExitCode::SUCCESS),
        Outcome::Missing(files) => {
            let names: Vec<String> = files.iter().map(|file| format!("{file:?}")).collect();
            let words = format!("not there: {}", names.join(", "));
            (Some(words), ExitCode::SUCCESS)
        }
        Outcome::Changed(file) => {
            let words = format!("gone, or not what was read any more: {file:?}");
            (Some(words), ExitCode::SUCCESS)
        }
        Outcome::Unreadable(why) => (Some(why.clone()), ExitCode::SUCCESS),
        Outcome::Refused(why) => (Some(why.clone()), ExitCode::from(FAILED)),
    };
    if let Some(words) = words {
        eprintln!("{words}");
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(directory: &Path, challenger: &str) -> EvaluationSpec {
        let uri = |name: &str| directory.join(name).display().to_string();
        serde_json::from_value(json!({
            "policyRef": {"name": "fraud"}, "model": "fraud",
            "champion": {"version": "1", "predictions": uri("old.csv")},
            "challenger": {"version": "2", "predictions": uri(challenger)},
            "columns": {"id": "id", "label": "y"}, "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
        }))
        .unwrap()
    }

    fn write(directory: &Path, name: &str, content: &str) {
        std::fs::write(directory.join(name), content).unwrap();
    }

    fn rows(step: u32) -> String {
        let row = |row: u32| format!("{row},{},0.{}\n", row % 2, row * step % 97);
        format!("id,y,score\n{}", (0..400).map(row).collect::<String>())
    }

    #[test]
    fn each_outcome_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let outcome = |challenger: &str| {
            let spec = spec(place, challenger);
            compared(&files_of(&spec), &spec)
        };
        let both = [EvidenceFile::Champion, EvidenceFile::Challenger];
        assert_eq!(outcome("new.csv"), Outcome::Missing(both.to_vec()));
        write(place, "old.csv", &rows(31));
        let missing = Outcome::Missing(vec![EvidenceFile::Challenger]);
        assert_eq!(outcome("new.csv"), missing);
        write(place, "new.csv", &rows(53));
        assert!(matches!(outcome("new.csv"), Outcome::Compared(_)));
        write(place, "broken.csv", "id,y,score\n1,1,high\n");
        let Outcome::Refused(why) = outcome("broken.csv") else {
            panic!("it was compared");
        };
        assert!(why.contains("broken.csv"), "{why}");
        write(place, "damaged.parquet", "PAR1 and nothing else");
        let damaged = outcome("damaged.parquet");
        assert!(matches!(damaged, Outcome::Unreadable(_)), "{damaged:?}");
    }

    #[test]
    fn a_report_that_cannot_be_written_is_said_and_one_that_can_has_its_mark() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        write(place, "old.csv", &rows(31));
        write(place, "new.csv", &rows(53));
        let spec = spec(place, "new.csv");
        let files = files_of(&spec);
        let Outcome::Compared(result) = compared(&files, &spec) else {
            panic!("it was not compared");
        };
        let page = |name: &str| place.join(name).display().to_string();
        let said = |page: &str| reported(&files, page, &spec, &result);
        let written = page("reports/a.html");
        assert_eq!(said(&written), ReportState::of(&written, Ok(())));
        assert!(place.join("reports/a.json").exists());
        for (page, why) in [
            (page("old.csv/a.html"), "cannot write"),
            ("gs://bucket/a.html".to_string(), "must be `file` or `s3`"),
        ] {
            let ReportState::NotWritten(said) = said(&page) else {
                panic!("{page} was written");
            };
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_file_that_changed_or_went_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        write(place, "old.csv", &rows(31));
        write(place, "new.csv", &rows(53));
        let spec = spec(place, "new.csv");
        let files = files_of(&spec);
        let Outcome::Compared(result) = compared(&files, &spec) else {
            panic!("it was not compared");
        };
        let check = || checked(&files, &result.evidence);
        assert_eq!(check(), Outcome::Unchanged);
        write(place, "new.csv", &rows(59));
        assert_eq!(check(), Outcome::Changed(EvidenceFile::Challenger));
        std::fs::remove_file(place.join("old.csv")).unwrap();
        assert_eq!(check(), Outcome::Changed(EvidenceFile::Champion));
    }
}
