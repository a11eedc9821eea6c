//! The report of a comparison: a page for people and a document for programs. Pure but for whom it is handed to when it is written.
//!
//! Both follow from what was compared alone. No clock and no name of a machine stands in them, nor what an object store calls a content, so
//! that whoever repeats a comparison gets the same bytes.

mod address;
mod document;
mod html;
mod page;
mod plot;
#[cfg(test)]
mod tests;
mod words;
mod writing;

pub use address::{Mark, mark_of, page_of};
pub use document::document;
pub use page::page;
pub use words::warning;
pub use writing::{ReportError, write};

use podium_core::comparison::Comparison;
use podium_workload::evaluate::Request;
use serde::Serialize;

/// Everything that is told of a comparison.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The policy that asked; nobody did where somebody compared files by hand.
    pub asked_by: Option<AskedBy<'a>>,
    /// What the model in production is called, such as `v1`.
    pub champion: &'a str,
    /// What the model that wants to be is called.
    pub challenger: &'a str,
    /// What rows are called, such as `transactions`.
    pub rows: &'a str,
    /// How the files were read. Their addresses are those of `evidence`.
    pub request: &'a Request,
    /// What was read.
    pub evidence: &'a Evidence,
    /// What was found.
    pub comparison: &'a Comparison,
    /// The same in one sentence.
    pub sentence: &'a str,
}

/// Who asked for a comparison.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AskedBy<'a> {
    /// Name of the `ChampionPolicy`.
    pub policy: &'a str,
    /// Name of the `Evaluation`.
    pub evaluation: &'a str,
    /// The registered model.
    pub model: &'a str,
}

/// The files that were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The predictions of the model in production.
    pub champion: File,
    /// The predictions of the model that wants to be.
    pub challenger: File,
    /// The file with the labels, where predictions bring only ids and scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<File>,
    /// Digest of the rows that were compared, without their scores.
    pub fingerprint: String,
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its address.
    pub uri: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Number of its bytes.
    pub size: u64,
    /// Number of its rows.
    pub rows: u64,
}

/// Who takes the verdict where a policy asked.
const VERDICT_IS_THE_POLICYS: &str = "This is what the numbers show at the error that is allowed to a comparison which is the only one on its holdout. The policy takes its verdict at its own look at the holdout, which may be allowed less; that verdict stands in the status of the Evaluation.";
