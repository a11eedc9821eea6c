//! Whether predictions were made by the model that they are taken for.

use super::EvaluateError;
use super::request::{Expected, Request};
use crate::model_file::{MODEL_FILE, Model};
use crate::table::{FileBytes, FileRead, FileSource, TableError};
use std::path::Path;

/// One file holds the scores of both models.
pub(super) fn check(
    files: &dyn FileSource,
    predictions: &FileRead,
    request: &Request,
) -> Result<(), EvaluateError> {
    check_champion(files, predictions, request)?;
    check_challenger(files, predictions, request)
}

pub(super) fn check_champion(
    files: &dyn FileSource,
    file: &FileRead,
    request: &Request,
) -> Result<(), EvaluateError> {
    must_be_made_by(files, &request.champion, file)
}

pub(super) fn check_challenger(
    files: &dyn FileSource,
    file: &FileRead,
    request: &Request,
) -> Result<(), EvaluateError> {
    must_be_made_by(files, &request.challenger, file)
}

/// What the metadata of `file` say of its making must not contradict what is expected; what they leave open is taken.
fn must_be_made_by(
    files: &dyn FileSource,
    expected: &Expected,
    file: &FileRead,
) -> Result<(), EvaluateError> {
    let Some(made_by) = &file.made_by else {
        return Ok(());
    };
    let other = |made_by: String, expected: String, again: String| EvaluateError::OtherModel {
        path: file.path.clone(),
        made_by,
        expected,
        again,
    };
    let again = match &expected.version {
        Some(version) => format!("score version {version} again"),
        None => "score the rows again".to_string(),
    };
    if let (Some(found), Some(version)) = (&made_by.version, &expected.version)
        && found != version
    {
        let found = format!("version {found}");
        return Err(other(found, format!("not {version}"), again));
    }
    let (Some(found), Some(directory)) = (&made_by.model_sha256, &expected.model) else {
        return Ok(());
    };
    let Some(model) = model_at(files, directory)? else {
        return Ok(());
    };
    if model.sha256() == found {
        return Ok(());
    }
    let of = match &expected.version {
        Some(version) => format!("of version {version}"),
        None => format!("in {}", directory.display()),
    };
    Err(other(
        format!("a model whose SHA-256 is {found}"),
        format!("but the model {of} has {}", model.sha256()),
        again,
    ))
}

/// The file of the model at this address, where there is one.
fn model_at(files: &dyn FileSource, address: &Path) -> Result<Option<FileBytes>, TableError> {
    let model = match files.read_model(address) {
        Ok(model) => model,
        Err(error) if error.is_missing() => return Ok(None),
        // Whether there is such a file is not known, which must not pass for a no.
        Err(error) => return Err(error),
    };
    // A file of another name than the usual one may be anything that lies in the directory.
    let is_chosen = model.path() != address && !model.path().ends_with(MODEL_FILE);
    Ok(Some(model).filter(|model| !is_chosen || Model::of_file(model).is_ok()))
}
