//! `podium evaluate --report` for files that somebody compares by hand.

use crate::adapters::evidence_files::EvidenceFiles;
use crate::cli::Failure;
use crate::local::evaluation_report::inputs_of;
use crate::report::{self, File, Report};
use podium_core::comparison::{Comparison, Naming};
use podium_workload::evaluate::{Evidence, Request};
use podium_workload::table::FileRead;
use std::path::Path;

/// What was asked, and the answer in one sentence.
pub(super) struct ByHand<'a> {
    pub(super) naming: Naming<'a>,
    pub(super) request: &'a Request,
    pub(super) sentence: &'a str,
}

/// Writes the report to the page's address and beside it.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(
    files: &EvidenceFiles,
    address: &Path,
    by_hand: &ByHand<'_>,
    read: &Evidence,
    comparison: &Comparison,
) -> Result<(), Failure> {
    let evidence = report::Evidence {
        champion: file_of(&read.champion),
        challenger: file_of(&read.challenger),
        holdout: read.holdout.as_ref().map(file_of),
        fingerprint: read.fingerprint.clone(),
    };
    let report = Report {
        asked_by: None,
        champion: by_hand.naming.champion,
        challenger: by_hand.naming.challenger,
        rows: by_hand.naming.rows,
        request: by_hand.request,
        evidence: &evidence,
        comparison,
        sentence: by_hand.sentence,
    };
    report::write(files, address, &inputs_of(by_hand.request), &report)?;
    Ok(())
}

fn file_of(read: &FileRead) -> File {
    File {
        uri: read.path.display().to_string(),
        sha256: read.sha256.clone(),
        size: read.size,
        rows: read.rows as u64,
    }
}
