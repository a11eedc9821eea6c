//! Writing a report: the document first, so that whoever finds the page finds both.

use super::{Report, document, page};
use podium_workload::predictions_file::{FileSink, WriteError};
use std::path::Path;

/// Bytes of a page or a document that nobody would read. A comparison of a policy has less than a tenth of that.
const LARGEST: usize = 4 << 20;

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The address is none of a page.
    #[error("the address of a report must end with .html")]
    NoPage,
    /// It is too long.
    #[error("the report would have {0} bytes, of which {LARGEST} are allowed")]
    TooLong(usize),
    /// It cannot be written as JSON.
    #[error(transparent)]
    Document(#[from] serde_json::Error),
    /// Nobody takes it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the page to its address, which must end with `.html`, and the document beside it. Both replace what is there, which must be none of
/// the inputs, nor lie in one.
///
/// # Errors
/// See [`ReportError`].
pub fn write(
    files: &dyn FileSink,
    address: &Path,
    inputs: &[&Path],
    report: &Report<'_>,
) -> Result<(), ReportError> {
    if address.extension().is_none_or(|ending| ending != "html") {
        return Err(ReportError::NoPage);
    }
    let beside = address.with_extension("json");
    for (output, text) in [
        (beside.as_path(), document(report)?),
        (address, page(report)),
    ] {
        if text.len() > LARGEST {
            return Err(ReportError::TooLong(text.len()));
        }
        files.check(output, inputs)?;
        files.write(output, text.into_bytes())?;
    }
    Ok(())
}
